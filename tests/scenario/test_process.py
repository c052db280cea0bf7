#!/usr/bin/env python3
"""The process and its state folder: one gateway a state, versions, sites,
signals, and stops within a bound (design.md section 5; storage.md section 1)."""
import http.client
import json
import os
import signal
import socket
import threading
import time
import unittest

from harness import PATIENCE_S, Gateway, event, main, wait_until

DRAIN_S = 10  # BUILD_DRAIN_MS
YES = {"product": True}


def records(g, act):
    return [json.loads(line) for line in g.run("audit", "search", "--act", act)[1].splitlines()]


class State(unittest.TestCase):
    def fails(self, g, *words):
        """A start that must fail with these words."""
        other = Gateway(start=False, folder=g.folder, recorder=g.recorder)
        other.start(wait=False)
        code = other.process.wait(PATIENCE_S)
        other.reader.join(PATIENCE_S)
        other.process.stdout.close()
        text = other.log.decode()
        self.assertEqual(code, 1, text)
        for word in words:
            self.assertIn(word, text)

    def test_one_gateway_a_state(self):
        with Gateway() as g:
            self.fails(g, "another gateway or command is using this state folder")
            self.assertEqual(g.post("/v1/events", event()).status, 200)
            g.kill()
            g.start()  # a lock dies with its holder

    def test_a_state_of_another_version(self):
        with Gateway(start=False) as g:
            path = os.path.join(g.state, "VERSION")
            with open(path) as f:
                good = f.read()
            for bad, words in ((good.replace("lethe-state 1", "lethe-state 2"), "another version"),
                               ("", "cannot be read"), (good[:20], "cannot be read"),
                               ("x" * 200, "cannot be read")):
                with open(path, "w") as f:
                    f.write(bad)
                self.fails(g, words)
            with open(path, "w") as f:
                f.write(good)
            os.chmod(g.state, 0o755)
            self.fails(g, "0700")
            os.chmod(g.state, 0o700)
            g.start()

    def test_a_site_does_not_leave_by_an_edit(self):
        with Gateway() as g:
            g.stop()
            old = g.site_id
            conf = json.loads(json.dumps(g.conf))
            conf["sites"][0]["id"] = "fedcba9876543210"
            with open(g.conf_path, "w") as f:
                json.dump(conf, f)
            self.fails(g, old, "site retire")
            self.assertEqual(json.loads(g.run("site", "list", "--json")[1]),
                             [{"id": old, "name": ""}])
            g.run("site", "retire", old, check=True)
            g.start()
            self.assertEqual([(r["who"], r["d"]["site"]) for r in records(g, "site.retire")],
                             [("adm:local", old)])


class Signals(unittest.TestCase):
    def test_sighup_is_a_reload(self):
        with Gateway() as g:
            conf = json.loads(json.dumps(g.conf))
            conf["sites"][0]["keys"] = ["wk_9"]
            with open(g.conf_path, "w") as f:
                json.dump(conf, f)
            g.process.send_signal(signal.SIGHUP)
            wait_until("the reload", lambda: records(g, "config.load"))
            conf["workers"] = 7
            with open(g.conf_path, "w") as f:
                json.dump(conf, f)
            g.process.send_signal(signal.SIGHUP)
            wait_until("the refusal", lambda: records(g, "policy.reject"))
            self.assertIn(b"workers", g.log)
            self.assertEqual(g.post("/v1/events", event()).status, 200)
            self.assertIn("lethe_reload_last_ok 0",
                          g.admin("GET", "/metrics").body.decode())

    def test_sigterm_under_load_ends_and_loses_nothing(self):
        with Gateway() as g:
            taken, stop = [], threading.Event()

            def send(k):
                n = 0
                while not stop.is_set():
                    n += 1
                    try:
                        answer = g.post("/v1/events", event(
                            "Analysis Completed", session="s%d" % k, consent=YES,
                            details={"duration_s": n, "success": True}))
                    except (OSError, http.client.HTTPException):
                        return
                    if answer.status == 200:
                        taken.append(n)
            threads = [threading.Thread(target=send, args=(k,)) for k in range(8)]
            for t in threads:
                t.start()
            wait_until("a load", lambda: len(taken) > 200)
            start = time.monotonic()
            self.assertEqual(g.stop(), 0, g.log)
            self.assertLess(time.monotonic() - start, 2 * DRAIN_S + 5)
            stop.set()
            for t in threads:
                t.join(PATIENCE_S)
            g.start()
            g.settled()
            got = {json.dumps(e, sort_keys=True) for e in g.recorder.accepted()}
            self.assertGreaterEqual(len(got), len(taken))  # each has an id of its own
            self.assertLessEqual(len(got), len(taken) + len(threads))
            self.assertEqual(len(records(g, "gate.stop")), 1)
            self.assertEqual(records(g, "gate.recovered"), [])
            self.assertEqual(g.run("audit", "verify", "--rows")[0], 0)

    def waiting_client(self, g):
        """A connection in the middle of a request: what a stop waits for."""
        s = socket.create_connection(("127.0.0.1", g.port), PATIENCE_S)
        s.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        self.addCleanup(s.close)
        time_out = time.monotonic() + PATIENCE_S
        while not self.is_read(g) and time.monotonic() < time_out:
            pass

    def is_read(self, g):
        """Nothing of the request is left in the socket: the gateway has it."""
        with open("/proc/net/tcp") as f:
            local = ":%04X " % g.port
            for line in f:
                words = line.split()
                if words[1].endswith(local.strip()) and words[3] == "01":
                    return words[4].endswith(":00000000")
        return False

    def test_a_stop_waits_for_a_client_no_longer_than_its_bound(self):
        with Gateway() as g:
            self.waiting_client(g)
            start = time.monotonic()
            self.assertEqual(g.stop(), 0)
            self.assertLess(time.monotonic() - start, 2 * DRAIN_S + 5)

    def test_a_second_sigterm_waits_for_nobody(self):
        for second in (signal.SIGTERM, signal.SIGINT):
            with Gateway() as g:
                self.waiting_client(g)
                start = time.monotonic()
                g.process.send_signal(signal.SIGTERM)
                wait_until("the stop", lambda: b"stopping" in g.log)
                g.process.send_signal(signal.SIGHUP)  # ends nothing
                self.assertEqual(g.stop(second), 0, g.log)
                self.assertLess(time.monotonic() - start, DRAIN_S / 2)
                g.start()  # and yet all is in order
                self.assertEqual(len(records(g, "gate.stop")), 1)
                self.assertEqual(records(g, "gate.recovered"), [])


if __name__ == "__main__":
    main()
