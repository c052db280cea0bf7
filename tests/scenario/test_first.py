#!/usr/bin/env python3
"""The whole way of an event, once: with consent, without, opted out."""
import unittest

from harness import Gateway, event, main, wait_until


class FirstEvent(unittest.TestCase):
    def test_without_consent_only_our_own_destinations_get_it(self):
        with Gateway() as g:
            answer = g.post("/v1/events", event())
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.json(), {"status": "ok", "received": 1})
            wait_until("a line in the file", lambda: g.file_lines())
            wait_until("a row in the store", lambda: g.rows())
            g.settled()
            self.assertEqual(g.recorder.accepted(), [])
            line = g.file_lines()[0]
            self.assertEqual(line["action"], "file_upload")
            self.assertEqual(line["details"]["file_extension"], "wav")
            self.assertNotIn("Jane", str(line))

    def test_with_consent_all_destinations_get_it(self):
        with Gateway() as g:
            g.post("/v1/events", event(consent={"product": True}))
            wait_until("the http destination", lambda: g.recorder.accepted())
            wait_until("a line", lambda: g.file_lines())
            wait_until("a row", lambda: g.rows())

    def test_after_an_opt_out_nothing_leaves(self):
        with Gateway() as g:
            answer = g.post("/v1/optout", {"session_id": "sess-1"})
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.json()["reach"], ["this visit"])
            self.assertEqual(g.post("/v1/events", event(consent={"product": True})).status, 200)
            g.settled()
            self.assertEqual((g.recorder.accepted(), g.file_lines(), g.rows()), ([], [], []))
            code, out, err = g.run("subject", "status", stdin=b"sess-1\n")
            self.assertEqual((code, out), (0, "identifier 1: opted out\n"))
            g.post("/v1/optin", {"receipt": answer.json()["receipt"]})
            g.post("/v1/events", event(consent={"product": True},
                                       timestamp="2020-01-01T00:00:00Z"))

    def test_audit_counts_what_was_decided(self):
        with Gateway() as g:
            for _ in range(3):
                g.post("/v1/events", event())
            g.post("/v1/events", event(action="Unheard Of"))
            g.settled()
            self.assertEqual(g.stop(), 0)
            code, out, err = g.run("audit", "verify", "--rows")
            self.assertEqual(code, 0, out + err)  # a clean stop signs the end
            self.assertIn("sound: signed by ", out)


if __name__ == "__main__":
    main()
