"""vendors.py - a gateway whose five destinations are of all five kinds, and
what they got, as events: the vendors' stubs answer as the vendors do. And
recordings of the vendors' SDKs, to be sent again."""

import base64
import json
import os
import re

import canaries
from harness import Gateway, Recorder, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
PROFILE = os.path.join(HERE, "..", "..", "policy", "profiles", "mixbot.json")
TOKEN, SECRET = "mp-token-for-tests", "ga-secret-for-tests"


CAPTURES = os.path.join(HERE, "..", "data", "captures")
# What the recorded story plants (and the identifiers that its SDKs made).
PLANTED = ["jane.doe@example.com", "Jane Doe", "415 555 0134", "203.0.113.77", "tok_9f8e7d6c",
           "user-48213", "sess_7f3a9c1e52", "jane+doe+demo", "My Secret Demo"]


def capture(name):
    with open(os.path.join(CAPTURES, name + ".json")) as f:
        return json.load(f)


def replay(g, name, only=lambda request: True):
    """Send a recording as it was, but for the host; the answers."""
    answers = []
    for r in filter(only, capture(name)):
        headers = {k: v for k, v in r["headers"].items()
                   if k.lower() not in ("host", "content-length", "connection",
                                        "transfer-encoding", "accept-encoding")}
        body = r.get("body", "").encode() or base64.b64decode(r.get("body_base64", ""))
        if r["method"] == "POST" and not any(k.lower() == "content-type" for k in headers):
            headers["Content-Type"] = ""
        answers.append(g.request(r["method"], r["path"],
                                 body if r["method"] == "POST" else None, headers))
    return answers


def mixbot(asserted=False, live=True):
    """The Mixbot policy; `asserted`: the SDK is loaded after a yes alone."""
    with open(PROFILE) as f:
        policy = json.loads(re.sub(r"//[^\n\"]*(\"[^\n]*)?$", "", f.read(), flags=re.M))
    if asserted:
        policy["purposes"]["product"]["consent"] = {
            "asserted": {"by": "banner of mixbot.example", "text_version": "3",
                         "since": "2026-11-01"}}
    if live:
        policy["destinations"]["ga"].pop("release", None)
    return policy


class Vendors:
    """With `mp` and `ga`: recorders of Mixpanel and Google."""

    def __init__(self, policy=None, config=None, api="import", keys=(), **more):
        self.mp, self.ga = Recorder(self.mixpanel_answer), Recorder(204)
        self.gateway = Gateway(config, json.dumps(policy or mixbot()), start=False, **more)
        g = self.gateway
        g.conf["sites"][0]["keys"] = list(keys)
        for name, text in (("mp.token", TOKEN), ("ga.secret", SECRET)):
            path = os.path.join(g.home, "keys", name)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
                f.write(text + "\n")
        g.conf["sites"][0]["destinations"] += [
            {"name": "mp", "type": "mixpanel", "api": api, "url": base(self.mp),
             "token": {"file": "keys/mp.token"}},
            {"name": "ga", "type": "ga4", "url": base(self.ga), "measurement_id": "G-OUT",
             "api_secret": {"file": "keys/ga.secret"}}]
        with open(g.conf_path, "w") as f:
            json.dump(g.conf, f, indent=1)
        self.refuse = []  # event names that Mixpanel does not take

    def mixpanel_answer(self, request):
        events = json.loads(request["body"])
        failed = [{"index": i, "insert_id": e["properties"]["$insert_id"],
                   "field": "event", "message": "refused by the test"}
                  for i, e in enumerate(events) if e["event"] in self.refuse]
        if failed:
            body = {"code": 400, "error": "some data points in the request failed validation",
                    "failed_records": failed,
                    "num_records_imported": len(events) - len(failed), "status": "Bad Request"}
            return 400, [], json.dumps(body).encode()
        return 200, [], json.dumps({"code": 200, "status": "OK",
                                    "num_records_imported": len(events)}).encode()

    def mixpanel_events(self):
        """What Mixpanel has taken: of a refused upload, the rest."""
        with self.mp.lock:
            requests = list(self.mp.requests)
        return [e for r in requests if r["answered"] in (200, 400)
                for e in json.loads(r["body"]) if e["event"] not in self.refuse]

    def ga_requests(self):
        with self.ga.lock:
            return [json.loads(r["body"]) for r in self.ga.requests if r["answered"] == 204]

    def ga_events(self):
        return [e for r in self.ga_requests() for e in r["events"]]

    def everything_sent(self):
        return {"mixpanel": self.mp.bytes(), "ga4": self.ga.bytes(),
                "http": self.gateway.recorder.bytes()}

    def __enter__(self):
        self.gateway.start()
        return self

    def __exit__(self, *error):
        self.gateway.close()
        self.mp.close()
        self.ga.close()


def tell_and_sweep(test, v, name, marks, only=lambda request: True):
    """Replay a recording to all five destinations, find nothing of `marks` in
    anything that was written, sent or answered; (answers, events by name)."""
    planted = canaries.Canaries()
    for text in marks:
        planted.add(text, text)
    with v:
        g = v.gateway
        answers = replay(g, name, only)
        g.settled()
        wait_until("all of them", lambda: len(v.mixpanel_events()) == len(v.ga_events())
                   == len(g.recorder.accepted()) >= 1)
        events = {e["action"]: e for e in g.recorder.accepted()}
        test.assertEqual(len(g.file_lines()), len(g.recorder.accepted()))
        hay = v.everything_sent()
        test.assertEqual(g.stop(), 0)
        hay.update(canaries.files_under(g.state, os.path.join(g.home, "optout-journal")))
        hay.update(log=g.log, file=json.dumps(g.file_lines()).encode())
        hay.update(("answer %d" % i, a.body) for i, a in enumerate(answers))
        test.assertEqual(canaries.sweep(planted, hay), [])
        return answers, events


def base(recorder):
    return "http://127.0.0.1:%d" % recorder.port
