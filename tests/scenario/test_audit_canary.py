#!/usr/bin/env python3
"""`audit canary`: events whose answers are known go the way of every event,
to nobody, and each decision is proved from the signed log."""
import json
import os
import shutil
import socket
import threading
import unittest

from harness import PATIENCE_S, Gateway, event, main, wait_until
from test_answers import mixbot
from test_receipts import token

YES = {"product": True}


def canary(g, *words, code=0):
    got, out, err = g.run("audit", "canary", "--json", *words)
    if got != code:
        raise AssertionError("exit %d: %s%s" % (got, out, err))
    return json.loads(out) if out else err


def records(g, act):
    return [json.loads(line) for line in g.run("audit", "search", "--act", act,
                                               "--format", "jsonl")[1].splitlines()]


class Runs(unittest.TestCase):
    def test_all_are_decided_right_proved_and_sent_to_nobody(self):
        with Gateway() as g:
            run = canary(g, "--count", "40")
            self.assertEqual((run["verdict"], run["sent"], run["proved"], run["failed"]),
                             ("good", 40, 40, 0))
            self.assertGreater(run["delivered"], 0)
            self.assertEqual(run["delivered"], run["cleared"])
            self.assertEqual(records(g, "canary.run")[-1]["d"],
                             {"site": "mixbot", "sent": 40, "proved": 40, "failed": 0})
            batch = [r for r in records(g, "batch") if r["d"].get("site") == "lethe.canary"][-1]
            self.assertEqual(batch["d"]["in"], 40)
            self.assertEqual((g.recorder.requests, g.rows(), g.file_lines()), ([], [], []))
            self.assertNotIn(b"canary", g.recorder.bytes())

    def test_no_counter_of_the_site_counts_them(self):
        with Gateway() as g:
            before = g.admin("GET", "/metrics").body
            canary(g, "--count", "25")
            after = g.admin("GET", "/metrics").body
            for name in (b"lethe_events_total{", b"lethe_unknown_fields_total{", b"lethe_spool_bytes{"):
                pick = lambda page: [x for x in page.splitlines()
                                     if x.startswith(name) and not x.endswith(b" 0")]
                self.assertEqual(pick(before), pick(after))
            self.assertNotIn(b"canary", after)
            for d in g.status()["destinations"]:
                self.assertEqual((d["cleared"], d["accepted"], d["purged"]), (0, 0, 0))
            for r in records(g, "delivery"):
                self.assertEqual({to["site"] for to in r["d"]["to"]}, {"mixbot"})

    def test_beside_real_events(self):
        with Gateway() as g:
            stop, sent = threading.Event(), [0]

            def load():
                while not stop.is_set():
                    if g.post("/v1/events", [event(session="s%d" % i, consent=YES)
                                             for i in range(20)]).status == 200:
                        sent[0] += 20
            thread = threading.Thread(target=load, daemon=True)
            thread.start()
            runs = [canary(g, "--count", "200") for _ in range(3)]
            stop.set()
            thread.join(PATIENCE_S)
            g.settled()
            self.assertEqual([r["proved"] for r in runs], [200] * 3)
            self.assertEqual(len(g.recorder.accepted()), sent[0])
            self.assertEqual(len(g.rows()), sent[0])
            self.assertEqual(records(g, "retention.delete"), [])
            code, out, err = g.run("audit", "verify")
            self.assertNotEqual(code, 1, out)

    def test_under_other_policies(self):
        def set_signals(**values):
            def change(p):
                p["signals"].update(values)
                for d in p["destinations"].values():
                    d.pop("profile")
            return change

        def take_all(p):
            p["events"]["*"] = {"purpose": ["audience"], "as": "other", "fields": {}}

        def wildcard_fields(p):
            p["events"]["page_view"]["fields"] = {"*": "drop"}
        policies = {
            "signals ignored": set_signals(gpc="ignore", dnt="ignore"),
            "signals close all": set_signals(gpc="deny", dnt="deny"),
            "only what is exempt": set_signals(gpc="deny-consent", dnt="deny-consent"),
            "an event that takes all": take_all,
            "all fields dropped by name": wildcard_fields,
        }
        for what, change in policies.items():
            with Gateway(policy=mixbot(change)) as g:
                run = canary(g, "--count", "60")
                self.assertEqual((run["proved"], run["failures"]), (60, []), what)

    def test_again_after_a_restart_and_after_a_crash(self):
        with Gateway() as g:
            canary(g)
            g.restart()
            self.assertEqual(canary(g)["proved"], 100)
            officer = {"Authorization": "Bearer " + token(g, "officer")}
            answer = g.admin("POST", "/api/audit/canary", '{"count":1000}', officer)
            self.assertEqual(len(answer.json()["canaries"]), 1000)
            g.kill()  # before their record
            g.start()
            batches = lambda: sum(r["d"]["in"] for r in records(g, "batch")
                                  if r["d"].get("site") == "lethe.canary")
            wait_until("the canaries' rows from the journal", lambda: batches() == 1200)
            self.assertEqual(canary(g)["proved"], 100)
            self.assertNotEqual(g.run("audit", "verify")[0], 1)
            g.post("/v1/events", event(consent=YES))
            g.settled()
            self.assertEqual(len(g.rows()), 1)
            self.assertEqual(len(g.recorder.accepted()), 1)

    def test_no_request_reaches_the_canarys_site(self):
        with Gateway() as g:
            canary(g, "--count", "5")
            for path in ("/s/lethe.canary/v1/events", "/s/6c65746865206361/v1/events"):
                self.assertEqual(g.post(path, event()).status, 404)

    def test_a_site_without_destinations_and_which_site(self):
        with Gateway(start=False) as g:
            with open(g.conf_path) as f:
                conf = json.load(f)
            other = json.loads(json.dumps(conf["sites"][0]))
            other.update(id="1234567890abcdef", name="other", origins=[], destinations=[])
            conf["sites"].append(other)
            with open(g.conf_path, "w") as f:
                json.dump(conf, f)
            g.start()
            self.assertIn("say which with --site", canary(g, code=3))
            self.assertIn("no such site", canary(g, "--site", "nosuch", code=3))
            self.assertEqual(canary(g, "--site", "mixbot")["proved"], 100)
            run = canary(g, "--site", "other")
            self.assertEqual((run["proved"], run["delivered"]), (100, 0))


