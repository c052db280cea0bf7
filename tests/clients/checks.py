"""checks.py - what is asked of every SDK; clients.py prints the answers. Each
check gives {column: problem or None} and leaves its proxies in `seen` for the
column CORS."""

import concurrent.futures
import difflib
import json
import os
import threading
import time

import canaries
from bench import CONSENT_BOUND, DESTINATIONS, EVENTS, Bench, event_name
from harness import wait_until
from sdks import FAULTS
from story import (IDENTIFY_BEFORE, PLANTED, STORY, names_in, own_ids, person)
from test_canary import what_the_gateway_says

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")
ARRIVAL_S = 30
IDS = {"id", "event_id", "session_id", "device_id", "user_id", "client_id", "distinct_id",
       "$insert_id"}
MINUTE = {"time": 60000, "timestamp_micros": 60000000}


# ---- telling the story ------------------------------------------------------

class Teller:
    """One SDK telling (a part of) the story through a bench's proxy."""

    def __init__(self, sdk, bench, who=None):
        self.sdk, self.bench, self.person = sdk, bench, who or person()
        self.client = sdk.make(bench.proxy.url, self.person)

    def tell(self, start=0, end=len(STORY), identify=True):
        for i, (name, fields) in enumerate(STORY[start:end], start):
            if i == IDENTIFY_BEFORE and identify:
                self.step(self.client.identify, self.person["user"])
            if self.sdk.batch and i == len(STORY) - 2:
                self.step(self.client.events, STORY[i:end])
                return
            self.step(self.client.event, name, fields)

    def step(self, call, *args):
        before = len(self.bench.proxy.seen())
        call(*args)
        if self.sdk.step and call != self.client.identify:
            wait_until("a request of " + self.sdk.name,
                       lambda: len(self.bench.proxy.seen()) > before)

    def end(self):
        """Leaves the page; returns what the SDK reported."""
        errors = self.client.errors()
        self.client.leave()
        self.bench.settle()
        return errors

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.client.close()


# ---- works, and canaries ----------------------------------------------------

def check_works(sdk, seen, write_golden):
    with Bench(change=sdk.change) as bench:
        seen.append(bench.proxy)
        with Teller(sdk, bench) as t:
            t.tell(0, 2)
            if sdk.browser:  # what is queued goes by itself; the rest on leaving
                wait_until("the queue to be sent", lambda: len(
                    bench.names_at("file")) >= 2, ARRIVAL_S)
            t.tell(2)
            known = t.client.ids()
            errors = t.end()
        problems = ["the SDK reports: " + e for e in errors]
        for name in DESTINATIONS:
            problems += missing_at(bench, name) or compare(sdk, bench, name, write_golden)
        hits = sweep(bench, known)
    with Bench(asserted=False, change=sdk.change) as bench:
        seen.append(bench.proxy)
        with Teller(sdk, bench) as t:
            t.tell()
            problems += ["without consent the SDK reports: " + e for e in t.end()]
        for name in DESTINATIONS:
            if name not in CONSENT_BOUND:
                problems += missing_at(bench, name)
            elif bench.recorders[name].requests:
                problems.append("%s got something without consent" % name)
    return {"works": text(problems), "canaries": text(hits)}


def missing_at(bench, name):
    """Waits; problems if the whole story is not there once."""
    def all_there():
        return all(e in bench.names_at(name) for e in EVENTS)
    try:
        wait_until("the story", all_there, 5)
    except AssertionError:
        there = bench.names_at(name)
        return ["%s lacks %s" % (name, ", ".join(e for e in EVENTS if e not in there))]
    return ["%s has %s %d times" % (name, e, len(ids))
            for e, ids in bench.names_at(name).items() if len(ids) != 1]


def compare(sdk, bench, name, write):
    path = os.path.join(GOLDEN, "%s.%s.json" % (sdk.name, name))
    labels = {}
    lines = [json.dumps(normal(e, labels), sort_keys=True, ensure_ascii=False)
             for e in bench.arrived(name)]
    if write:
        with open(path, "w") as f:
            f.write("\n".join(lines) + "\n")
    if not os.path.exists(path):
        return ["no " + os.path.basename(path)]
    with open(path) as f:
        wanted = f.read().splitlines()
    return ["%s: %s" % (name, line) for line in difflib.unified_diff(
        wanted, lines, "golden", "got", lineterm="", n=0)]


