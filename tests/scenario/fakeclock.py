"""fakeclock.py - the wall clock of a gateway under test. libfaketime reads an
offset from a file at each call, so that a test moves days while the gateway
runs; the monotonic clock stays real. Days are fixed, whatever today is."""
import datetime
import os
import time

UTC = datetime.timezone.utc
FIRST_DAY = datetime.datetime(2026, 12, 1, 12, 0, tzinfo=UTC)  # rotation: 04:00Z


class FakeClock:
    def __init__(self, folder, start=FIRST_DAY):
        self.path = os.path.join(folder, "faketime")
        self.set(start)

    def set(self, when):
        self.offset = when.timestamp() - time.time()
        fresh = self.path + ".new"
        with open(fresh, "w") as f:
            f.write("%+.6f\n" % self.offset)
        os.rename(fresh, self.path)

    def move(self, **span):
        self.set(self.now() + datetime.timedelta(**span))

    def now(self):
        return datetime.datetime.fromtimestamp(time.time() + self.offset, UTC)

    def text(self, **ago):
        """Now, or so long ago, as a client writes it."""
        when = self.now() - datetime.timedelta(**ago)
        return when.strftime("%Y-%m-%dT%H:%M:%S.000Z")