class Refused(unittest.TestCase):
    def test_where_rows_are_left_out(self):
        with Gateway({"audit": {"rows": "dropped"}}) as g:
            self.assertIn("not every decision", canary(g, code=1))

    def test_numbers_roles_and_no_gateway(self):
        with Gateway() as g:
            for n in ("0", "1001", "-1", "x", "1.5"):
                canary(g, "--count", n, code=3)
            self.assertEqual(canary(g, "--count", "1")["sent"], 1)
            for role, good in (("officer", 0), ("auditor", 1), ("operator", 1), ("app", 1)):
                path = os.path.join(g.folder, role)
                with open(path, "w") as f:
                    os.chmod(path, 0o600)
                    f.write(token(g, role))
                canary(g, "--count", "5", "--token-file", path, code=good)
            self.assertEqual(records(g, "canary.run")[-1]["who"][:4], "adm:")
            g.stop()
            self.assertIn("no gateway is running", canary(g, code=1))

    def test_a_result_needs_a_run(self):
        with Gateway() as g:
            officer = {"Authorization": "Bearer " + token(g, "officer")}
            ask = lambda body: g.admin("POST", "/api/audit/canary/result", body, officer).status
            self.assertEqual(ask('{"proved":0}'), 400)
            self.assertEqual(g.admin("POST", "/api/audit/canary", '{"count":3}', officer).status, 200)
            for bad in ("{}", '{"proved":4}', '{"proved":-1}', '{"proved":"1"}', '{"proved":1.5}'):
                self.assertEqual(ask(bad), 400, bad)
            self.assertEqual(ask('{"proved":2}'), 200)
            self.assertEqual(ask('{"proved":2}'), 400)
            self.assertEqual(records(g, "canary.run")[-1]["d"],
                             {"site": "mixbot", "sent": 3, "proved": 2, "failed": 1})


