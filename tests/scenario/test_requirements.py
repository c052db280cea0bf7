#!/usr/bin/env python3
"""The rules that rules can show, on the real binary: R3 to R28, R37, R38, R51,
R72 and R75 as requirements.md words them, for the plain dialect. What needs
many values at once is in tests/unit; docs/requirements.md is the table."""
import base64
import hashlib
import json
import os
import re
import unittest

from fakeclock import FIRST_DAY, FakeClock
from harness import Gateway, event, main, wait_until

PROFILES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "policy",
                        "profiles")
YES = {"product": True}
PSEUDONYM = re.compile(r"^[a-z2-7]{26}$")


def mixbot(change=None):
    with open(os.path.join(PROFILES, "mixbot.json")) as f:
        policy = json.loads(re.sub(r"//[^\n\"]*(\"[^\n]*)?$", "", f.read(), flags=re.M))
    if change is not None:
        change(policy)
    return policy


def text(change=None):
    return json.dumps(mixbot(change))


def everything(g):
    """All that left: what the recorder, the file and the store got."""
    return g.recorder.bytes() + json.dumps([g.file_lines(), g.rows()]).encode()


def arrived(g, n):
    wait_until("%d events everywhere" % n, lambda: len(g.recorder.accepted()) >= n
               and len(g.file_lines()) >= n and len(g.rows()) >= n)
    g.settled()


def metric(g, name):
    body = g.admin("GET", "/metrics").body.decode()
    return sum(int(line.rsplit(" ", 1)[1]) for line in body.splitlines()
               if line.startswith(name + "{"))


