#!/usr/bin/env python3
"""Signals of consent on the wire, one by one: R65 to R71 on the real binary.
What each combination means is in tests/unit/test_consent*.c; here is where the
signals stand, and that nothing of them is kept or sent."""
import base64
import json
import os
import unittest
import urllib.parse

from harness import event, main, wait_until
from tcf import tc_string, yes
from vendors import Vendors, mixbot

DAW = {"daw": "Reaper"}


def gateway(policy):
    return Vendors(policy, keys=["G-MIXBOT01", "UA-1-1", "mixbot-token"])


def changed(change):
    policy = mixbot()
    change(policy)
    return policy


def plain(**more):
    return dict(event("DAW Selected", **more), details=DAW)


def mixpanel(**properties):
    return {"event": "DAW Selected", "properties": dict(
        {"token": "mixbot-token", "distinct_id": "$device:d1", "daw": "Reaper"}, **properties)}


class Signals(unittest.TestCase):
    def outcomes(self, v, sends, want):
        """Each of `sends` alone: who got it, as letters: f(ile, ourselves)
        a(ny) m(ixpanel) g(oogle)."""
        g = v.gateway
        total = {"f": 0, "a": 0, "m": 0, "g": 0}
        for name, send in sends.items():
            self.assertIn(send().status, (200, 204), name)
            for letter in want[name]:
                total[letter] += 1
        count = lambda: {"f": len(g.file_lines()), "a": len(g.recorder.accepted()),
                         "m": len(v.mixpanel_events()), "g": len(v.ga_events())}
        try:
            wait_until("the deliveries", lambda: count() == total, 20)
        except AssertionError:
            self.assertEqual(count(), total)
        g.settled()
        self.assertEqual(count(), total)

    def test_r66_r67_a_tc_string_wherever_it_stands(self):
        good = yes()
        with gateway(mixbot()) as v:
            g = v.gateway
            quoted = urllib.parse.quote(good)
            tag = "/g/collect?tid=G-MIXBOT01&en=daw_selected&cid=1.2&ep.daw=Reaper&"
            sends = {
                "consent.tcf": lambda: g.post("/v1/events", plain(consent={"tcf": good})),
                "context.tcf": lambda: g.post("/v1/events", plain(context={"tcf": good})),
                "query": lambda: g.post("/v1/events?gdpr=1&gdpr_consent=" + quoted, plain()),
                "mixpanel": lambda: g.post("/track?gdpr_consent=" + quoted, mixpanel()),
                "tag": lambda: g.get(tag + "gdpr=1&gdpr_consent=" + quoted),
                "universal": lambda: g.post("/collect", "tid=UA-1-1&t=event&ea=daw_selected&cid=1&"
                                            "daw=Reaper&gdpr_consent=" + quoted),
                "none": lambda: g.post("/v1/events", plain()),
                "garbage": lambda: g.post("/v1/events", plain(context={"tcf": "garbage"})),
                "a number": lambda: g.post("/v1/events", plain(context={"tcf": 5})),
                "two": lambda: g.post("/v1/events?gdpr_consent=" + quoted,
                                      plain(context={"tcf": yes(consent=(1, 8, 9))})),
            }
            want = dict.fromkeys(sends, "famg")
            want.update({"none": "f", "garbage": "f", "a number": "f", "two": "f"})
            self.outcomes(v, sends, want)
            rows = lambda: g.run("audit", "search", "--reason", "tcf", "--json")[1].splitlines()
            wait_until("the rows", lambda: len(rows()) == 3)

    def test_r67_r68_r69_strings_that_do_not_count(self):
        strings = {
            "version 1": yes(version=1), "global": yes(specific=False), "policy 3": yes(policy=3),
            "interest for 3": yes(interest=(3,)), "none shown": yes(disclosed=None),
            "cut": yes().split(".")[0][:30], "long": yes() + "A" * 5000,
            "old": yes(age_days=400), "of next week": yes(age_days=-7),
            "purpose 8 refused": yes(consent=(1,)), "purpose 1 refused": yes(consent=(8,)),
            "purpose 1 not asked": yes(treatment=True), "nothing": tc_string(),
            "google refused": yes(vendor_consent=(12,)), "google not shown": yes(disclosed=(12,)),
            "old enough": yes(age_days=390), "policy 4": yes(policy=4),
        }
        want = dict.fromkeys(strings, "f")
        want.update({"google refused": "fam", "google not shown": "fam", "old enough": "famg",
                     "policy 4": "famg"})
        with gateway(mixbot()) as v:
            self.outcomes(v, {name: (lambda s=text: v.gateway.post(
                "/v1/events", plain(context={"tcf": s}))) for name, text in strings.items()}, want)

    def test_r67_a_policy_may_take_strings_without_vendors_shown(self):
        def change(p):
            p["signals"]["tcf"] = {"require_disclosed": False, "max_age": "P30D"}
        with gateway(changed(change)) as v:
            send = lambda s: lambda: v.gateway.post("/v1/events", plain(context={"tcf": s}))
            self.outcomes(v, {"2.2": send(yes(disclosed=None)), "old": send(yes(age_days=40))},
                          {"2.2": "famg", "old": "f"})

    def test_r70_the_stricter_of_two_signals_decides(self):
        good, no = yes(), yes(consent=(1,))
        gpc, dnt = {"Sec-GPC": "1"}, {"DNT": "1"}
        with gateway(mixbot()) as v:
            g = v.gateway
            g.post("/v1/optout", {"user_id": "u-out"})
            tag = "/g/collect?tid=G-MIXBOT01&en=daw_selected&cid=1.2&ep.daw=Reaper&"
            post = lambda body, headers=None: lambda: g.post("/v1/events", body, headers)
            get = lambda query, headers=None: lambda: g.get(tag + query, headers)
            tcf = lambda s, **more: plain(context={"tcf": s}, **more)
            sends = {
                "tcf": post(tcf(good)), "tcf, gpc": post(tcf(good), gpc),
                "tcf, dnt": post(tcf(good), dnt), "tcf, out": post(tcf(good, user_id="u-out")),
                "tcf, denied": post(tcf(good, consent="denied")),
                "tcf, app no": post(tcf(good, consent={"product": False})),
                "app, no tcf": post(tcf(no, consent={"product": True})),
                "app, gpc": post(plain(consent={"product": True}), gpc),
                "app, out": post(plain(consent={"product": True}, user_id="u-out")),
                "app, cookie": post(plain(consent={"product": True}),
                                    {"Cookie": "lethe_optout=1"}),
                "mode": get("gcs=G111"), "mode, gpc": get("gcs=G111", gpc),
                "mode, dnt": get("gcs=G111", dnt), "mode, no tcf": get("gcs=G111&gdpr_consent=" + no),
                "tcf, no mode": get("gcs=G110&gdpr_consent=" + good),
                "tcf, cookieless": get("gcs=G100&gdpr_consent=" + good),
            }
            want = dict.fromkeys(sends, "")
            want.update({"tcf": "famg", "mode": "famg", "tcf, gpc": "f", "tcf, app no": "f",
                         "app, no tcf": "f", "app, gpc": "f", "mode, gpc": "f",
                         "mode, no tcf": "f", "tcf, no mode": "f"})
            self.assertEqual(len(sends), 16)
            self.outcomes(v, sends, want)
            self.assertEqual(g.stop(), 0)
            self.assertEqual(self.summaries(g), {
                4: (1, 0), 4 + 16: (0, 1), 4 + 32: (0, 1), 4 + 128: (0, 1), 4 + 8: (0, 1),
                4 + 1: (0, 2), 1 + 16: (0, 1), 1 + 128: (0, 2), 2: (1, 0), 2 + 16: (0, 1),
                2 + 32: (0, 1), 2 + 4: (0, 3)})
            # a TC string is an identifier: none is kept or sent (R70)
            left = v.mp.bytes() + v.ga.bytes() + g.recorder.bytes() + g.log
            for folder, _, names in os.walk(g.home):
                for name in names:
                    path = os.path.join(folder, name)
                    if os.path.isfile(path):  # not the signer's socket
                        with open(path, "rb") as f:
                            left += f.read()
            for text in (good, no):
                for part in (text, text.split(".")[0]):
                    self.assertNotIn(part.encode(), left)
                    self.assertNotIn(base64.b64encode(part.encode())[:40], left)

    def summaries(self, g):
        """{what was heard: (events that it opened something for, others)}"""
        found = {}
        for line in g.run("audit", "search", "--act", "consent.summary", "--json")[1].splitlines():
            d = json.loads(line)["d"]
            self.assertEqual(set(d), {"site", "pol", "n"})
            for heard, opened, closed in d["n"]:
                was = found.get(heard, (0, 0))
                found[heard] = (was[0] + opened, was[1] + closed)
        return found

    def test_r41_the_log_counts_what_was_heard_under_which_policy(self):
        with gateway(mixbot()) as v:
            g = v.gateway
            g.post("/v1/events", plain())
            g.post("/v1/events", plain(consent={"product": True}))
            policy = mixbot()
            policy.update(version="2")
            policy["events"]["page_view"]["label"] = "Another label"
            g.write_policy(json.dumps(policy))
            self.assertEqual(g.run("reload")[0], 0)
            g.post("/v1/events", plain(consent={"product": True}))
            self.assertEqual(g.stop(), 0)
            records = [json.loads(line)["d"] for line in g.run(
                "audit", "search", "--act", "consent.summary", "--json")[1].splitlines()]
            self.assertEqual([d["n"] for d in records], [[[0, 0, 1], [1, 1, 0]], [[1, 1, 0]]])
            loads = [json.loads(line)["i"] for line in g.run(
                "audit", "search", "--act", "policy.load", "--json")[1].splitlines()]
            self.assertEqual([d["pol"] for d in records], loads)

    def test_r71_a_new_signal_by_the_policy_alone(self):
        def change(p):
            p["signals"]["headers"] = {"ADPC": {"is": ["withdraw=*"], "then": "deny-consent"}}
            p["signals"]["fields"] = {"env.opt_out": {"then": "deny"}}
        yes_app = {"product": True}
        with gateway(changed(change)) as v:
            g = v.gateway
            post = lambda headers=None, **details: lambda: g.post("/v1/events", dict(
                plain(consent=yes_app), details=dict(DAW, **details)), headers)
            self.outcomes(v, {
                "none": post(), "header": post({"ADPC": "consent=x, withdraw=*"}),
                "other header": post({"ADPC": "consent=x"}),
                "field": post(env={"opt_out": 1}), "other field": post(env={"opt_in": 1}),
            }, {"none": "famg", "header": "f", "other header": "famg", "field": "",
                "other field": "famg"})
            rows = lambda: g.run("audit", "search", "--reason", "signal", "--json")[1].splitlines()
            wait_until("the rows", lambda: len(rows()) == 2)

    def test_r41_categories_of_consent_tools(self):
        def change(p):
            p["purposes"]["product"]["consent"]["app"] = ["product", "C0002"]
        with gateway(changed(change)) as v:
            post = lambda **context: lambda: v.gateway.post("/v1/events", plain(context=context))
            segment = lambda **names: post(consent={"categoryPreferences": names})
            rudder = lambda **lists: post(consentManagement=lists)
            self.outcomes(v, {
                "segment yes": segment(C0002=True), "segment no": segment(C0002=False),
                "segment other": segment(C0001=True), "segment exempt no": segment(audience=False),
                "rudder yes": rudder(allowedConsentIds=["C0002"], deniedConsentIds=["C0004"]),
                "rudder no": rudder(allowedConsentIds=["C0002"], deniedConsentIds=["C0002"]),
                "rudder odd": rudder(allowedConsentIds="C0002"),
            }, {"segment yes": "famg", "segment no": "f", "segment other": "f",
                "segment exempt no": "", "rudder yes": "famg", "rudder no": "f",
                "rudder odd": ""})

    def test_r41_r49_what_an_app_says_among_an_sdk_s_properties(self):
        def change(p):
            p["purposes"]["product"]["consent"]["asserted"] = {
                "by": "a test", "text_version": "1", "since": "2026-11-01"}
            p["signals"]["from_properties"] = {"gpc": "env.gpc", "tcf": "tc", "consent": "state"}
        with gateway(changed(change)) as v:
            g = v.gateway
            track = lambda **more: lambda: g.post("/track", mixpanel(**more))
            protocol = lambda **params: lambda: g.post(
                "/mp/collect?measurement_id=G-MIXBOT01", {"client_id": "1.2", "events": [
                    {"name": "daw_selected", "params": dict(DAW, **params)}]})
            sends = {
                "mixpanel": track(), "mixpanel denied": track(consent="denied"),
                "mixpanel no": track(consent={"product": False}),
                "mixpanel own word": track(consent="newsletter"),
                "by path": track(state="denied"), "gpc": track(env={"gpc": True}),
                "tcf no": track(tc=yes(consent=(1,))), "protocol": protocol(),
                "protocol denied": protocol(consent="denied"),
                "tag denied": lambda: g.get("/g/collect?tid=G-MIXBOT01&en=daw_selected&cid=1.2&"
                                            "ep.daw=Reaper&ep.consent=denied"),
            }
            want = {name: "" if "denied" in name or name == "by path" else "famg"
                    for name in sends}
            want.update({"mixpanel no": "f", "gpc": "f", "tcf no": "f"})
            self.outcomes(v, sends, want)

    def test_sp_anonymous_lets_no_identifier_leave(self):
        def change(p):
            p["events"]["daw_selection"]["fields"]["friend"] = "pseudonym"
            for name in ("store", "file"):
                p["destinations"][name]["rules"] = {"events": {"daw_selection": {"fields": {
                    "friend": "drop"}}}}
        with gateway(changed(change)) as v:
            g = v.gateway
            body = dict(plain(consent={"product": True}), details=dict(DAW, friend="f1"),
                        device_id="d1")
            g.post("/v1/events", body)
            g.post("/v1/events", body, {"SP-Anonymous": "*"})
            g.post("/v1/events", body, {"X-IP-Policy": "stripLastOctet"})
            wait_until("three events", lambda: len(g.recorder.accepted()) == 3
                       and len(g.file_lines()) == 3)
            for lines in (g.recorder.accepted(), g.file_lines()):
                named = [bool({"session_id", "device_id"} & set(line)) for line in lines]
                self.assertEqual(sorted(named), [False, True, True], lines)
            self.assertEqual(sorted("friend" in e["details"] for e in g.recorder.accepted()),
                             [False, True, True])
            # and it is still looked up: an opt-out holds for it, too
            g.post("/v1/optout", {"device_id": "d1"})
            g.post("/v1/events", body, {"SP-Anonymous": "*"})
            g.settled()
            self.assertEqual(len(g.file_lines()), 3)


if __name__ == "__main__":
    main()
