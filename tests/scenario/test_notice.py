#!/usr/bin/env python3
"""What a site says of itself to machines: R45 and R63."""
import datetime
import json
import unittest

from fakeclock import FIRST_DAY, FakeClock
from harness import Gateway, main
from vendors import mixbot


def text(change=None, version="1"):
    policy = mixbot()
    policy["version"] = version
    if change is not None:
        change(policy)
    return json.dumps(policy)


def headers_of(answer):
    return {k.lower(): v for k, v in answer.headers}


class Gpc(unittest.TestCase):
    def statement(self, g, path="/.well-known/gpc.json"):
        answer = g.get(path)
        self.assertEqual(answer.status, 200)
        self.assertEqual(headers_of(answer)["content-type"], "application/json")
        for name in ("set-cookie", "etag", "last-modified", "access-control-allow-origin"):
            self.assertNotIn(name, headers_of(answer))
        body = answer.json()
        self.assertEqual(set(body), {"gpc", "lastUpdate"})
        self.assertIs(type(body["gpc"]), bool)
        datetime.date.fromisoformat(body["lastUpdate"])
        return body

    def test_r63_the_statement_follows_the_policy(self):
        with Gateway(start=False, policy=text()) as g:
            clock = FakeClock(g.folder, FIRST_DAY)
            g.faketime = clock.path
            g.start()
            first = self.statement(g)
            self.assertEqual(first, {"gpc": True, "lastUpdate": FIRST_DAY.strftime("%Y-%m-%d")})
            name = g.conf["sites"][0]["name"]
            self.assertEqual(self.statement(g, "/s/%s/.well-known/gpc.json" % name), first)
            clock.move(days=2)
            g.stop()
            g.start()
            self.assertEqual(self.statement(g), first)  # a restart changes nothing
            def ignore(p):
                p["signals"]["gpc"] = "ignore"
                for d in p["destinations"].values():
                    d["deviations"] = {"R49": "a test"}
            g.write_policy(text(ignore, "2"))
            code, out, err = g.run("reload")
            self.assertEqual(code, 0, out + err)
            second = self.statement(g)
            self.assertIs(second["gpc"], False)
            self.assertEqual(second["lastUpdate"], (
                FIRST_DAY + datetime.timedelta(days=2)).strftime("%Y-%m-%d"))

    def test_r63_only_a_site_that_is_known_has_one(self):
        with Gateway() as g:
            self.assertEqual(g.get("/s/nobody/.well-known/gpc.json").status, 404)
            self.assertEqual(g.post("/.well-known/gpc.json", {}).status, 405)
            self.assertEqual(g.request("HEAD", "/.well-known/gpc.json").status, 200)


class Notice(unittest.TestCase):
    def test_r45_the_notice_names_every_destination_and_what_it_gets(self):
        with Gateway(policy=text()) as g:
            answer = g.get("/v1/notice")
            self.assertEqual(answer.status, 200)
            self.assertEqual(headers_of(answer)["content-type"], "application/json")
            notice, policy = answer.json(), mixbot()
            self.assertEqual((notice["notice"], notice["policy"], notice["version"]),
                             (1, "mixbot", "1"))
            self.assertEqual(notice["controller"], {
                k: v for k, v in policy["controller"].items() if v is not None})
            self.assertEqual(notice["hosting"], policy["hosting"])
            self.assertEqual({p["name"]: (p["basis"], p["retention"], p["text"])
                              for p in notice["purposes"]},
                             {n: (p["basis"], "P13M", p["text"])
                              for n, p in policy["purposes"].items()})
            here = {d["name"] for d in g.conf["sites"][0]["destinations"]}
            got = {r["name"]: r for r in notice["recipients"]}
            self.assertEqual(set(got), here)  # those of the config, no others
            for name in here:
                for key in ("recipient", "role", "country", "purposes"):
                    self.assertEqual(got[name][key], policy["destinations"][name][key])
            upload = next(e for e in got["any"]["events"] if e["name"] == "file_upload")
            self.assertEqual(upload["identifiers"], {"session": "pseudonym",
                                                     "device": "pseudonym"})
            self.assertIn({"name": "file_extension", "form": "extension",
                           "label": "Ending of the name, never the name"}, upload["fields"])
            self.assertEqual(upload["context"]["user_agent"], "class")
            self.assertNotIn("ip", upload["context"])
            self.assertEqual(notice["rights"]["opt_out"], "/v1/optout")
            self.assertEqual(notice["rights"]["gpc"], policy["signals"]["gpc"])
            # every path that it names is there
            for key in ("page", "opt_out", "opt_in"):
                self.assertNotEqual(g.get(notice["rights"][key]).status, 404, key)
            name = g.conf["sites"][0]["name"]
            below = g.get("/s/%s/v1/notice" % name).json()
            self.assertEqual(below["rights"]["page"], "/s/%s/privacy" % name)
            shown = json.loads(g.run("status", "--json")[1])
            self.assertIn(notice["sha256"][:16], json.dumps(shown))

    def test_r45_a_destination_more_is_in_the_notice(self):
        with Gateway(start=False, policy=text()) as g:
            g.conf["sites"][0]["destinations"] = g.conf["sites"][0]["destinations"][:1]
            with open(g.conf_path, "w") as f:
                json.dump(g.conf, f)
            g.start()
            names = [r["name"] for r in g.get("/v1/notice").json()["recipients"]]
            self.assertEqual(names, [g.conf["sites"][0]["destinations"][0]["name"]])


if __name__ == "__main__":
    main()
