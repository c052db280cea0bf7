#!/usr/bin/env python3
"""The record of processing activities (R52): made from the policy in force and
from how the gateway runs, in words and as JSON by its schema."""
import hashlib
import json
import os
import unittest

import jsonschema

from harness import ROOT, Gateway, event, main
from vendors import Vendors, mixbot

SCHEMA = os.path.join(ROOT, "docs", "ropa.schema.json")


def validator():
    with open(SCHEMA, encoding="utf-8") as f:
        schema = json.load(f)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def ropa(g, *more):
    code, out, err = g.run("report", "ropa", "--json", *more)
    if code != 0:
        raise AssertionError("exit %d: %s%s" % (code, out, err))
    validator().validate(json.loads(out))
    return json.loads(out)


def words(g, *more):
    return g.run("report", "ropa", *more, check=True)[1]


def section(text, letter):
    """Lines of a section, "(f)" or a heading's first words."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(letter))
    end = next((i for i in range(start, len(lines)) if not lines[i]), len(lines))
    return "\n".join(lines[start + 1:end])


class Ropa(unittest.TestCase):
    def test_r52_every_letter_is_there_and_from_the_policy(self):
        policy = mixbot(asserted=True)
        policy["controller"].update(joint=["Partner SAS, Paris"],
                                    representative="Rep GmbH, Berlin")
        for name in ("store", "file"):
            policy["destinations"][name]["deviations"] = {"R75": "we publish it together"}
        with Vendors(policy=policy) as v:
            g = v.gateway
            report, text = ropa(g), words(g)
            controller = report["processing"]["controller"]
            self.assertEqual(controller, {k: c for k, c in policy["controller"].items()
                                          if c is not None})
            a = section(text, "(a)")
            for part in (controller["name"], controller["contact"], controller["dpo"],
                         "Partner SAS, Paris", "Rep GmbH, Berlin"):
                self.assertIn(part, a)
            b = section(text, "(b)")
            self.assertIn("audience (Count visits", b)
            # An asserted consent is shown as that, nowhere as one that was seen.
            self.assertIn("Consent to product is declared by banner of mixbot.example since "
                          "2026-11-01; Lethe saw none of it.", b)
            self.assertEqual(report["asserted_consents"],
                             [{"purpose": "product",
                               "asserted": policy["purposes"]["product"]["consent"]["asserted"]}])
            c = section(text, "(c)")
            self.assertIn("visitors of the app", c)
            self.assertIn("Size, to the nearest MiB", c)
            self.assertIn("session as pseudonym", c)
            self.assertNotIn("referrer", c)  # dropped: it goes nowhere
            self.assertIn("mp: Mixpanel, Inc. in US, as processor, for product",
                          section(text, "(d)"))
            self.assertEqual(section(text, "(e)").split("\n"),
                             ["  mp: Mixpanel, Inc. in US, on the ground of DPF",
                              "  ga: Google Ireland Ltd in US, on the ground of DPF"])
            f = section(text, "(f)")
            self.assertIn("events for product, mp: after 13 months; by the recipient", f)
            self.assertIn("events for audience, store: after 13 months\n", f)
            self.assertIn("events that wait for delivery, gateway: after 3 days", f)
            self.assertIn("secrets of pseudonyms, mp: after 1 day", f)

    def test_r52_what_is_not_set_up_is_no_recipient(self):
        with Gateway(policy=json.dumps(mixbot())) as g:  # mp and ga only in the policy
            report, text = ropa(g), words(g)
            self.assertEqual({r["name"] for r in report["processing"]["recipients"]},
                             {"store", "file", "any"})
            self.assertEqual(report["transfers"], [])
            self.assertEqual(section(text, "(e)"), "  none")
            self.assertNotIn("Mixpanel, Inc.", text)

    def test_r52_another_policy_is_another_record(self):
        policy = mixbot()
        with Gateway(policy=json.dumps(policy)) as g:
            before = ropa(g)
            policy["version"] = "2"
            policy["purposes"]["audience"]["retention"] = "P6M"
            policy["retention"]["spool"] = "PT24H"
            for d in policy["destinations"].values():
                if d["profile"] == "cnil-strict":
                    d["deviations"] = {"R25": "we count matches"}
                    d["pseudonyms"] = {"bits": 64}
            g.write_policy(json.dumps(policy))
            g.run("reload", check=True)
            after = ropa(g)
            limits = {(x["what"], x["where"]): x["limit"] for x in after["erasure"]}
            self.assertEqual(limits["events", "store"], "P6M")
            self.assertEqual(limits["waiting", "gateway"], "P1D")
            self.assertEqual({(x["what"], x["where"]): x["limit"] for x in before["erasure"]}
                             ["events", "store"], "P13M")
            self.assertEqual(before["deviations"], [])
            self.assertEqual(after["deviations"],
                             [{"destination": "any", "profile": "cnil-strict",
                               "requirement": "R25", "why": "we count matches"}])
            bits = {d["destination"]: d["pseudonym_bits"] for d in after["security"]["destinations"]}
            self.assertEqual(bits, {"store": 24, "file": 24, "any": 64})
            self.assertNotEqual(before["processing"]["sha256"], after["processing"]["sha256"])
            self.assertIn("any does not keep R25 of cnil-strict: we count matches",
                          section(words(g), "Deviations"))

    def test_r52_measures_are_those_of_the_running_gateway(self):
        with Gateway() as g:
            report = ropa(g)
            s = report["security"]
            self.assertEqual(s["epoch_store"], g.status()["epoch_store"])
            self.assertEqual([(x["for"], x["this_machine_only"], x["tls"]) for x in s["listeners"]],
                             [("events", True, "none"), ("admin", True, "none")])
            self.assertEqual(s["audit"]["rows"], "all")
            self.assertEqual(s["audit"]["witnesses"], [])
            self.assertGreater(s["audit"]["signed_records"], 0)
            # The recorder takes plain HTTP: the record does not hide it.
            self.assertEqual([(x["setting"], x.get("where")) for x in report["weaker_settings"]],
                             [("destination.url", "any")])
            self.assertIn("secrets of pseudonyms are kept in: memory", section(words(g), "(g)"))

    def test_r52_weaker_settings_are_said(self):
        config = {"audit": {"rows": "dropped", "subject_search": "P2D"}, "epoch_store": "disk"}
        with Gateway(config=config) as g:
            report = ropa(g)
            self.assertEqual({x["setting"] for x in report["weaker_settings"]},
                             {"audit.rows", "audit.subject_search", "epoch_store",
                              "destination.url"})
            limits = {x["what"]: x["limit"] for x in report["erasure"] if x["where"] == "gateway"}
            self.assertEqual(limits["day-key"], "P2D")
            self.assertIn("audit.subject_search", section(words(g), "Settings that protect less"))
        # One day is the default, and no deviation.
        with Gateway(config={"audit": {"subject_search": "P1D"}}) as g:
            self.assertNotIn("audit.subject_search",
                             {x["setting"] for x in ropa(g)["weaker_settings"]})

    def test_r52_the_record_says_which_it_was(self):
        with Gateway() as g:
            code, out, _ = g.run("report", "ropa", "--json")
            self.assertEqual(code, 0)
            found = g.run("audit", "search", "--act", "report.made", check=True)[1].splitlines()
            self.assertEqual(len(found), 1)
            record = json.loads(found[0])
            self.assertEqual((record["who"], record["why"]), ("adm:local", "art:30"))
            self.assertEqual(record["d"], {"kind": "ropa", "site": g.conf["sites"][0]["name"],
                                           "hash": hashlib.sha256(out.encode()).hexdigest()})
            self.assertEqual(g.run("audit", "verify")[0], 0)

    def test_r52_nobody_is_in_it(self):
        with Gateway() as g:
            answer = g.post("/v1/events", event(session="sess-canary-77"))
            self.assertEqual(answer.status, 200)
            g.settled()
            for text in (json.dumps(ropa(g)), words(g)):
                self.assertNotIn("canary", text)

    def test_r52_one_site_each(self):
        with Gateway(start=False) as g:
            conf = g.conf
            other = json.loads(json.dumps(conf["sites"][0]))
            other.update(id="1234567890abcdef", name="other", keys=["other-key"], hosts=[],
                         origins=[], destinations=[])
            conf["sites"].append(other)
            with open(g.conf_path, "w") as f:
                json.dump(conf, f)
            g.start()
            code, _, err = g.run("report", "ropa")
            self.assertEqual(code, 3)
            self.assertIn("--site", err)
            report = ropa(g, "--site", "other")
            self.assertEqual((report["site"], report["processing"]["recipients"]), ("other", []))
            self.assertIn("site other", words(g, "--site", "other"))

    def test_r52_r56_what_is_read_and_stored_on_devices(self):
        with Gateway() as g:
            access = ropa(g)["device_access"]
            self.assertEqual([(s["cookie"], s["identifies"]) for s in access["sets"]],
                             [("lethe_optout", False)])
            answer = g.request("POST", "/v1/optout", "",
                               {"Content-Type": "application/x-www-form-urlencoded"})
            cookie = [v for k, v in answer.headers if k.lower() == "set-cookie"]
            self.assertTrue(cookie and cookie[0].startswith("lethe_optout=1;"), answer.headers)
            self.assertIn("cookie lethe_optout=1, without an identifier",
                          section(words(g), "What is read from"))


class Schema(unittest.TestCase):
    def test_r52_the_schema_refuses_what_lacks_a_letter(self):
        with Gateway() as g:
            report = ropa(g)
        for key in report:
            lacks = {k: v for k, v in report.items() if k != key}
            self.assertFalse(validator().is_valid(lacks), key)
        self.assertFalse(validator().is_valid(dict(report, more=1)))
        self.assertFalse(validator().is_valid(dict(report, format=2)))


if __name__ == "__main__":
    main()