class Fields(unittest.TestCase):
    def test_r9_a_thousand_unknown_keys_are_dropped_and_counted(self):
        with Gateway() as g:
            e = event(consent=YES)
            e["details"].update({"canary_d%03d" % i: "canary" for i in range(500)})
            e["details"]["canary_nested"] = {"canary_in": {"canary_deep": "canary"}}
            e.update({"canary_t%03d" % i: ["canary"] for i in range(299)})
            e["context"] = {"canary_c%03d" % i: "canary" for i in range(100)}
            query = "&".join("canary_q%03d=canary" % i for i in range(100))
            self.assertEqual(g.post("/v1/events?" + query, e).status, 200)
            arrived(g, 1)
            self.assertNotIn(b"canary", everything(g))
            self.assertEqual(metric(g, "lethe_unknown_fields_total"), 1000)
            g.post("/v1/events", event(consent=YES))
            arrived(g, 2)
            self.assertEqual(metric(g, "lethe_unknown_fields_total"), 1000)

    def test_r4_r7_r10_r12_r14_r15_r16_r17_r72_nothing_that_names_a_person(self):
        email = "jane.doe@x.test"
        hashed = hashlib.sha256(email.encode())
        planted = {
            "dr": "https://r7.example/r7path", "$referrer": "https://r7.example/r7path",
            "utm_campaign": "r10-" + email, "gclid": "r10gclid", "_gl": "r10gl",
            "uid": "r12uid", "$email": email, "em": hashed.hexdigest(),
            "user_data": {"sha256_email_address": base64.b64encode(hashed.digest()).decode()},
            "_p": 1718281828459, "sid": 1718281828, "sct": 7, "timestamp_micros": 1718281828459045,
            "npa": 0, "ad_user_data": "GRANTED", "ad_personalization": "GRANTED",
            "file_path": "C:\\Users\\r16jane\\mix.wav", "dt": "Inbox - " + email,
            "search_term": "r17search", "ip": "203.0.113.7"}
        with Gateway() as g:
            e = event(session="r4session", consent=YES, user_id="r4user", device_id="r4device",
                      group_id="r4group", timestamp="2026-01-02T03:04:05.678Z", context={
                          "referrer": "https://r7.example/r7path?q=r7", "title": "Inbox - " + email,
                          "campaign": "r10-" + email, "url": "https://m.example/upload/r8?u=r8#r8",
                          "screen": "r11screen", "language": "fr-r11", "ip": "203.0.113.7"})
            e["details"].update(planted)
            e["timestamp"] = event()["timestamp"][:-3] + "37Z"
            g.post("/v1/events", e)
            arrived(g, 1)
            got = everything(g)
            for canary in ("r4session", "r4user", "r4device", "r4group",
                           "r7.example", "r7path", "r8", "r10", "r11", "r12", "r16", "r17", "jane.", email,
                           "GRANTED", "1718281828", "203.0.113", hashed.hexdigest(),
                           base64.b64encode(hashed.digest()).decode()[:30], ":37Z"):
                self.assertNotIn(canary.encode(), got, canary)
            for line in g.file_lines() + g.recorder.accepted():
                self.assertRegex(line["session_id"], PSEUDONYM)
                self.assertRegex(line["device_id"], PSEUDONYM)
                self.assertTrue(line["timestamp"].endswith(":00Z"))

    def test_r7_r10_r17_pragmatic_lets_host_and_listed_values_pass(self):
        def change(p):
            p["context"].update(referrer="host", campaign={"enum": ["spring"]},
                                title={"enum": ["Upload"]})
            for name in ("any", "mp", "ga"):
                p["destinations"][name]["profile"] = "cnil-pragmatic"
            for name in ("store", "file"):
                p["destinations"][name]["rules"] = {
                    "context": {"referrer": "drop", "campaign": "drop", "title": "drop"}}
        with Gateway(policy=text(change)) as g:
            g.post("/v1/events", event(consent=YES, context={
                "referrer": "https://news.example/r7?x", "campaign": "spring", "title": "Upload"}))
            g.post("/v1/events", event(consent=YES, context={
                "campaign": "jane@x.test", "title": "Inbox - jane@x.test"}))
            arrived(g, 2)
            first, second = g.recorder.accepted()
            self.assertEqual({k: first["context"].get(k) for k in
                              ("referrer", "campaign", "title")},
                             {"referrer": "news.example", "campaign": "spring",
                              "title": "Upload"})
            self.assertFalse({"referrer", "campaign", "title"} & set(second.get("context", {})))
            self.assertTrue(all(not {"referrer", "campaign", "title"} &
                                set(e.get("context", {})) for e in g.file_lines()))
            self.assertNotIn(b"jane", everything(g))

    def test_r37_an_event_without_a_shared_purpose_goes_nowhere(self):
        def only_product(p):
            p["events"]["page_view"]["purpose"] = ["product"]
        with Gateway(policy=text(only_product)) as g:
            g.post("/v1/events", event("page_view", details={}, consent=YES))
            wait_until("the vendor", lambda: g.recorder.accepted())
            g.settled()
            self.assertEqual((g.file_lines(), g.rows()), ([], []))

    def test_a_pseudonymised_field_is_an_identifier_for_opt_outs(self):
        def change(p):
            p["events"]["file_upload"]["fields"].update(
                {"customer.no": "pseudonym", "friends[]": "pseudonym"})
            for name in ("store", "file"):
                p["destinations"][name]["rules"] = {"events": {"file_upload": {"fields": {
                    "customer.no": "drop", "friends[]": "drop"}}}}
        with Gateway(policy=text(change)) as g:
            g.post("/v1/optout", {"user_id": "4711"})
            for more in ({"customer": {"no": "4711"}}, {"customer": {"no": 4711}},
                         {"friends": ["a", "4711"]}, {"friends": ["f%d" % i for i in range(9)]}):
                e = event(consent=YES)
                e["details"].update(more)
                self.assertEqual(g.post("/v1/events", e).status, 200)
            e = event(consent=YES)
            e["details"].update(customer={"no": "4712"}, friends=["a", "b"])
            g.post("/v1/events", e)
            arrived(g, 1)
            self.assertEqual([len(g.recorder.accepted()), len(g.file_lines())], [1, 1])
            sent = g.recorder.accepted()[0]["details"]
            self.assertRegex(sent["customer.no"], PSEUDONYM)
            self.assertEqual(len(sent["friends"]), 2)


