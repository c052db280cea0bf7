"""lethe_track.py - send events to a Lethe gateway from a Python app.

Standard library alone. It never raises into the app and never blocks it: a
bounded queue, one daemon thread, short timeouts; what cannot be delivered
after a few tries is dropped and counted in `Tracker.dropped`.

    tracker = Tracker("http://127.0.0.1:8080", session_id="...")
    tracker.track("File Uploaded", {"file_name": name, "file_size": size})
"""

import datetime
import json
import queue
import threading
import urllib.error
import urllib.request
import uuid

QUEUE_MAX = 1000
BATCH_MAX = 50
TIMEOUT_S = 2.0
TRIES = 4
WAIT_S = 0.2  # for more events to share a request


class Tracker:
    def __init__(self, gateway, session_id=None, consent=None):
        """`consent`: {"product": True} after a yes, "denied" after a no."""
        self.url = gateway.rstrip("/") + "/v1/events"
        self.session_id = session_id or str(uuid.uuid4())
        self.consent = consent
        self.dropped = 0
        self._queue = queue.Queue(QUEUE_MAX)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def track(self, action, details=None):
        now = datetime.datetime.now(datetime.timezone.utc)
        event = {
            "id": str(uuid.uuid4()),  # a retry is then no second event
            "timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "session_id": self.session_id,
            "action": action,
            "details": details or {},
        }
        if self.consent is not None:
            event["consent"] = self.consent
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self.dropped += 1

    def close(self, seconds=5.0):
        """Send what is queued, for at most so many seconds."""
        self._stop.set()
        self._thread.join(seconds)

    def _run(self):
        while True:
            batch = self._take()
            if batch:
                self._send(batch)
            elif self._stop.is_set():
                return

    def _take(self):
        batch = []
        try:
            batch.append(self._queue.get(timeout=WAIT_S))
            while len(batch) < BATCH_MAX:
                batch.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return batch

    def _send(self, batch):
        try:
            body = json.dumps(batch, default=str).encode()
        except Exception:  # never into the app
            self.dropped += len(batch)
            return
        for attempt in range(TRIES):
            try:
                request = urllib.request.Request(
                    self.url, body, {"Content-Type": "application/json"})
                with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                    answer.read()
                return
            except urllib.error.HTTPError as e:
                if e.code < 500 and e.code != 429:
                    break  # it will not be understood next time either
            except Exception:
                pass
            if self._stop.wait(min(0.5 * 2 ** attempt, 5)):
                break
        self.dropped += len(batch)
