#!/usr/bin/env python3
"""The audit log's signer as a process: killed, stuck, older, newer, gone, and
under a user of its own."""
import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import unittest

from harness import LETHE, PATIENCE_S, Gateway, main, wait_until

EVENT = {"session_id": "s1", "action": "Genre Detected", "consent": {"product": True}}


def children(pid):
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name) as f:
                parts = f.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(parts[1]) == pid and parts[0] != "Z":
            found.append(int(name))
    return found


def is_running(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def root_of(leaves):
    """RFC 6962, as it is written."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + root_of(leaves[:k]) + root_of(leaves[k:])).digest()


class Signed(Gateway):
    @property
    def signer_dir(self):
        return os.path.join(self.home, "signer")

    def signer(self):
        """The child's pid."""
        return wait_until("a signer", lambda: children(self.process.pid))[0]

    def lines(self):
        folder = os.path.join(self.state, "audit", "seg")
        lines = []
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), "rb") as f:
                lines += f.read().splitlines()
        return lines

    def records(self, act):
        return [r for r in map(json.loads, self.lines()) if r["act"] == act]

    def checkpoint(self):
        """Origin and size; the root is that of the lines on disk."""
        with open(os.path.join(self.state, "audit", "checkpoint")) as f:
            origin, size, root, empty, line = f.read().splitlines()
        assert empty == "" and line.startswith("\u2014 " + origin + " "), line
        if int(size) > 0:
            assert base64.b64encode(root_of(self.lines()[:int(size)])).decode() == root
        return origin, int(size)

    def signed_all(self):
        wait_until("all to be signed", lambda: self.checkpoint()[1] >= len(self.lines()))

    def text(self):
        return self.log.decode(errors="replace")