class Keys(unittest.TestCase):
    IDS = ["visitor-%d" % i for i in range(1000)]

    def pseudonyms(self, g, ids, path="/v1/events", last=0):
        """What the recorder got for these sessions, in order."""
        g.post(path, [dict(event("page_view", session=s, consent=YES), details={}) for s in ids])
        wait_until("deliveries", lambda: len(g.recorder.accepted()) >= last + len(ids))
        return [e["session_id"] for e in g.recorder.accepted()[last:]]

    def test_r5_r27_r28_rotation(self):
        """Same within a period, another after it; the secret of the past is
        gone from every file, and nothing links two days."""
        with Gateway(start=False) as g:
            clock = FakeClock(g.folder, FIRST_DAY)
            g.conf["epoch_store"] = "disk"
            with open(g.conf_path, "w") as f:
                json.dump(g.conf, f)
            g.faketime = clock.path
            g.start()
            days, secrets = [], []
            for day in range(3):
                if day > 0:
                    before = self.next_ms(g)
                    clock.move(days=1)
                    wait_until("the rotation", lambda: self.next_ms(g) > before)
                first = self.one(g, clock)
                clock.move(hours=1)
                self.assertEqual(self.one(g, clock), first)
                days.append(first)
                secrets.append(self.windows(g))
            self.assertEqual(len(set(days)), 3)
            g.stop()
            kept = self.all_bytes(g)
            for old in secrets[:-1]:
                for window in old - secrets[-1]:
                    self.assertNotIn(window, kept)
            self.assertNotIn(b"r28-session", kept)
            for line in kept.split(b"\n"):
                self.assertLess(sum(d.encode() in line for d in days), 2)

    def test_r27_a_retired_site_keeps_no_epoch_secret(self):
        with Gateway({"epoch_store": "disk"}) as g:
            g.post("/v1/events", event(consent=YES))
            wait_until("a line", lambda: g.file_lines())
            before = self.windows(g)
            self.assertEqual(g.run("site", "retire", g.site_id)[0], 0)
            # three destinations: of each secret at least two windows go
            self.assertGreaterEqual(len(before - self.windows(g)), 6)

    def one(self, g, clock):
        n = len(g.recorder.accepted())
        g.post("/v1/events", dict(event("page_view", session="r28-session", consent=YES),
                                  details={}, timestamp=clock.text()))
        wait_until("the delivery", lambda: len(g.recorder.accepted()) == n + 1)
        return g.recorder.accepted()[-1]["session_id"]

    @staticmethod
    def next_ms(g):
        return json.loads(g.run("keys", "status", "--json")[1])["next_ms"]

    @staticmethod
    def windows(g):
        """16 bytes of every 8 of the epoch file that look random: any secret
        of 32 holds some."""
        found = set()
        for folder, _, names in os.walk(g.state):
            for name in names:
                if "epoch" in name:
                    with open(os.path.join(folder, name), "rb") as f:
                        data = f.read()
                    found |= {data[i:i + 16] for i in range(0, len(data) - 15, 8)
                              if len(set(data[i:i + 16])) > 12}
        assert found, "no epoch file in " + g.state
        return found

    @staticmethod
    def all_bytes(g):
        pieces = []
        for folder, _, names in os.walk(g.state):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    with open(path, "rb") as f:
                        pieces.append(re.sub(rb"\0{64,}", b"\0", f.read()))
        return b"\n".join(pieces)

    def test_r13_r23_two_sites_and_two_installs_share_nothing(self):
        """R22 too: the second install has the first one's config."""
        other = {"id": "0123456789abcdef", "name": "other", "policy": "policy/mixbot.json"}
        with Gateway(start=False) as g, Gateway() as twin:
            site = dict(other, destinations=[
                {"name": "any", "type": "http", "url": g.recorder.url}])
            g.conf["sites"].append(site)
            with open(g.conf_path, "w") as f:
                json.dump(g.conf, f)
            g.start()
            name = g.conf["sites"][0]["name"]
            a = self.pseudonyms(g, self.IDS, "/s/%s/v1/events" % name)
            b = self.pseudonyms(g, self.IDS, "/s/other/v1/events", last=len(self.IDS))
            c = self.pseudonyms(twin, self.IDS)
            # 24 bits: by chance 0.06 of a thousand are shared
            for x, y in ((a, b), (a, c), (b, c)):
                self.assertLess(len(set(x) & set(y)), 4)
                self.assertTrue(all(p != q for p, q in zip(x, y)))
                self.assertGreater(len(set(x)), 990)
            self.assertFalse({e["session_id"] for e in g.file_lines()} & set(a))

    def test_r21_a_million_sequential_ids_without_the_key_find_nothing(self):
        """Unkeyed hashes, and keyed with every text an outsider can read."""
        def wide(p):
            for d in p["destinations"].values():
                d["deviations"] = {"R25": "a test that counts matches"}
            p["pseudonyms"]["bits"] = 128
        with Gateway(policy=text(wide)) as g:
            targets = self.pseudonyms(g, ["1", "77777", "500000", "999999", "1000000"])
            known = {base64.b32decode(t.upper() + "======")[:8] for t in targets}
            name = g.conf["sites"][0]["name"].encode()
        self.assertEqual(len(known), 5)
        plain = [hashlib.md5, hashlib.sha1, hashlib.sha256, hashlib.sha3_256, hashlib.blake2b]
        salts = [name, b"mixbot", b"any", b"product", b"lethe.pseud.v1", g.site_id.encode()]
        for i in range(1, 1000001):
            m = b"%d" % i
            for h in plain:
                if h(m).digest()[:8] in known:
                    self.fail("found by an unkeyed hash")
            if i in (1, 77777, 500000, 999999, 1000000):
                for salt in salts:
                    for h in plain:
                        for d in (h(salt + m), h(m + salt), h(salt + b":" + m)):
                            self.assertNotIn(d.digest()[:8], known)
                    self.assertNotIn(hashlib.blake2b(m, key=salt).digest()[:8], known)


