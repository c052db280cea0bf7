#!/usr/bin/env python3
"""The opt-out endpoints and commands: which identifiers, what is answered,
receipts, the form's cookie (R42, R56, R60, R61)."""
import re
import unittest

from harness import Gateway, event, main, wait_until
from optouts import arrived, everywhere, numbered, opt_out, pause_all, records

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
RECEIPT = r"lo1-[A-Za-z0-9_-]{43}"


class Api(unittest.TestCase):
    def test_r42_every_identifier_given_counts_or_the_request_does_not(self):
        with Gateway() as g:
            def answer(body):
                a = g.post("/v1/optout", body)
                return a.status, a.json().get("reach")
            self.assertEqual(answer({"session_id": "a"}), (200, ["this visit"]))
            self.assertEqual(answer({"user_id": "u", "session_id": "b", "device_id": None}),
                             (200, ["this visit", "this account"]))
            self.assertEqual(answer({"ids": {"device_id": "d", "session_id": 12345678901234567890}}),
                             (200, ["this visit", "this browser"]))
            # a kind that we do not know: on the list, no claim how far it reaches
            self.assertEqual(answer({"ids": {"customer": "Jane@Example.org"}}), (200, []))
            self.assertEqual(answer({"ids": {"k%d" % i: "v%d" % i for i in range(8)}}), (200, []))
            for bad in ({}, [], {"ids": {}}, {"session_id": ""}, {"session_id": ["a"]},
                        {"session_id": "fine", "customer": "passed over?"},
                        {"session_id": "fine", "user_id": True}, {"ids": "a"}, {"user_id": None},
                        {"ids": {"k%d" % i: "v%d" % i for i in range(9)}},
                        {"session_id": "x" * 1025}):
                self.assertEqual(g.post("/v1/optout", bad).status, 400, bad)
            self.assertEqual(g.post("/v1/optout", {"session_id": "x" * 1024}).status, 200)
            g.post("/v1/events", [
                numbered(1, "a"), numbered(2, "b"), numbered(3, "s", device_id="d"),
                numbered(4, 12345678901234567890), numbered(5, "s", user_id="jane@example.ORG"),
                numbered(6, "v7"), numbered(7, "x" * 1024), numbered(8, "fine"),
                # one of several is enough, whichever it is
                numbered(9, "a", device_id="fine", user_id="too"),
                numbered(10, "s", device_id="d", user_id="too"),
                numbered(11, "s", device_id="fine", user_id="JANE@example.org"),
                numbered(12, "s", device_id="fine", group_id="v3"),
                numbered(13, "s", device_id="fine", user_id="too")])
            self.assertTrue(everywhere(g, [8, 13]), arrived(g))

    def test_r42_further_fields_that_name_a_person(self):
        with Gateway(start=False) as g:
            g.write_policy(g.read_policy().replace(
                '"optout_identifiers": []', '"optout_identifiers": ["customer.mail", "badge"]'))
            g.start()
            opt_out(g, ids={"mail": "Jane@Example.org", "badge": "77"})
            def about(n, **fields):
                e = numbered(n)
                e["details"].update(fields)
                return e
            g.post("/v1/events", [
                about(1, customer={"mail": "jane@example.ORG"}), about(2, badge=77),
                about(3, badge="78", customer={"mail": "joe@example.org"}),
                about(4, mail="jane@example.org"), about(5, customer="jane@example.org")])
            self.assertTrue(everywhere(g, [3, 4, 5]), arrived(g))
            pause_all(g)  # and they sweep what waits
            g.post("/v1/events", [about(6, badge="78"), about(7, badge="79")])
            opt_out(g, ids={"badge": 78})
            pause_all(g, False)
            self.assertTrue(everywhere(g, [3, 4, 5, 7]), arrived(g))

    def test_r60_each_receipt_lifts_its_own_entry_and_the_ninth_none(self):
        with Gateway() as g:
            receipts = [opt_out(g, session_id="s") for _ in range(10)]
            for r in receipts:
                self.assertRegex(r, "^%s$" % RECEIPT)
            self.assertEqual(len(set(receipts)), 10)
            def lift(body):
                a = g.post("/v1/optin", body)
                return a.status, a.body
            ok = (200, b'{"status":"ok"}')
            for r in receipts[8:] + receipts[:7] + receipts[:7] + [
                    "nonsense", "", "x" * 5000, "lo1-" + "A" * 43, receipts[7][:-1]]:
                self.assertEqual(lift({"receipt": r}), ok)
            g.post("/v1/events", [numbered(1, "s"), numbered(2)])
            self.assertTrue(everywhere(g, [2]), arrived(g))
            both = opt_out(g, device_id="d", user_id="u")
            self.assertRegex(both, r"^%s\.%s$" % (RECEIPT, RECEIPT))
            self.assertEqual(lift({"receipt": receipts[7] + "." + both}), ok)
            # the same answer without a token, whatever the identifier
            for ids in ({"session_id": "s"}, {"session_id": "never"}):
                self.assertEqual(g.post("/v1/optin", ids).status, 403)
            # events of the time when it stood stay denied: their own time says so
            g.post("/v1/events", [numbered(3, "s"), numbered(4)])
            later = event(session="s", consent={"product": True}, timestamp=None)
            del later["timestamp"]
            later["details"]["file_size"] = 5 * 1048576
            g.post("/v1/events", [later])
            wait_until("the later one", lambda: 5 in arrived(g)["any"])
            g.settled()
            self.assertNotIn(1, arrived(g)["file"])
            # each tells of the entry that fell: by the commitment of its opt-out
            fell = [r["sub"] for r in records(g, "optout.clear")]
            self.assertEqual(len(fell), 10)
            self.assertEqual(len(set(fell)), 10)
            self.assertLessEqual(set(fell), {r["sub"] for r in records(g, "optout.set")})

    def test_law10_the_log_grows_by_one_however_often_somebody_was_opted_out(self):
        """The public checkpoint tells how many records there are."""
        with Gateway() as g:
            for count in range(1, 12):
                opt_out(g, session_id="s")
                wait_until("its record", lambda: len(records(g, "optout.set")) == count)

    def test_r42_any_identifier_of_an_event_is_enough_wherever_it_stands(self):
        with Gateway() as g:
            opt_out(g, session_id="out")
            kinds = ("session", "user_id", "device_id")
            for n, kind in enumerate(kinds):
                ids = {k: "in-%s" % k for k in kinds}
                ids[kind] = "out"
                g.post("/v1/events", numbered(n + 1, **ids))
            g.post("/v1/events", numbered(9, "in", user_id="in-user", device_id="in-device"))
            self.assertTrue(everywhere(g, [9]), arrived(g))

    def test_r60_an_app_token_lifts_all_of_a_user(self):
        with Gateway() as g:
            tokens = {role: re.search(r"\S{20,}", g.run("token", "add", "--role", role,
                                                        check=True)[1]).group()
                      for role in ("app", "auditor")}
            for _ in range(3):
                opt_out(g, user_id="u")
            def lift(token):
                headers = {"Authorization": "Bearer " + token} if token else {}
                return g.post("/v1/optin", {"user_id": "u"}, headers).status
            for token in (None, tokens["auditor"], tokens["app"][:-1] + "!", "x"):
                self.assertEqual(lift(token), 403)
            self.assertEqual(g.run("subject", "status", stdin=b"u")[1], "identifier 1: opted out\n")
            self.assertEqual(lift(tokens["app"]), 200)
            self.assertEqual(lift(tokens["app"]), 200)  # nothing left: nothing to record
            self.assertEqual(sorted(r["sub"] for r in records(g, "optout.clear")),
                             sorted(r["sub"] for r in records(g, "optout.set")))
            self.assertEqual(g.run("subject", "status", stdin=b"u")[1],
                             "identifier 1: not opted out\n")

    def test_r56_the_cookie_is_secure_unless_the_browser_says_it_cannot_be(self):
        with Gateway() as g:
            host = "127.0.0.1:%d" % g.port
            for origin, secure in ((None, True), ("https://" + host, True), ("null", True),
                                   ("http://other.example", True), ("http://" + host, False)):
                headers = dict(FORM, **({"Origin": origin} if origin else {}))
                a = g.post("/v1/optout", b"", headers)
                cookie = dict(a.headers)["Set-Cookie"]
                self.assertEqual((a.status, "; Secure" in cookie), (303, secure), origin)
                self.assertTrue(cookie.startswith("lethe_optout=1; "))
            a = g.post("/s/mixbot/v1/optout", b"", FORM)
            self.assertEqual(dict(a.headers)["Location"], "/s/mixbot/privacy")

    def test_r42_many_at_once_from_a_file_never_from_argv(self):
        with Gateway() as g:
            code, out, err = g.run("subject", "optout", "somebody")
            self.assertEqual(code, 3)
            many = "".join("person %d\n\n" % i for i in range(100)).encode()
            code, out, err = g.run("subject", "optout", stdin=many)
            self.assertEqual((code, len(re.findall(RECEIPT, out))), (0, 100), err)
            receipts = re.findall(RECEIPT, out)
            code, out, err = g.run("subject", "status", stdin=many + b"somebody\n")
            self.assertEqual(out.splitlines(), ["identifier %d: opted out" % (i + 1)
                                                for i in range(100)]
                             + ["identifier 101: not opted out"])
            code, out, err = g.run("subject", "optin", "--receipt",
                                   stdin="\n".join(receipts[:20]).encode())
            self.assertEqual((code, out), (0, "1 opt-outs lifted\n" * 20), err)
            self.assertEqual(g.status()["optouts"], 80)
            g.stop()  # on the state itself, when no gateway runs
            code, out, err = g.run("subject", "optout", stdin=b"a\nb\n" * 10)
            self.assertEqual((code, len(re.findall(RECEIPT, out))), (0, 20), err)
            self.assertEqual(g.run("subject", "optin", stdin=b"a\n")[0], 1)
            g.start()
            g.post("/v1/events", [numbered(1, "a"), numbered(2, "person 50"), numbered(3)])
            self.assertTrue(everywhere(g, [3]), arrived(g))

    def test_r42_the_rate_is_of_opt_outs_alone(self):
        with Gateway(config={"limits": {"rate": {"optout": 3, "events": 0}}}) as g:
            got = [g.post("/v1/optout", {"session_id": "s%d" % i}).status for i in range(4)]
            self.assertEqual(got, [200, 200, 200, 429])
            self.assertEqual(g.post("/v1/optin", {"receipt": "r"}).status, 429)
            self.assertEqual(g.post("/v1/optout", b"", FORM).status, 429)
            self.assertEqual(g.get("/v1/optout").status, 200)
            self.assertEqual(g.post("/v1/events", event()).status, 200)
            self.assertEqual(g.run("subject", "optout", stdin=b"x\n")[0], 0)


if __name__ == "__main__":
    main()
