"""bench.py - a gateway with the Mixbot policy and its five destinations, each
of them recorded, behind the proxy that SDKs are pointed at."""

import json
import os
import shutil
import tempfile
import time

from harness import wait_until
from proxy import Proxy
from story import EVENTS
from vendors import Vendors, mixbot

DESTINATIONS = ("file", "store", "any", "mp", "ga")
CONSENT_BOUND = ("any", "mp", "ga")
KEYS = ["MPTOKEN123", "G-MIXBOT01", "UA-1234567-1"]


class Bench:
    """`change`: what an SDK's app has to change in the policy."""

    def __init__(self, asserted=True, origins=("http://localhost:*",), limits=None,
                 change=None):
        self.tmpfs = tempfile.mkdtemp(prefix="lethe-clients-", dir="/dev/shm")
        os.chmod(self.tmpfs, 0o700)
        policy = mixbot(asserted)
        # no rotation while a story is told
        policy["pseudonyms"]["at"] = time.strftime(
            "%H:00Z", time.gmtime(time.time() + 12 * 3600))
        if change:
            change(policy)
        # restarts keep their epochs here, so event ids stay the same
        config = {"epoch_store": {"runtime": self.tmpfs}, "limits": limits or {}}
        self.vendors = Vendors(policy, config, keys=KEYS)
        self.g = self.vendors.gateway
        self.g.conf["sites"][0]["origins"] = list(origins)
        with open(self.g.conf_path, "w") as f:
            json.dump(self.g.conf, f, indent=1)
        self.recorders = {"any": self.g.recorder, "mp": self.vendors.mp, "ga": self.vendors.ga}
        self.g.start()
        self.proxy = Proxy(lambda: self.g.port or 1)

    # -- what arrived -----------------------------------------------------

    def arrived(self, name):
        """Events at a destination, as flat objects, in the story's order."""
        if name == "file":
            events = self.g.file_lines()
        elif name == "store":
            events = [dict(r, details=json.loads(r["details"])) for r in self.g.rows()]
        else:
            recorder = self.recorders[name]
            with recorder.lock:
                bodies = [json.loads(r["body"]) for r in recorder.requests
                          if r["answered"] and 200 <= r["answered"] < 300]
            events = [e for body in bodies for e in flat(body)]
        return sorted(events, key=lambda e: order(event_name(e)))

    def names_at(self, name):
        """{event of the policy: set of event ids}"""
        found = {}
        for e in self.arrived(name):
            found.setdefault(event_name(e), []).append(event_id(e))
        return found

    def settle(self):
        """Everything that was taken has arrived, or never will."""
        quiet = [0, time.monotonic()]

        def over():
            if self.proxy.busy() or len(self.proxy.requests) != quiet[0]:
                quiet[:] = [len(self.proxy.requests), time.monotonic()]
            return time.monotonic() - quiet[1] > 0.3
        wait_until("the SDK to be quiet", over, 60)
        self.g.settled()

    def volume(self):
        """How much lies at each destination."""
        sizes = {n: len(r.bytes()) for n, r in self.recorders.items()}
        sizes["store"] = len(self.g.rows())
        sizes["file"] = len(json.dumps(self.g.file_lines()))
        return sizes

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.proxy.close()
        self.vendors.__exit__(*error)
        shutil.rmtree(self.tmpfs, ignore_errors=True)


def flat(body):
    if isinstance(body, list):  # http and mixpanel
        return body
    shared = {k: v for k, v in body.items() if k != "events"}  # ga4
    return [dict(shared, **e) for e in body["events"]]


def event_name(e):
    name = e.get("action") or e.get("event") or e.get("name")
    return "page_view" if name == "$mp_web_page_view" else name


def event_id(e):
    return (e.get("id") or e.get("event_id") or e.get("properties", {}).get("$insert_id")
            or e.get("params", {}).get("event_id"))


def order(name):
    return EVENTS.index(name) if name in EVENTS else len(EVENTS)