class Loading(unittest.TestCase):
    def refused(self, change, *words):
        with Gateway(start=False, policy=text(change)) as g:
            code, out, err = g.run("check")
            said = out + err
            self.assertEqual(code, 1, said)
            self.assertRegex(said, r"mixbot\.json:\d+:\d+: ")
            for word in words:
                self.assertIn(word, said)
            code = g.start(wait=False) or g.process.wait(20)
            self.assertEqual(code, 1)

    def test_r3_a_place_is_refused_while_there_is_no_list_of_places(self):
        self.refused(lambda p: p["context"].update(place={"place": "city"}), "place")

    def test_r19_without_a_hosting_statement_it_does_not_start(self):
        self.refused(lambda p: p.pop("hosting"), "hosting")
        self.refused(lambda p: p["hosting"].pop("region"), "region")

    def test_r37_an_event_without_a_purpose_is_refused(self):
        self.refused(lambda p: p["events"]["page_view"].pop("purpose"), "purpose")

    def test_r51_without_role_or_transfer_it_does_not_start(self):
        self.refused(lambda p: p["destinations"]["any"].pop("role"), "role")
        self.refused(lambda p: p["destinations"]["mp"].pop("transfer"), "transfer")

    def test_r38_without_a_policy_nothing_starts_and_a_broken_one_changes_nothing(self):
        with Gateway(start=False) as g:
            path = os.path.join(g.home, "policy", "mixbot.json")
            good = g.read_policy()
            os.unlink(path)
            g.start(wait=False)
            self.assertEqual(g.process.wait(20), 1)
            g.write_policy(good)
            g.stop()
            g.start()
            for broken in ("", "{", good[:-20], good.replace('"drop"', '"keep"', 1)):
                g.write_policy(broken)
                code, out, err = g.run("reload")
                self.assertEqual(code, 1, out + err)
                self.assertIn("mixbot.json:", out + err)
            g.post("/v1/events", event(consent=YES))
            arrived(g, 1)
            self.assertEqual(g.file_lines()[0]["details"]["file_extension"], "wav")

    def test_the_same_version_with_another_content_is_refused(self):
        with Gateway() as g:
            g.write_policy(text(lambda p: p["events"]["page_view"].update(label="Another")))
            code, out, err = g.run("reload")
            self.assertEqual(code, 1)
            self.assertIn("version", out + err)