def normal(value, labels, key=None):
    """Pseudonyms become <key 1>, <key 2> in the order they appear; times lose
    what differs from run to run, if they are as coarse as the policy says."""
    if isinstance(value, dict):
        return {k: normal(v, labels, k) for k, v in value.items()}
    if isinstance(value, list):
        return [normal(v, labels, key) for v in value]
    if key in IDS and value not in ("", None):
        known = labels.setdefault(key, {})
        return "<%s %d>" % (key, known.setdefault(value, len(known) + 1))
    if key in MINUTE and int(value) % MINUTE[key] == 0:
        return "<minute>"
    if key == "timestamp" and str(value).endswith(":00Z"):
        return "<minute>"
    if key == "written_ms":
        return "<when>"  # the row was made
    return value


def sweep(bench, known):
    """Hits of what was planted, and of the SDK's own identifiers."""
    marks = canaries.Canaries()
    for where, mark in PLANTED.items():
        marks.add(mark, where)
    for mark, where in [(v, k) for k, v in known.items()] + [
            item for r in bench.proxy.requests for item in own_ids(r).items()]:
        if mark not in marks.known:
            marks.add(mark, "the SDK's " + where)
    haystacks = what_the_gateway_says(bench.g)
    bench.g.stop()
    haystacks["log at the end"] = bench.g.log
    haystacks.update(canaries.files_under(bench.g.folder, bench.tmpfs))
    for name, recorder in bench.recorders.items():
        haystacks["destination " + name] = recorder.bytes()
    for i, r in enumerate(bench.proxy.requests):
        if isinstance(r["answer"], tuple):
            haystacks["answer %d" % i] = str(r["answer"][1]).encode() + r["answer"][2]
    blind = [n for n in ("events.db", "user_analytics") if not any(
        b"file_upload" in data for full, data in haystacks.items() if n in full)]
    return (["the sweep does not see " + n for n in blind]
            + canaries.sweep(marks, haystacks))


# ---- retries ----------------------------------------------------------------

def check_retries(sdk, seen, _):
    problems = []
    for fault in FAULTS:
        with Bench() as bench, Sick(fault) as sick:
            seen.append(bench.proxy)
            try:
                found = fail_once(sdk, bench, fault, sick)
            except AssertionError as e:  # waited in vain; the other faults still count
                found = [str(e)]
            problems += ["%s: %s" % (fault, p) for p in found]
        return {"retries": text(problems)}


class Sick:
    """A second gateway that refuses everything, as a real one does it."""

    def __init__(self, fault):
        self.fault, self.bench = fault, None
        if fault == "503":
            self.bench = Bench(limits={"disk_free": "1TiB"})
        elif fault == "429":
            self.bench = Bench(limits={"rate": {"events": 1, "optout": 0}})

    def fate(self):
        """What the proxy shall do; asked when a request is there."""
        if self.bench is None:
            return self.fault
        if self.fault == "429":  # counted by the minute: not in its last seconds
            wait_until("a new minute", lambda: time.monotonic() % 60 < 57)
        wait_until("a " + self.fault, lambda: self.bench.g.post(
            "/v1/events", {"action": "page_view"}).status == int(self.fault))
        return self.bench.g.port

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.bench:
            self.bench.__exit__()


def fail_once(sdk, bench, fault, sick):
    armed = threading.Event()

    def choose(request):
        if request["method"] == "OPTIONS" or not armed.is_set():
            return None
        armed.clear()
        return sick.fate()

    with Teller(sdk, bench) as t:
        t.tell(0, 2)
        if not sdk.step:
            wait_until("the first events", lambda: len(bench.names_at("file")) == 2, ARRIVAL_S)
        if fault == "restart":
            bench.g.stop()
            bench.g.port = None
            with concurrent.futures.ThreadPoolExecutor(1) as meanwhile:
                told = meanwhile.submit(t.tell, 2, 3)  # some wait until it is sent
                wait_until("a request to fail", lambda: any(
                    r["answer"] == "reset" for r in bench.proxy.requests), ARRIVAL_S)
                bench.g.start()
                told.result()
        else:
            bench.proxy.fault = choose
            armed.set()
            t.tell(2, 3)
            wait_until("a request to fail", lambda: not armed.is_set(), ARRIVAL_S)
        if fault in sdk.retries:
            wait_until("the SDK to try again",
                       lambda: EVENTS[2] in bench.names_at("file"), ARRIVAL_S)
        t.tell(3)
        t.end()
    return after_failure(sdk, bench, fault)


