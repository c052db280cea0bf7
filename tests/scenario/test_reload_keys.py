#!/usr/bin/env python3
"""A reload takes what it says, or nothing: every key of lethe.json is either
taken over or named as one that needs a restart."""
import json
import re
import unittest

from harness import PATIENCE_S, Gateway, main

NEEDS_RESTART = [
    ("listen", lambda c: c["listen"][0].update(trusted_proxies=["127.0.0.1"])),
    ("listen", lambda c: c["listen"].append({"address": "127.0.0.2:0"})),
    ("admin", lambda c: c.update(admin=None)),
    ("admin", lambda c: c["admin"].update(
        tls={"certificate": "c.pem", "key": {"file": "k.pem"}})),
    ("master_key", lambda c: c.update(master_key={"file": "keys/other"})),
    ("optout_key", lambda c: c.update(optout_key={"file": "keys/other"})),
    ("optout_journal", lambda c: c.update(optout_journal="other")),
    ("epoch_store", lambda c: c.update(epoch_store="disk")),
    ("audit", lambda c: c["audit"].update(origin="other/audit")),
    ("audit", lambda c: c["audit"].update(rows="none")),
    ("audit", lambda c: c["audit"].update(time_step="PT10S")),
    ("audit", lambda c: c["audit"].update(subject_search="PT0S")),
    ("workers", lambda c: c.update(workers=2)),
    ("forwarders", lambda c: c.update(forwarders=2)),
    ("limits", lambda c: c["limits"].update(connections=7)),
    ("limits", lambda c: c["limits"].update(body="1MiB")),
    ("limits", lambda c: c["limits"].update(inflated="10MiB")),
    ("limits", lambda c: c["limits"].update(request_time="PT5S")),
    ("limits", lambda c: c["limits"].update(journal="64MiB")),
    ("limits", lambda c: c["limits"].update(rate={"optout": 5, "events": 0})),
    ("limits", lambda c: c["limits"].update(rate={"optout": 0, "events": 5})),
    ("log", lambda c: c.update(log={"level": "debug"})),
    ("log", lambda c: c.update(log={"format": "json"})),
]

TAKEN = [
    ("limits.spool", lambda c: c["limits"].update(spool="1GiB")),
    ("limits.disk_free", lambda c: c["limits"].update(disk_free="2MiB")),
    ("admin.hosts", lambda c: c["admin"].update(hosts=["localhost", "admin.example"])),
    ("origins", lambda c: c["sites"][0].update(origins=["https://app.example"])),
    ("keys", lambda c: c["sites"][0].update(keys=["wk_1"])),
    ("a destination less", lambda c: c["sites"][0]["destinations"].pop(0)),
]


class ReloadKeys(unittest.TestCase):
    def setUp(self):
        self.gateway = Gateway()
        self.addCleanup(self.gateway.close)

    def reload_with(self, change):
        conf = json.loads(json.dumps(self.gateway.conf))
        change(conf)
        with open(self.gateway.conf_path, "w") as f:
            json.dump(conf, f)
        return self.gateway.run("reload")

    def test_what_only_a_restart_changes_is_named_and_nothing_is_taken(self):
        for key, change in NEEDS_RESTART:
            with self.subTest(key=key):
                code, out, err = self.reload_with(change)
                self.assertEqual(code, 1, out + err)
                self.assertIn("needs a restart", out)
                self.assertTrue(any(key in line for line in out.splitlines()
                                    if "needs a restart" in line), out)
                self.assertIn("stay in force", out)

    def test_what_is_taken_is_taken(self):
        for key, change in TAKEN:
            with self.subTest(key=key):
                code, out, err = self.reload_with(change)
                self.assertEqual(code, 0, out + err)
                self.assertTrue(out.endswith("reloaded: 1 sites\n"), out)
        answer = self.gateway.admin("GET", "/healthz", headers={"Host": "other.example"})
        self.assertEqual(answer.status, 403)

    def use(self, version, keep):
        """The policy with this version, and another content for another `keep`."""
        self.gateway.write_policy(re.sub(
            r'"spool": "[^"]*"', '"spool": "%s"' % keep,
            self.first.replace('"version": "1"', '"version": "%s"' % version)))

    def test_a_version_is_one_content_for_ever(self):
        g = self.gateway
        self.first = g.read_policy()
        self.assertIn('"version": "1"', self.first)
        self.use("2", "P2D")
        self.assertEqual(g.run("reload")[0], 0)
        self.use("1", "P3D")  # the first version, long gone, with other rules
        code, out, _ = g.run("reload")
        self.assertEqual(code, 1)
        self.assertIn('policy/mixbot.json: the content changed but "version" did not', out)
        # also for a start, which knows of nothing but the state folder
        g.stop()
        g.start(wait=False)
        self.assertEqual(g.process.wait(PATIENCE_S), 1)
        g.reader.join(PATIENCE_S)
        self.assertIn(b'"version" did not', g.log)
        g.stop()
        # a check has no state to look at, and says nothing
        self.assertEqual(g.run("check")[0], 0)
        # what was refused has no claim to its version
        self.use("3", "P3D")
        g.start()
        self.use("2", "P2D")
        self.assertEqual(g.run("reload")[0], 0)
        g.write_policy(self.first)
        self.assertEqual(g.run("reload")[0], 0)
        code, out, _ = g.run("audit", "search", "--act", "policy.reject", "--json")
        self.assertEqual(out.count('"why":"boot"'), 1, out)


if __name__ == "__main__":
    main()
