#!/usr/bin/env python3
"""Receipts of decisions: given to an app that asks for them with its token,
to nobody else (R50: and whoever the event is of), and in no other place."""
import json
import unittest

from harness import Gateway, event, main, wait_until

YES = {"product": True}
ORIGIN = "https://mixbot.example"


def token(g, role, *more):
    out = g.run("token", "add", "--role", role, "--json", *more, check=True)[1]
    return json.loads(out)["token"]


def asking(text, **more):
    return dict({"Authorization": "Bearer " + text, "Lethe-Receipt": "1"}, **more)


def receipt_of(answer):
    found = [v for n, v in answer.headers if n.lower() == "lethe-receipt"]
    if len(found) > 1:
        raise AssertionError(found)
    return found[0] if found else None


def rows_of(g, receipt):
    code, out, err = g.run("audit", "search", "--receipt", receipt, "--format", "jsonl")
    if code != 0:
        raise AssertionError(err)
    return [json.loads(line) for line in out.splitlines()]


def plus(receipt, k):
    return "%016x" % (int(receipt, 16) + k)


class Given(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.g = Gateway()
        cls.app = token(cls.g, "app")

    @classmethod
    def tearDownClass(cls):
        cls.g.close()

    def send(self, body, path="/v1/events", **more):
        answer = self.g.post(path, body, asking(self.app, **more))
        self.assertEqual(answer.status, 200, answer)
        return receipt_of(answer)

    def rows(self, receipt):
        return wait_until("the row of a receipt", lambda: rows_of(self.g, receipt))

    def test_it_names_the_events_rows(self):
        receipt = self.send(event(consent=YES))
        self.assertRegex(receipt, r"^[0-9a-f]{16}$")
        self.assertEqual(self.rows(receipt)[0]["act"], "cleared-minimised")
        self.assertEqual(self.rows(self.send(event(consent="denied")))[0]["act"], "dropped")

    def test_each_event_of_a_batch_by_its_place(self):
        batch = [event(consent=YES), event(consent="denied"), event("Never Heard Of")]
        receipt = self.send(batch)
        acts = [self.rows(plus(receipt, k))[0]["act"] for k in range(3)]
        self.assertEqual(acts, ["cleared-minimised", "dropped", "dropped"])
        self.assertEqual(rows_of(self.g, plus(receipt, 3)), [])
        self.assertEqual(rows_of(self.g, plus(receipt, -1)), [])

    def test_events_not_understood_keep_their_place(self):
        batch = [{"action": 7}, event(consent=YES), 5, event("Never Heard Of"), "no"]
        answer = self.g.post("/v1/events", batch, asking(self.app))
        self.assertEqual(answer.json()["bad"], [0, 2, 4])
        receipt = receipt_of(answer)
        self.assertEqual(self.rows(plus(receipt, 3))[0]["reason"], "unknown-event")
        self.assertEqual(self.rows(plus(receipt, 1))[0]["reason"], "none")
        for k in (0, 2, 4, 5):
            self.assertEqual(rows_of(self.g, plus(receipt, k)), [], k)

    def test_json_lines_and_a_path_of_the_site(self):
        lines = "\n".join(json.dumps(event(consent=YES)) for _ in range(3)) + "\nnot json\n"
        receipt = self.send(lines, "/s/mixbot/v1/events")
        self.assertEqual([len(self.rows(plus(receipt, k))) > 0 for k in range(3)], [True] * 3)
        self.assertEqual(rows_of(self.g, plus(receipt, 3)), [])

    def test_the_largest_batch(self):
        small = {"timestamp": event()["timestamp"], "session_id": "s", "action": "Nothing"}
        receipts = [self.send([small] * 10000) for _ in range(3)]
        starts = sorted(int(r, 16) for r in receipts)
        for a, b in zip(starts, starts[1:]):
            self.assertGreater(b - a, 10000)
        for r in receipts:
            self.assertTrue(self.rows(plus(r, 9999)))
            self.assertEqual(len(self.rows(r)), len(self.rows(plus(r, 4711))))
            self.assertEqual(rows_of(self.g, plus(r, 10000)), [])

    def test_an_sdks_path(self):
        one = {"event": "Song Played", "properties": {"distinct_id": "d"}}
        receipt = self.send([one, 5, one], "/track")
        self.assertTrue(self.rows(receipt))
        self.assertEqual([len(rows_of(self.g, plus(receipt, k))) > 0 for k in range(4)],
                         [True, False, True, False])

    def test_r50_whoever_the_event_is_of(self):
        self.g.post("/v1/optout", {"session_id": "gone"})
        shapes = set()
        for body in (event(session="here", consent=YES), event(session="gone", consent=YES),
                     event(consent="denied"), event("Never Heard Of")):
            answer = self.g.post("/v1/events", body, asking(self.app))
            shapes.add((answer.status, tuple(sorted(n for n, v in answer.headers)), answer.body))
            self.assertRegex(receipt_of(answer), r"^[0-9a-f]{16}$")
        self.assertEqual(len(shapes), 1)

    def test_it_is_sent_nowhere_else(self):
        receipt = self.send(event(consent=YES))
        self.g.settled()
        seen = self.g.recorder.bytes() + json.dumps(
            self.g.file_lines() + self.g.rows(), default=str).encode() + self.g.log
        self.assertNotIn(receipt.encode(), seen)
        self.assertNotIn(str(int(receipt, 16)).encode(), seen)

    def test_a_request_that_is_refused_has_none(self):
        for body in ("[", [5], []):
            answer = self.g.post("/v1/events", body, asking(self.app))
            self.assertIsNone(receipt_of(answer), body)

    def test_a_token_is_no_write_key_and_no_other_bearer_is_one(self):
        self.assertEqual(self.g.post("/v1/events", event(), {
            "Authorization": "Bearer not a key"}).status, 404)
        self.assertEqual(self.g.post("/v1/events", event(), {
            "Authorization": "Bearer " + self.app, "X-Write-Key": "lt1_x"}).status, 404)


class NotGiven(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.g = Gateway()
        cls.app = token(cls.g, "app")

    @classmethod
    def tearDownClass(cls):
        cls.g.close()

    def none(self, headers, what):
        answer = self.g.post("/v1/events", event(consent=YES), headers)
        self.assertEqual(answer.status, 200, what)
        self.assertIsNone(receipt_of(answer), what)

    def test_without_asking(self):
        self.none({}, "nothing")
        self.none({"Authorization": "Bearer " + self.app}, "the token alone")
        for value in ("0", "", "2", "yes", "true", "1, 1", "11"):
            self.none(asking(self.app, **{"Lethe-Receipt": value}), value)

    def test_without_a_token_of_an_app(self):
        self.none({"Lethe-Receipt": "1"}, "no token")
        for role in ("auditor", "officer", "operator", "owner", "developer"):
            self.none(asking(token(self.g, role)), role)
        for text in ("lt1_" + "A" * 43, self.app[:-1], self.app + "A", "lt1_"):
            self.none(asking(text), text)
        self.none({"Authorization": "Basic " + self.app, "Lethe-Receipt": "1"}, "basic")

    def test_with_a_token_that_is_over(self):
        revoked = token(self.g, "app")
        entry = json.loads(self.g.run("token", "list", "--json")[1])[-1]
        self.g.run("token", "revoke", entry["id"], check=True)
        self.none(asking(revoked), "revoked")

    def test_to_a_browser(self):
        self.assertIsNotNone(receipt_of(self.g.post("/v1/events", event(), asking(self.app))))
        for name, value in (("Origin", ORIGIN), ("Origin", "null"), ("Cookie", "a=b"),
                            ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "cors"),
                            ("Referer", "https://mixbot.example/")):
            self.none(asking(self.app, **{name: value}), name)

    def test_cors_neither_lets_a_page_ask_nor_read(self):
        answer = self.g.request("OPTIONS", "/v1/events", headers={
            "Origin": ORIGIN, "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "lethe-receipt"})
        self.assertNotIn("receipt", str(answer.headers).lower())
        answer = self.g.post("/v1/events", event(), asking(self.app, Origin=ORIGIN))
        self.assertNotIn("receipt", str(answer.headers).lower())


class Elsewhere(unittest.TestCase):
    def test_off_where_rows_are_left_out_and_the_start_says_so(self):
        for rows in ("dropped", "none"):
            with Gateway({"audit": {"rows": rows}}) as g:
                answer = g.post("/v1/events", event(), asking(token(g, "app")))
                self.assertEqual((answer.status, receipt_of(answer)), (200, None))
                self.assertIn(b"no receipts are given", g.log)
        with Gateway() as g:
            self.assertNotIn(b"no receipts are given", g.log)

    def test_a_token_of_one_site_asks_for_that_site_alone(self):
        with Gateway(start=False) as g:
            site = dict(g.conf["sites"][0], id="0" * 15 + "1", name="other", destinations=[])
            g.conf["sites"].append(json.loads(json.dumps(site)))
            g.conf["sites"][1]["origins"] = []
            with open(g.conf_path, "w") as f:
                json.dump(g.conf, f)
            g.start()
            mine = token(g, "app", "--site", "mixbot")
            for path, given in (("/s/mixbot/v1/events", True), ("/s/other/v1/events", False)):
                answer = g.post(path, event(), asking(mine))
                self.assertEqual((answer.status, receipt_of(answer) is not None), (200, given))


if __name__ == "__main__":
    main()
