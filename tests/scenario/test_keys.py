#!/usr/bin/env python3
"""Keys and memory of the real binary: R31 (apart from data, recorded by id),
R32 (files, nothing in argv or the environment), R35 (locked, no core)."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from fakeclock import FakeClock
from harness import LETHE, PATIENCE_S, Gateway, event, is_sanitized, main, wait_until

SECRET = "c0ffee" * 10 + "0011"  # 64 hex digits


def serve(g, *more, env=None):
    """A start that must fail: (exit code, what it said)."""
    done = subprocess.run([LETHE, "serve", "--config", g.conf_path] + list(more),
                          capture_output=True, timeout=PATIENCE_S * 2,
                          env=dict(g.env, **(env or {})))
    return done.returncode, (done.stdout + done.stderr).decode()


class Credentials(unittest.TestCase):
    """$CREDENTIALS_DIRECTORY, as systemd makes it for a unit."""

    def test_r36_keys_from_the_units_credentials(self):
        g = Gateway(start=False)
        self.addCleanup(g.close)
        folder = os.path.join(g.folder, "credentials")
        os.mkdir(folder, 0o700)
        for name in ("master", "optout"):
            path = os.path.join(folder, name + ".cred")
            os.rename(os.path.join(g.home, "keys", name + ".key"), path)
            os.chmod(path, 0o440)  # root's, with an access list for the service
            g.conf[name + "_key"] = {"credential": name + ".cred"}
        os.chmod(folder, 0o500)
        with open(g.conf_path, "w") as f:
            json.dump(g.conf, f)
        code, text = serve(g)
        self.assertEqual(code, 1)
        self.assertIn("/run/credentials/lethe.service/master.cred: there is no such file", text)
        g.env["CREDENTIALS_DIRECTORY"] = folder
        g.start()
        self.assertEqual(g.post("/v1/events", event()).status, 200)
        g.stop()
        g.start()  # the same keys: the same state
        g.stop()
        for mode, words in ((0o444, "mode"), (0o460, "mode"), (0o640, "mode"), (0o500, "mode")):
            os.chmod(os.path.join(folder, "master.cred"), mode)
            code, text = serve(g)
            self.assertEqual(code, 1, oct(mode))
            self.assertIn(words, text)
        os.chmod(os.path.join(folder, "master.cred"), 0o400)
        os.chmod(folder, 0o770)
        self.assertIn("its folder can be changed by other users", serve(g)[1])
        os.chmod(folder, 0o500)
        # 0440 is for that folder alone
        elsewhere = os.path.join(g.home, "keys", "master.key")
        shutil.copyfile(os.path.join(folder, "master.cred"), elsewhere)
        os.chmod(elsewhere, 0o440)
        g.conf["master_key"] = {"file": "keys/master.key"}
        with open(g.conf_path, "w") as f:
            json.dump(g.conf, f)
        self.assertIn("its mode must be 0400 or 0600", serve(g)[1])

    def test_r36_names_that_are_no_credentials(self):
        g = Gateway(start=False)
        self.addCleanup(g.close)
        for name in ("", "../master.key", ".hidden", "a/b", "x" * 129, 7, None):
            g.conf["master_key"] = {"credential": name}
            with open(g.conf_path, "w") as f:
                json.dump(g.conf, f)
            code, text = serve(g)
            self.assertEqual(code, 1, name)
            self.assertIn("LoadCredential=", text, name)
        g.conf["master_key"] = {"credential": "a", "file": "b"}
        with open(g.conf_path, "w") as f:
            json.dump(g.conf, f)
        self.assertEqual(serve(g)[0], 1)


class Files(unittest.TestCase):
    def setUp(self):
        self.g = Gateway(start=False)
        self.addCleanup(self.g.close)
        self.key = os.path.join(self.g.home, "keys", "master.key")
        self.aside = self.key + ".aside"
        os.rename(self.key, self.aside)
        self.said = {}

    def put_back(self):
        if os.path.lexists(self.key):
            os.unlink(self.key)
        shutil.copyfile(self.aside, self.key)
        os.chmod(self.key, 0o600)
        if os.geteuid() == 0:
            os.chown(self.key, 0, 0)

    def refused(self, what):
        code, text = serve(self.g)
        self.assertEqual(code, 1, (what, text))
        self.assertIn("master", text)
        self.assertNotIn("ready", text)
        check = self.g.run("check")
        self.assertEqual(check[0], 1, what)
        line = next(one for one in text.splitlines() if "master" in one)
        self.said[what] = line.split(":")[-1]

    def test_r32_each_bad_file_is_refused_in_its_own_words(self):
        self.refused("missing")
        os.symlink(self.aside, self.key)
        self.refused("a link")
        for mode in (0o644, 0o640, 0o604, 0o660, 0o700, 0o4600):
            self.put_back()
            os.chmod(self.key, mode)
            self.refused("mode")
        self.put_back()
        if os.geteuid() == 0:
            os.chown(self.key, 12345, 0)
            self.refused("another owner")
        self.put_back()
        for mode in (0o770, 0o707, 0o1777):
            os.chmod(os.path.dirname(self.key), mode)
            self.refused("folder")
        os.chmod(os.path.dirname(self.key), 0o700)
        for text in (SECRET[:-1] + "\n", SECRET + SECRET, "", SECRET[:-1] + "g\n"):
            self.put_back()
            with open(self.key, "w") as f:
                f.write(text)
            self.refused("content")
        with open(self.key, "w") as f:
            f.write("00" * 32 + "\n")
        self.refused("all alike")
        os.unlink(self.key)
        os.mkfifo(self.key, 0o600)
        self.refused("not a file")
        self.assertEqual(len(set(self.said.values())), len(self.said), self.said)

    def test_r31_a_key_inside_the_state_is_refused(self):
        self.put_back()
        for where in (self.g.state, os.path.join(self.g.state, "audit")):
            os.makedirs(where, mode=0o700, exist_ok=True)
            inside = os.path.join(where, "master.key")
            shutil.copyfile(self.key, inside)
            os.chmod(inside, 0o600)
            self.g.conf["master_key"] = {"file": inside}
            with open(self.g.conf_path, "w") as f:
                json.dump(self.g.conf, f)
            self.refused(where)
            self.assertIn("state_dir", self.said[where])
            link = os.path.join(self.g.home, "innocent")
            os.symlink(where, link)
            self.g.conf["master_key"] = {"file": os.path.join(link, "master.key")}
            with open(self.g.conf_path, "w") as f:
                json.dump(self.g.conf, f)
            self.refused(where)
            self.assertIn("state_dir", self.said[where])
            os.unlink(link)
            os.unlink(inside)

    def test_r32_neither_the_environment_nor_arguments_bring_keys(self):
        self.put_back()
        said = set()
        for name in ("KEY", "LETHE_KEY", "MASTER_KEY", "OPTOUT_KEY", "LETHE_MASTER_KEY",
                     "LETHE_OPTOUT_KEY"):
            code, text = serve(self.g, env={name: SECRET})
            self.assertEqual(code, 1, (name, text))
            self.assertIn(" %s: " % name, text)
            self.assertIn("environment", text)
            self.assertNotIn(SECRET, text)
            self.assertEqual(self.g.run("check", env=dict(self.g.env, **{name: SECRET}))[0], 1)
            said.add(text[text.index("lethe: "):].replace(name, "X"))
        self.assertEqual(len(said), 1)
        for words in (["--key=" + SECRET], ["--key", SECRET], ["--master-key=" + SECRET],
                      ["--optout-key", SECRET], [SECRET]):
            code, text = serve(self.g, *words)
            self.assertEqual(code, 3, text)
            self.assertNotIn(SECRET, text)
        code, text = serve(self.g, "--key=" + SECRET)
        self.assertIn("keys come from files", text)
        # others' variables are nobody's business
        self.assertEqual(self.g.run("check", env=dict(
            self.g.env, SSH_KEY="x", KEYBOARD="us", API_KEY="y"))[0], 0)


class Records(unittest.TestCase):
    def test_r31_loads_rotations_and_destructions_are_recorded_by_id(self):
        folder = tempfile.mkdtemp(prefix="lethe-keys-")
        self.addCleanup(shutil.rmtree, folder, True)
        clock = FakeClock(folder)
        with Gateway(faketime=clock.path) as g:
            g.post("/v1/events", event(timestamp=clock.text(), session="s"))
            g.settled()
            clock.move(days=1)

            def records(act):
                out = g.run("audit", "search", "--act", act)[1]
                return [json.loads(line)["d"] for line in out.splitlines()]
            wait_until("a rotation", lambda: len(records("key.rotate")) > 1)
            for kind in ("epoch", "spool"):
                wait_until("destroyed: " + kind, lambda: kind in [
                    d["kind"] for d in records("key.destroy")])
            loads = records("key.load")
            self.assertEqual({d["kind"] for d in loads}, {"master", "optout", "log"})
            for d in loads:
                self.assertRegex(d["id"], "^[0-9a-f]{8}$" if d["kind"] == "log" else "^[0-9a-f]{12}$")
            log = g.run("audit", "search")[1]
            for name in ("master.key", "optout.key"):
                with open(os.path.join(g.home, "keys", name)) as f:
                    key = f.read().strip()
                for piece in (key[:13], key[-13:]):
                    self.assertNotIn(piece, log)
                    self.assertNotIn(piece, g.log.decode())


class Memory(unittest.TestCase):
    def proc(self, g, name):
        with open("/proc/%d/%s" % (g.process.pid, name), "rb") as f:
            return f.read()

    def locked_kb(self, g):
        status = self.proc(g, "status").decode()
        return int(status.split("VmLck:")[1].split()[0])

    def test_r35_locked_and_without_a_core(self):
        with Gateway() as g:
            limits = self.proc(g, "limits").decode()
            core = next(line for line in limits.splitlines() if "core file" in line)
            self.assertEqual(core.split()[4:6], ["0", "0"])
            if not is_sanitized():  # they make mlock() do nothing
                self.assertGreater(self.locked_kb(g), 0)
            self.assertNotIn(b"could not be locked", g.log)
            # non-dumpable: its files in /proc are root's, whoever runs it
            self.assertEqual(os.stat("/proc/%d/mem" % g.process.pid).st_uid, 0)

    def test_r35_not_dumpable_for_its_own_user(self):
        if os.geteuid() != 0 or not shutil.which("setpriv"):
            self.skipTest("needs root and setpriv")
        folder = tempfile.mkdtemp(prefix="lethe-dump-")
        self.addCleanup(shutil.rmtree, folder, True)
        os.chown(folder, 65534, 65534)
        as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        home = os.path.join(folder, "gw")
        done = subprocess.run(as_nobody + [LETHE, "init", home], capture_output=True)
        if done.returncode != 0:
            self.skipTest("the build cannot be run by another user")
        g = Gateway(start=False, folder=folder, wrap=as_nobody)
        g.write_config({})
        os.chmod(g.conf_path, 0o644)
        g.start()
        try:
            self.assertEqual(os.stat("/proc/%d/mem" % g.process.pid).st_uid, 0)
            done = subprocess.run(as_nobody + ["cat", "/proc/%d/environ" % g.process.pid],
                                  capture_output=True)
            self.assertNotEqual(done.returncode, 0)
        finally:
            g.close()

    def test_r35_without_locked_memory_it_says_so(self):
        if is_sanitized():
            self.skipTest("a sanitizer makes mlock() do nothing")
        if os.geteuid() == 0:
            wrap = ["setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock"]
        else:
            wrap = []
        if not shutil.which("setpriv") or not shutil.which("prlimit"):
            self.skipTest("needs setpriv and prlimit")
        with Gateway(wrap=wrap + ["prlimit", "--memlock=0:0"]) as g:
            self.assertEqual(self.locked_kb(g), 0)
            self.assertRegex(g.log, rb"WARN|warn")
            self.assertIn(b"lock", g.log)

    def test_r32_nothing_secret_in_arguments_or_environment(self):
        with Gateway() as g:
            said = self.proc(g, "cmdline") + self.proc(g, "environ")
            for name in ("master.key", "optout.key"):
                with open(os.path.join(g.home, "keys", name), "rb") as f:
                    self.assertNotIn(f.read().strip(), said)


if __name__ == "__main__":
    main()