class Between:
    """A control socket between the command and the gateway, which changes what
    the gateway says; the command reads the true log."""

    def __init__(self, g, change):
        self.g, self.change = g, change
        home = os.path.join(g.home, "between")
        os.mkdir(home, 0o700)
        os.symlink(os.path.join(g.state, "audit"), os.path.join(home, "audit"))
        with open(g.conf_path) as f:
            conf = json.load(f)
        conf["state_dir"] = "between"
        self.conf_path = os.path.join(g.home, "between.json")
        with open(self.conf_path, "w") as f:
            json.dump(conf, f)
        self.socket = socket.socket(socket.AF_UNIX)
        self.connect(self.socket.bind, home)
        self.socket.listen(4)
        threading.Thread(target=self.serve, daemon=True).start()

    @staticmethod
    def connect(how, folder):
        here = os.getcwd()
        os.chdir(folder)
        try:
            how("control.sock")
        finally:
            os.chdir(here)

    def serve(self):
        while True:
            try:
                near, _ = self.socket.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            self.connect(far.connect, self.g.state)
            question = near.makefile("rb").readline()
            far.sendall(question)
            answer = json.loads(far.makefile("rb").readlines()[-1])
            if b'"audit canary"' in question:
                self.change(answer["data"])
            near.sendall(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
            near.close()
            far.close()

    def run(self, *words):
        real, self.g.conf_path = self.g.conf_path, self.conf_path
        try:
            return self.g.run("audit", "canary", "--json", "--count", "20", *words)
        finally:
            self.g.conf_path = real

    def close(self):
        self.socket.close()
        shutil.rmtree(os.path.join(self.g.home, "between"))


class Found(unittest.TestCase):
    def wrong(self, g, change):
        between = Between(g, change)
        try:
            code, out, err = between.run()
            self.assertEqual(code, 1, out + err)
            return json.loads(out)
        finally:
            between.close()

    def test_whatever_is_decided_otherwise(self):
        """Right and decided differ by what the command is told is right: it is
        not the gateway's answer that it compares, but the log's."""
        with Gateway() as g:
            def first(kind, **values):
                def change(data):
                    one = [c for c in data["canaries"] if c["kind"] == kind][0]
                    one.update({k: v(one[k]) for k, v in values.items()})
                return change

            for change, said in (
                    (first("no", cleared=lambda c: 1), "cleared for destinations 0, right is 1"),
                    (first("yes", cleared=lambda c: 0), "right is 0"),
                    (first("yes", rule=lambda r: r + 1), "right is"),
                    (first("unknown", rule=lambda r: 7), "rule 0, right is 7"),
                    (lambda d: d.update(present=d["present"] | 1 << 9), "not each destination")):
                run = self.wrong(g, change)
                self.assertEqual(run["verdict"], "bad")
                self.assertRegex(json.dumps(run["failures"]), said)
            self.assertEqual(records(g, "canary.run")[0]["d"]["failed"], 1)
            self.assertEqual(records(g, "canary.run")[-1]["d"]["failed"], 20)

    def test_a_delivery_that_is_missing(self):
        with Gateway() as g:
            def change(data):
                one = [c for c in data["canaries"] if c["kind"] == "yes"][0]
                one["arrived"] ^= 1
            run = self.wrong(g, change)
            self.assertEqual((run["verdict"], run["failed"]), ("bad", 1))
            self.assertIn("arrived at destinations", run["failures"][0]["message"])

    def test_a_decision_that_is_not_in_the_log(self):
        with Gateway() as g:
            def change(data):
                data["canaries"][3]["ev"] = "0123456789abcdef"
            run = self.wrong(g, change)
            self.assertEqual((run["failed"], run["failures"][0]["message"]),
                             (1, "no proof of it is in the log"))

    def test_a_log_that_another_key_signs(self):
        with Gateway() as g, Gateway() as other:
            shutil.copy(os.path.join(other.home, "signer", "log.vkey"),
                        os.path.join(g.home, "signer", "log.vkey"))
            code, out, err = g.run("audit", "canary", "--json", "--count", "5")
            self.assertEqual(code, 1)
            self.assertEqual(json.loads(out)["proved"], 0)


if __name__ == "__main__":
    main()
