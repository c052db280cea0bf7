#!/usr/bin/env python3
"""Signals that an app passes on among the fields (signals.from_properties),
and event ids made with keys kept beside the epoch's."""
import json
import os
import unittest

from harness import Gateway, event, main, wait_until

POLICY = '"signals": {"from_properties": {"gpc": "privacy.gpc", "dnt": "dnt"}, '


def with_properties(g):
    text = g.read_policy()
    assert '"signals": {' in text
    g.write_policy(text.replace('"signals": {', POLICY, 1))


def told(path, value):
    e = event(consent={"product": True})
    at = e["details"]
    for name in path[:-1]:
        at = at.setdefault(name, {})
    at[path[-1]] = value
    return e


class Properties(unittest.TestCase):
    def test_r61_gpc_among_the_fields_denies_what_needs_consent(self):
        with Gateway(start=False) as g:
            with_properties(g)
            g.start()
            for value in (True, 1, "1", "true"):
                self.assertEqual(g.post("/v1/events", told(("privacy", "gpc"), value)).status, 200)
            for value in (False, 0, "no", None):
                g.post("/v1/events", told(("privacy", "gpc"), value))
            wait_until("the ones without the signal", lambda: len(g.recorder.accepted()) >= 4)
            g.settled()
            self.assertEqual(len(g.recorder.accepted()), 4)
            self.assertEqual(len(g.file_lines()), 8)  # Mixbot: gpc is deny-consent

    def test_r61_dnt_among_the_fields_denies_all(self):
        with Gateway(start=False) as g:
            with_properties(g)
            g.start()
            g.post("/v1/events", told(("dnt",), "1"))
            g.post("/v1/events", event())
            wait_until("the other one", lambda: g.file_lines())
            g.settled()
            self.assertEqual(len(g.file_lines()), 1)

    def test_commands_see_what_the_gateway_sees(self):
        with Gateway(start=False) as g:
            with_properties(g)
            policy = os.path.join(g.home, "policy", "mixbot.json")
            sample = json.dumps(told(("privacy", "gpc"), True)).encode() + b"\n"
            code, out, err = g.run("minimise", "--policy", policy, "--destination", "any",
                                   stdin=sample)
            self.assertEqual((code, out), (0, ""), err)
            code, out, err = g.run("policy", "explain", policy, stdin=sample)
            self.assertIn("any: not cleared: gpc", out, err)


class EventIds(unittest.TestCase):
    """R23, R24: re-keyed per destination; the same for a client's retry."""

    def test_a_retry_has_the_same_id_and_no_two_destinations_share_one(self):
        with Gateway() as g:
            for own in ("one", "one", "two"):
                g.post("/v1/events", event(consent={"product": True}, id=own))
            wait_until("three each", lambda: len(g.recorder.accepted()) == 3
                       and len(g.file_lines()) == 3)
            ids = {"any": [e["id"] for e in g.recorder.accepted()],
                   "file": [e["id"] for e in g.file_lines()]}
            for name, (a, b, c) in ids.items():
                self.assertEqual(a, b, name)
                self.assertNotEqual(a, c, name)
            self.assertFalse(set(ids["any"]) & set(ids["file"]))

    def test_r33_without_the_epoch_an_id_cannot_be_made_again(self):
        """A fresh epoch (memory, restarted) under the same keys: other ids."""
        with Gateway() as g:
            for round in (1, 2):
                g.post("/v1/events", event(id="one"))
                wait_until("a line", lambda: len(g.file_lines()) == round)
                g.restart()
            self.assertEqual(len({e["id"] for e in g.file_lines()}), 2)


if __name__ == "__main__":
    main()