def after_failure(sdk, bench, fault):
    failed = [r for r in bench.proxy.requests
              if r["fate"] is not None or r["answer"] == "reset"]
    passed = [r for r in bench.proxy.requests if r not in failed]
    if not failed:
        return ["no request was made to fail"]
    if fault in ("429", "503") and failed[0]["answer"][0] != int(fault):
        return ["the failing request was answered %d" % failed[0]["answer"][0]]
    lost = set()
    if fault not in sdk.retries and fault != "after":
        lost = (set().union(*(names_in(r) for r in failed))
                - set().union(*(names_in(r) for r in passed)))
    problems = []
    for name in DESTINATIONS:
        wanted = [e for e in EVENTS if e not in lost]
        try:
            wait_until("the rest", lambda: all(e in bench.names_at(name) for e in wanted), 5)
        except AssertionError:
            problems.append("%s lacks %s" % (name, ", ".join(
                e for e in wanted if e not in bench.names_at(name))))
        problems += ["%s has %s under %d ids" % (name, e, len(set(ids)))
                     for e, ids in bench.names_at(name).items() if len(set(ids)) != 1]
    return problems


# ---- opt-out ----------------------------------------------------------------

def check_optout(sdk, seen, _):
    problems, number = [], 0
    with Bench() as bench:
        seen.append(bench.proxy)
        stages = [(identified, label) for identified in (False, True)
                  for label in labels_of(sdk, bench, identified)]
        for identified, label in dict.fromkeys(stages):
            number += 1
            problems += ["by %s%s: %s" % (label, " after identify" if identified else "", p)
                         for p in optout_by(sdk, bench, identified, label, person(number))]
    return {"opt-out": text(problems)}


def labels_of(sdk, bench, identified):
    """Labels of different identifiers that an SDK can show to the person."""
    with Teller(sdk, bench, person(0)) as t:
        t.tell(0, 1)
        if identified:
            t.client.identify(t.person["user"])
        distinct = {value: label for label, value in reversed(list(t.client.ids().items()))}
        t.end()
    return sorted(distinct.values())


def optout_by(sdk, bench, identified, label, who):
    before = len(bench.names_at("any").get(EVENTS[1], []))
    with Teller(sdk, bench, who) as t:
        t.tell(0, 2)
        if identified:
            t.client.identify(who["user"])
        wait_until("the first events", lambda: len(
            bench.names_at("any").get(EVENTS[1], [])) > before, ARRIVAL_S)
        bench.settle()
        value = t.client.ids()[label]
        answer = bench.g.post("/v1/optout", {"user_id": value})
        if answer.status != 200:
            return ["the gateway answers %d" % answer.status]
        stands = bench.volume()
        requests = len(bench.proxy.seen())
        t.tell(2, identify=sdk.keeps_ids)
        errors = t.end()
    told = bench.proxy.seen()[requests:]
    problems = ["the SDK reports: " + e for e in errors]
    if not any(names_in(r) for r in told):
        problems.append("nothing was sent after the opt-out")
    now = bench.volume()
    return problems + ["%s grew from %d to %d" % (n, stands[n], now[n])
                       for n in stands if stands[n] != now[n]]


# ---- CORS -------------------------------------------------------------------

def check_cors(sdk, seen, _):
    """Every answer of this SDK's runs, refusals too; and a page that is not
    listed can read nothing."""
    if not sdk.browser:
        return {"CORS": None}
    problems = []
    asked = [r for proxy in seen for r in proxy.requests
             if "origin" in dict(r["headers"]) and isinstance(r["answer"], tuple)]
    if not asked:
        problems.append("no request had an Origin")
    for r in asked:
        fields = dict(r["answer"][1])
        if (fields.get("access-control-allow-origin") != dict(r["headers"])["origin"]
                or fields.get("access-control-allow-credentials") != "true"):
            problems.append("%s %s: no CORS on a %d" % (
                r["method"], r["path"].split("?")[0], r["answer"][0]))
    with Bench(origins=["https://mixbot.example"]) as bench:
        with Teller(sdk, bench) as t:
            t.tell(0, 2)
            wait_until("a request", bench.proxy.seen, ARRIVAL_S)
            bench.settle()
            errors = t.client.errors()
        if sdk.reads_answers and not errors:
            problems.append("a page of another site can read the answers")
        if any("access-control-allow-origin" in dict(r["answer"][1])
               for r in bench.proxy.seen() if isinstance(r["answer"], tuple)):
            problems.append("CORS for a page of another site")
    return {"CORS": text(problems)}


def text(problems):
    return "\n    ".join(problems[:20]) if problems else None