class Signer(unittest.TestCase):
    def gateway(self, **options):
        g = Signed(**options)
        self.addCleanup(g.close)
        return g

    def refuses(self, g, words):
        g.start(wait=False)
        self.assertEqual(g.process.wait(PATIENCE_S * 2), 1)
        g.reader.join(5)
        self.assertIn(words, g.text())
        g.process.stdout.close()
        g.process = None

    def copy(self, g, *names):
        """What lies there now, to be put back later."""
        away = tempfile.mkdtemp(prefix="lethe-test-")
        self.addCleanup(shutil.rmtree, away)
        for name in names:
            shutil.copytree(os.path.join(g.home, name), os.path.join(away, name),
                            ignore=lambda _, files: {"sock", "control.sock"} & set(files))
        return away

    def put_back(self, g, away, name):
        shutil.rmtree(os.path.join(g.home, name))
        shutil.copytree(os.path.join(away, name), os.path.join(g.home, name))
        os.chmod(os.path.join(g.home, name), 0o700)

    def test_each_second_and_at_the_end(self):
        g = self.gateway()
        self.assertEqual(g.post("/v1/events", EVENT).status, 200)
        wait_until("a batch", lambda: g.records("batch"))
        g.signed_all()
        status = g.status()
        self.assertGreater(status["signed"], 0)
        self.assertEqual(g.stop(), 0)
        origin, size = g.checkpoint()
        self.assertEqual((origin, size), (g.conf["audit"]["origin"], len(g.lines())))
        with open(os.path.join(g.signer_dir, "log.vkey")) as f:
            self.assertTrue(f.read().startswith(origin + "+"))

    def test_it_comes_and_goes_with_the_gateway(self):
        g = self.gateway()
        pid = g.signer()
        with open("/proc/%d/limits" % pid) as f:
            core = [x for x in f if x.startswith("Max core file size")][0]
        self.assertEqual(core.split()[4:6], ["0", "0"])
        g.kill()
        wait_until("the signer to end", lambda: not is_running(pid))
        g.start()
        pid = g.signer()
        # A service manager stops the whole group; the end is signed all the same.
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGINT)
        self.assertEqual(g.stop(), 0)
        self.assertFalse(is_running(pid))
        self.assertEqual(g.checkpoint()[1], len(g.lines()))

    def test_killed_it_is_started_again(self):
        g = self.gateway()
        for _ in range(3):
            pid = g.signer()
            os.kill(pid, signal.SIGKILL)
            self.assertEqual(g.post("/v1/events", EVENT).status, 200)
            wait_until("another signer",
                       lambda: [c for c in children(g.process.pid) if c != pid])
            g.signed_all()
        # It has nothing of the gateway's: lock, listener, and perhaps a request.
        wait_until("no more than that to be open",
                   lambda: len(os.listdir("/proc/%d/fd" % g.signer())) <= 6)
        self.assertIn("another one is started", g.text())
        self.assertEqual(g.stop(), 0)
        self.assertEqual(g.checkpoint()[1], len(g.lines()))

    def test_stuck(self):
        """Tightening never waits, loosening is refused, and after half a minute
        nothing is accepted until it signs again."""
        g = self.gateway()
        self.assertEqual(g.post("/v1/optout", {"session_id": "s9"}).status, 200)
        g.signed_all()
        pid = g.signer()
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(lambda: is_running(pid) and os.kill(pid, signal.SIGCONT))
        self.assertEqual(g.post("/v1/events", EVENT).status, 200)
        self.assertEqual(g.post("/v1/optout", {"session_id": "s8"}).status, 200)
        code, _, err = g.run("subject", "optin", stdin=b"s9\n")
        self.assertEqual(code, 1, err)
        code, text, _ = g.run("subject", "status", stdin=b"s9\n")
        self.assertIn("opted out", text)
        self.assertEqual(g.run("reload")[0], 0)  # it changes nothing
        wait_until("events to be refused",
                   lambda: g.post("/v1/events", EVENT).status == 503, 60)
        answer = g.admin("GET", "/readyz")
        self.assertEqual((answer.status, b"not being signed" in answer.body), (503, True))
        self.assertEqual(g.post("/v1/optout", {"session_id": "s7"}).status, 200)
        self.assertEqual(g.run("status")[0], 1)
        os.kill(pid, signal.SIGCONT)
        wait_until("events to be taken",
                   lambda: g.post("/v1/events", EVENT).status == 200)
        wait_until("the end of it in the log", lambda: len(g.records("audit.blocked")) == 2)
        begin, end = g.records("audit.blocked")
        self.assertEqual(begin["d"], {"cause": "signer", "state": "begin"})
        self.assertEqual((end["d"]["cause"], end["d"]["state"]), ("signer", "end"))
        self.assertEqual(g.run("subject", "optin", stdin=b"s9\n")[0], 0)
        self.assertEqual(g.stop(), 0)
        self.assertEqual(g.checkpoint()[1], len(g.lines()))

    def test_a_reload_that_loosens_waits(self):
        g = self.gateway()
        g.signed_all()
        pid = g.signer()
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(lambda: is_running(pid) and os.kill(pid, signal.SIGCONT))
        g.conf["sites"][0]["destinations"].append(
            {"name": "mp", "type": "jsonl", "path": "more.jsonl"})
        with open(g.conf_path, "w") as f:
            json.dump(g.conf, f)
        code, text, err = g.run("reload")
        self.assertEqual(code, 1)
        self.assertIn("not being signed", text + err)
        g.conf["sites"][0]["destinations"] = g.conf["sites"][0]["destinations"][:2]
        with open(g.conf_path, "w") as f:
            json.dump(g.conf, f)
        self.assertEqual(g.run("reload")[0], 0)
        policy = g.read_policy()
        shorter = policy.replace('"P13M"', '"P12M"').replace('"version": "1"', '"version": "2"', 1)
        more = policy.replace('"Metal"', '"Metal", "Techno"').replace(
            '"version": "1"', '"version": "3"', 1)
        g.write_policy(shorter)
        self.assertEqual(g.run("reload")[0], 0)
        g.write_policy(more)
        code, text, err = g.run("reload")
        self.assertEqual(code, 1)
        self.assertIn("not being signed", text + err)
        # A site's leaving waits, too.
        self.assertEqual(g.run("site", "retire", g.site_id)[0], 1)
        os.kill(pid, signal.SIGCONT)
        wait_until("the reload to be taken", lambda: g.run("reload")[0] == 0)
        self.assertEqual(g.stop(), 0)

    def test_an_older_signer_goes_on(self):
        g = self.gateway()
        g.stop()
        away = self.copy(g, "signer")
        g.start()
        self.assertEqual(g.post("/v1/events", EVENT).status, 200)
        g.stop()
        self.put_back(g, away, "signer")
        g.start()
        self.assertEqual(g.stop(), 0)
        self.assertEqual(g.checkpoint()[1], len(g.lines()))

    def test_an_older_log_does_not(self):
        g = self.gateway()
        g.stop()
        away = self.copy(g, "state")
        g.start()
        g.stop()
        newer = self.copy(g, "state")
        self.put_back(g, away, "state")
        self.refuses(g, "records that were signed are missing")
        self.put_back(g, newer, "state")
        g.start()
        self.assertEqual(g.stop(), 0)

    def test_a_changed_log_does_not(self):
        g = self.gateway()
        g.stop()
        path = os.path.join(g.state, "audit", "seg", "000000000000.jsonl")
        with open(path) as f:
            text = f.read()
        with open(path, "w") as f:
            f.write(text.replace('"kind":"master"', '"kind":"mister"', 1))
        self.refuses(g, "records have changed")
        with open(path, "w") as f:
            f.write(text)
        g.start()
        self.assertEqual(g.stop(), 0)

    def test_a_state_that_is_gone(self):
        g = self.gateway()
        g.stop()
        os.unlink(os.path.join(g.signer_dir, "state"))
        self.refuses(g, "state is gone")
        shutil.rmtree(g.signer_dir)
        self.refuses(g, "there is no log.vkey, though the log is signed")
        self.assertFalse(os.path.exists(g.signer_dir))

    def test_a_state_folder_from_before(self):
        """Neither key nor anything signed: as it was before there was a signer."""
        g = self.gateway()
        g.stop()
        old = len(g.lines())
        shutil.rmtree(g.signer_dir)
        os.unlink(os.path.join(g.state, "audit", "checkpoint"))
        g.start()
        self.assertIn("the log was not signed until now", g.text())
        self.assertEqual(g.stop(), 0)
        self.assertGreater(g.checkpoint()[1], old)
        self.assertEqual([r["d"]["kind"] for r in g.records("key.load")][-1], "log-new")

    def test_the_name_is_the_config_s_until_it_signs(self):
        g = self.gateway(config={"audit": {"origin": "shop.example/log"}})
        g.stop()
        self.assertEqual(g.checkpoint()[0], "shop.example/log")
        g.conf["audit"]["origin"] = "other.example/log"
        with open(g.conf_path, "w") as f:
            json.dump(g.conf, f)
        self.refuses(g, "signs another log than audit.origin names")

    def fork(self, g, *more):
        return g.run("audit", "fork", "--reason", "OPS-7", *more)

    def test_a_fork_goes_on_for_a_log_that_is_lost(self):
        g = self.gateway()
        self.assertEqual(g.post("/v1/events", EVENT).status, 200)
        self.assertEqual(self.fork(g)[0], 1)  # while it runs
        wait_until("the batch", lambda: g.records("batch")[-1]["d"]["cum"]["in"] == 1)
        g.stop()
        away = self.copy(g, "state")
        g.start()
        g.stop()
        origin, lost = g.checkpoint()
        with open(os.path.join(g.state, "audit", "checkpoint")) as f:
            root = f.read().splitlines()[2]
        self.put_back(g, away, "state")
        self.refuses(g, "records that were signed are missing")
        old = g.lines()
        for _ in range(2):  # the second time nothing is left to do
            code, text, err = self.fork(g)
            self.assertEqual((code, err), (0, ""), text)
            self.assertIn("goes on as %s/2, after %d signed records" % (origin, lost), text)
        g.start()
        g.signed_all()
        self.assertEqual(g.checkpoint()[0], origin + "/2")
        start, fork = g.records("gate.start")[0], g.records("audit.fork")[0]
        self.assertEqual((start["i"], start["d"]["origin"]), (0, origin + "/2"))
        self.assertEqual(start["d"]["prev"], {"origin": origin, "size": lost, "root": root})
        self.assertEqual(fork["d"], {"old": origin, "size": lost, "root": root})
        self.assertEqual((fork["who"], fork["why"]), ("adm:local", "ticket:OPS-7"))
        # What the old log counted is not counted again, and what came is.
        self.assertEqual(g.post("/v1/events", EVENT).status, 200)
        wait_until("the batch", lambda: g.records("batch")[-1]["d"]["cum"]["in"] == 1)
        self.assertEqual(g.records("gate.recovered"), [])
        g.restart()
        self.assertEqual([r["d"]["prev"] for r in g.records("gate.start")][1:], [None])
        self.assertEqual(len(g.records("audit.fork")), 1)
        self.assertEqual(g.records("gate.recovered"), [])
        self.assertEqual(g.stop(), 0)
        self.assertNotEqual(g.run("audit", "verify")[0], 1)
        # The old one is kept as it was, and can still be read.
        kept = os.path.join(g.state, "audit", "old", "1")
        with open(os.path.join(kept, "seg", "000000000000.jsonl"), "rb") as f:
            self.assertEqual(f.read().splitlines(), old)
        self.assertTrue(os.path.exists(os.path.join(g.signer_dir, "state.1")))
        self.assertEqual(self.fork(g)[0], 0)
        g.start()
        g.signed_all()
        self.assertEqual(g.checkpoint()[0], origin + "/3")
        self.assertEqual(g.records("gate.start")[0]["d"]["prev"]["origin"], origin + "/2")
        self.assertEqual(g.stop(), 0)

    def test_a_fork_after_everything_went_wrong(self):
        """Log damaged in the middle, signer gone with its key."""
        g = self.gateway()
        g.signed_all()
        # Killed within the second in which its batch would close: a second later
        # the journal may hold that the log has the rows, and then they are in
        # what the fork puts aside.
        self.assertEqual(g.post("/v1/events", EVENT).status, 200)
        g.kill()
        _, size = g.checkpoint()
        path = os.path.join(g.state, "audit", "seg", "000000000000.jsonl")
        with open(path, "rb") as f:
            text = f.read()
        with open(path, "wb") as f:
            f.write(b"x" + text[1:])
        shutil.rmtree(g.signer_dir)
        self.refuses(g, "there is no log.vkey")
        code, text, err = self.fork(g, "--json")
        self.assertEqual(code, 0, err)
        self.assertEqual(json.loads(text)["size"], size)
        self.assertFalse(json.loads(text)["readable"])
        g.start()
        g.signed_all()
        # Its rows still lay in the journal, and no log that can be read has them.
        wait_until("the batch of its rows",
                   lambda: g.records("batch")[-1]["d"]["cum"]["in"] == 1)
        self.assertEqual(g.records("gate.recovered")[0]["d"]["lost"], 0)
        g.restart()
        self.assertEqual(g.stop(), 0)

    def test_a_reason_is_needed(self):
        g = self.gateway()
        g.stop()
        for words in ([], ["--reason", ""], ["--reason", "a b"], ["--reason", "x" * 33]):
            self.assertEqual(g.run("audit", "fork", *words)[0], 3, words)
        self.assertFalse(os.path.exists(os.path.join(g.state, "audit", "old")))

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to have another user")
    def test_a_user_of_its_own(self):
        nobody = 65534
        folder = tempfile.mkdtemp(prefix="lethe-signer-")
        self.addCleanup(shutil.rmtree, folder)
        g = self.gateway(start=False)
        for name in os.listdir(g.signer_dir):
            shutil.move(os.path.join(g.signer_dir, name), folder)
            os.chown(os.path.join(folder, name), nobody, 0)
        os.chown(folder, nobody, 0)
        os.chmod(folder, 0o750)
        g.conf["signer"] = {"dir": folder}
        with open(g.conf_path, "w") as f:
            json.dump(g.conf, f)

        def run_signer():
            return subprocess.Popen([LETHE, "signer", "--dir", folder], user=nobody, group=0,
                                    extra_groups=[], stderr=subprocess.DEVNULL)

        signer = run_signer()
        self.addCleanup(lambda: (signer.kill(), signer.wait()))
        g.start()
        self.assertEqual(children(g.process.pid), [])
        self.assertEqual(g.post("/v1/events", EVENT).status, 200)
        g.signed_all()
        # A second one is not needed, and is not had.
        second = run_signer()
        self.assertEqual(second.wait(PATIENCE_S), 2)
        signer.kill()
        signer.wait()
        self.assertEqual(g.post("/v1/events", EVENT).status, 200)
        signer = run_signer()
        wait_until("both in the log", lambda: g.records("batch")[-1]["d"]["cum"]["in"] == 2)
        g.signed_all()
        self.assertEqual(g.stop(), 0)
        self.assertEqual(g.checkpoint()[1], len(g.lines()))
        signer.kill()
        signer.wait()
        self.refuses(g, "the signer does not answer")


if __name__ == "__main__":
    main()
