"""lethe_track.py - send events to a Lethe gateway from a Python app.

Standard library alone. It never raises into the app and never blocks it: a
bounded queue, one daemon thread, short timeouts. An event is turned into text
when it is tracked, so later changes of its details do not reach it; one that
cannot be is dropped alone. What cannot be delivered after a few tries, or is
left when close() has waited long enough, is dropped. `Tracker.dropped` counts.

    tracker = Tracker("http://127.0.0.1:8080", session_id="...")
    tracker.track("File Uploaded", {"file_name": name, "file_size": size})
"""

import datetime
import json
import queue
import threading
import time
import urllib.error
import urllib.request
import uuid

QUEUE_MAX = 1000
BATCH_MAX = 50
EVENT_MAX = 64 * 1024  # bytes
BODY_MAX = 1024 * 1024  # bytes; Lethe takes 2 MiB
TIMEOUT_S = 2.0
TRIES = 4
WAIT_S = 0.2  # for more events to share a request


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET, and its events would be lost."""

    def redirect_request(self, *_):
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


class Tracker:
    def __init__(self, gateway, session_id=None, consent=None):
        """`consent`: {"product": True} after a yes, "denied" after a no."""
        self.url = str(gateway).rstrip("/") + "/v1/events"
        self.session_id = session_id or str(uuid.uuid4())
        self.consent = consent
        self.dropped = 0
        self._lock = threading.Lock()  # of dropped, _pending and _closed
        self._pending = 0  # tracked, neither delivered nor dropped yet
        self._closed = False
        self._queue = queue.Queue(QUEUE_MAX)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no more threads: every event is dropped
            self._closed = True

    def track(self, action, details=None):
        """Queue one event. Returns at once, whatever happens to it."""
        try:
            text = self._event(action, details)
        except Exception:  # never into the app
            text = None
        with self._lock:
            if text is None or self._closed or len(text) > EVENT_MAX:
                self.dropped += 1
                return
            try:
                self._queue.put_nowait(text)
                self._pending += 1
            except queue.Full:
                self.dropped += 1

    def close(self, seconds=5.0):
        """Send what is queued, for at most so many seconds; the rest counts as
        dropped, and so does what is tracked from now on."""
        with self._lock:
            self._closed = True
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        with self._lock:
            self.dropped += self._pending
            self._pending = 0

    def _event(self, action, details):
        now = datetime.datetime.now(datetime.timezone.utc)
        event = {
            "id": str(uuid.uuid4()),  # a retry is then no second event
            "timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "session_id": self.session_id,
            "action": action,
            "details": dict(details) if details else {},
        }
        if self.consent is not None:
            event["consent"] = self.consent
        # NaN and lone surrogates raise here: they are no JSON.
        return json.dumps(event, default=str, allow_nan=False,
                          ensure_ascii=False).encode()

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
            while len(batch) < BATCH_MAX and sum(map(len, batch)) + EVENT_MAX < BODY_MAX:
                batch.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return batch

    def _settle(self, count, delivered):
        with self._lock:
            count = min(count, self._pending)  # close() may have counted them
            self._pending -= count
            if not delivered:
                self.dropped += count

    def _send(self, batch):
        status = self._post(b"[" + b",".join(batch) + b"]")
        if status in (400, 413) and len(batch) > 1:
            half = len(batch) // 2  # one bad event costs no other
            self._send(batch[:half])
            self._send(batch[half:])
        else:
            self._settle(len(batch), 200 <= status < 300)

    def _post(self, body):
        """The status of the last try; 0 when there was no answer."""
        status = 0
        for attempt in range(TRIES):
            try:
                request = urllib.request.Request(
                    self.url, body, {"Content-Type": "application/json"})
                with _OPENER.open(request, timeout=TIMEOUT_S) as answer:
                    return answer.status
            except urllib.error.HTTPError as e:
                status = e.code
                e.close()
                if status < 500 and status not in (408, 429):
                    return status  # it will not be understood next time either
            except Exception:  # down, slow, or no HTTP at all
                status = 0
            if attempt + 1 < TRIES:
                self._pause(min(0.5 * 2 ** attempt, 5))
        return status

    def _pause(self, seconds):
        """Wait before another try; shorter once close() counts the seconds."""
        if self._stop.is_set():
            time.sleep(WAIT_S)
        else:
            self._stop.wait(seconds)