class Check(unittest.TestCase):
    """R75: `policy check --profile cnil-exempt`."""

    @staticmethod
    def exempt(p):
        """Mixbot's own destinations alone."""
        for name in ("any", "mp", "ga"):
            del p["destinations"][name]
        for d in p["destinations"].values():
            del d["profile"]

    def check(self, change, *more):
        def both(p):
            self.exempt(p)
            change(p)
        with Gateway(start=False) as g:
            g.write_policy(text(both))
            path = os.path.join(g.home, "policy", "mixbot.json")
            return g.run("policy", "check", path, "--profile", "cnil-exempt", *more)

    VIOLATIONS = {
        "another recipient": lambda p: p["destinations"]["file"].update(recipient="Vendor"),
        "a processor": lambda p: p["destinations"]["file"].update(role="processor"),
        "not exempt": lambda p: p["purposes"]["audience"].update(exempt=False),
        "an account": lambda p: p["identifiers"].update(user="pseudonym"),
        "a group": lambda p: p["identifiers"].update(group="pseudonym"),
        "a CRM field": lambda p: p["events"]["page_view"].update(
            fields={"customer_id": "pseudonym"}),
        "26 months of data": lambda p: p["purposes"]["audience"].update(retention="P26M"),
        "a tracker of 14 months": lambda p: p["pseudonyms"].update(rotate="P14M"),
        "two publishers": lambda p: p["controller"].update(joint=["Other SARL"]),
        "no notice": lambda p: p["purposes"]["audience"].pop("text"),
        "no way out by GPC": lambda p: p["signals"].update(gpc="ignore"),
        "no way out by DNT": lambda p: p["signals"].update(dnt="ignore"),
        "the referrer": lambda p: p["context"].update(referrer="host"),
    }

    def test_r75_each_violation_fails_and_is_named(self):
        self.assertEqual(self.check(lambda p: None)[0], 0)
        for name, change in self.VIOLATIONS.items():
            with self.subTest(name):
                code, out, err = self.check(change)
                self.assertEqual(code, 1, out + err)
                self.assertRegex(out + err, r"broken|rotate")

    def test_r75_the_sheet_is_evidence_by_requirement(self):
        code, out, err = self.check(lambda p: None, "--json")
        sheet = json.loads(out)
        self.assertEqual((code, sheet["ok"], sheet["profile"]), (0, True, "cnil-exempt"))
        asked = {r["requirement"] for r in sheet["requirements"] if r["destination"] == "store"}
        self.assertEqual(asked, {"R%d" % n for n in list(range(1, 20)) + list(range(21, 29))
                                 + [39, 49, 51, 64, 72, 75]})
        self.assertEqual({r["state"] for r in sheet["requirements"]}, {"held", "met"})
        code, out, err = self.check(lambda p: p["context"].update(referrer="host"), "--json")
        broken = [r for r in json.loads(out)["requirements"] if r["state"] == "broken"]
        self.assertEqual([(r["requirement"], r["rule"]) for r in broken],
                         [("R7", "context.referrer")] * 2)

    def test_a_deviation_is_incomplete_not_met(self):
        def change(p):
            p["context"].update(referrer="host")
            for d in p["destinations"].values():
                d.update(profile="cnil-strict", deviations={"R7": "we must know"})
        code, out, err = self.check(change)
        self.assertEqual(code, 2, out + err)
        self.assertIn("deviation", out)
        self.assertIn("we must know", out)

    def test_errors_name_file_line_column_and_what_would_be_right(self):
        code, out, err = self.check(lambda p: p["events"]["page_view"].update(
            fields={"name": "keep"}), "--json")
        self.assertEqual((code, err), (1, ""))
        problem = json.loads(out)["problems"][0]
        self.assertGreater(problem["line"] * problem["column"], 0)
        self.assertIn("events.page_view.fields.name", problem["text"])
        self.assertIn("drop", problem["text"])


if __name__ == "__main__":
    main()
