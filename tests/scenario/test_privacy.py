#!/usr/bin/env python3
"""The page for people: /privacy, its forms, what it reads and sets, sealed
links (R42, R45, R46, R49, R56)."""
import html.parser
import json
import re
import unittest
import urllib.parse

from harness import Gateway, main
from optouts import everywhere, numbered, records

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
RECEIPT = r"lo1-[A-Za-z0-9_-]{43}"


class Page(html.parser.HTMLParser):
    """What a browser would make of it: text, forms, links; and that it is
    well-formed."""

    VOID = ("meta", "input", "br")

    def __init__(self, body):
        super().__init__()
        self.text, self.forms, self.links, self.open, self.scripts = "", [], [], [], 0
        self.feed(body.decode())
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form":
            self.forms.append(dict(attrs, fields={}))
        if tag in ("input", "button") and self.forms:
            self.forms[-1]["fields"][attrs["name"]] = attrs["value"]
        if tag == "a":
            self.links.append(attrs["href"])
        self.scripts += tag == "script" or any(n.startswith("on") for n in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


def page(answer):
    assert answer.status in (200, 503), answer
    return Page(answer.body)


def submit(g, form, cookie=None, origin=None, **headers):
    headers = dict(FORM, **headers)
    if cookie:
        headers["Cookie"] = cookie
    headers["Origin"] = origin or "http://127.0.0.1:%d" % g.port
    return g.post(form["action"], urllib.parse.urlencode(form["fields"]), headers)


def own_host(**site):
    """A gateway on the app's own host: no page of another origin sends to it."""
    g = Gateway(start=False)
    g.conf["sites"][0].update({"origins": []}, **site)
    with open(g.conf_path, "w") as f:
        json.dump(g.conf, f)
    g.start()
    return g


def cookies(answer):
    return [v for n, v in answer.headers if n.lower() == "set-cookie"]


def app_token(g):
    code, out, err = g.run("token", "add", "--role", "app", "--site", "mixbot", "--json")
    assert code == 0, err
    return {"Authorization": "Bearer " + json.loads(out)["token"]}


class Privacy(unittest.TestCase):
    def test_r45_the_page_tells_all_and_r56_stores_nothing(self):
        with own_host() as g:
            answer = g.get("/privacy")
            headers = {n.lower(): v for n, v in answer.headers}
            self.assertEqual(headers["content-type"], "text/html; charset=utf-8")
            self.assertEqual(headers["cache-control"], "no-store")
            # "no-referrer" would make a browser say "Origin: null" to the button
            self.assertEqual(headers["referrer-policy"], "same-origin")
            self.assertIn("default-src 'none'", headers["content-security-policy"])
            self.assertEqual(cookies(answer), [])
            self.assertNotIn("etag", headers)
            p = page(answer)
            self.assertEqual(p.scripts, 0)
            for words in ("Mixbot SARL", "CNIL", "ourselves", "Example Metrics SAS",
                          "kept for 13 months", "This browser is not opted out."):
                self.assertIn(words, p.text)
            self.assertNotIn("Google Ireland", p.text)  # this config does not send there
            self.assertEqual([f["fields"] for f in p.forms], [{"choice": "out"}])
            self.assertIn("Ihre Privatsphäre", page(g.get("/privacy?lang=de")).text)
            self.assertIn("Votre vie privée",
                          page(g.get("/privacy", {"Accept-Language": "fr-FR,en;q=0.5"})).text)
            by_name = page(g.get("/s/mixbot/privacy"))
            self.assertEqual(by_name.forms[0]["action"], "/s/mixbot/privacy?lang=en")
            self.assertEqual(g.get("/s/nobody/privacy").status, 404)
            self.assertEqual(g.request("PUT", "/privacy").status, 405)
            self.assertEqual(g.request("HEAD", "/privacy").body, b"")

    def test_r42_one_press_out_and_one_press_in(self):
        with own_host() as g:
            p = page(g.get("/privacy?lang=fr"))
            answer = submit(g, p.forms[0])
            self.assertEqual(len(cookies(answer)), 1)
            self.assertRegex(cookies(answer)[0], r"^lethe_optout=1; Path=/; Max-Age=\d+; SameSite=Lax; HttpOnly$")
            p = page(answer)
            self.assertIn("C’est fait", p.text)
            self.assertIn("Ce navigateur est exclu", p.text)
            self.assertEqual(p.forms[0]["fields"], {"choice": "in"})
            flag = {"Cookie": "lethe_optout=1"}
            self.assertIn("This browser is opted out.", page(g.get("/privacy", flag)).text)
            g.post("/v1/events", numbered(1), flag)
            g.post("/v1/events", numbered(2))
            self.assertTrue(everywhere(g, [2]))
            # back again: only from this very page
            self.assertEqual(submit(g, p.forms[0], origin="https://evil.example").status, 403)
            self.assertEqual(g.post("/privacy", "choice=in", FORM).status, 403)
            answer = submit(g, p.forms[0], cookie="lethe_optout=1")
            self.assertRegex(cookies(answer)[0], r"^lethe_optout=; Path=/; Max-Age=0")
            self.assertIn("pas exclu", page(answer).text)

    def test_r42_identifiers_in_cookies_are_read_on_the_press_and_opted_out(self):
        with Gateway() as g:
            jar = ("_ga=GA1.1.111.222; mp_tok_mixpanel=" + urllib.parse.quote(json.dumps(
                {"distinct_id": "$device:dev-1", "$device_id": "dev-1", "$user_id": "jane"})))
            self.assertNotIn("dev-1", g.get("/privacy", {"Cookie": jar}).body.decode())
            answer = submit(g, {"action": "/privacy", "fields": {"choice": "out"}}, cookie=jar)
            body = answer.body.decode()
            self.assertIn("3 identifiers of analytics tools", page(answer).text)
            self.assertNotIn("dev-1", body)
            self.assertNotIn("111.222", body)
            receipt = re.search(r'id="receipt">([^<]+)<', body).group(1)
            self.assertRegex(receipt, r"^%s\.%s\.%s$" % ((RECEIPT,) * 3))
            g.post("/v1/events", [numbered(1, "s", device_id="dev-1"), numbered(2, "s", user_id="jane"),
                                  numbered(3, "111.222"), numbered(4, "s", device_id="dev-2")])
            self.assertTrue(everywhere(g, [4]))
            self.assertEqual(len(records(g, "optout.set")), 3)
            # the receipt takes it back, elsewhere
            self.assertEqual(g.post("/v1/optin", {"receipt": receipt}).status, 200)
            later = numbered(5, "s", device_id="dev-1")
            del later["timestamp"]  # whole seconds could lie in the time when it was out
            g.post("/v1/events", [later])
            self.assertTrue(everywhere(g, [4, 5]))

    def test_r42_sealed_links_for_accounts(self):
        with Gateway() as g:
            token = app_token(g)
            ask = {"ids": {"user_id": "Jane@Example.org"}, "expires": "P1D"}
            self.assertEqual(g.post("/v1/optout/link", ask).status, 403)
            for bad in ({}, {"ids": {}}, {"ids": {"user_id": "a"}, "expires": "P31D"},
                        {"ids": {"user_id": "a"}, "expires": "PT0S"}, {"ids": {"user_id": "a"}, "x": 1},
                        {"user_id": "a"}, {"ids": {"user_id": "a"}, "expires": "P1M"}, []):
                self.assertEqual(g.post("/v1/optout/link", bad, token).status, 400, bad)
            made = g.post("/v1/optout/link", ask, token).json()
            self.assertNotIn("jane", json.dumps(made).lower())
            self.assertEqual(made["path"], "/privacy?link=" + made["link"])
            # a GET, of a mail scanner say, does nothing
            p = page(g.get(made["path"]))
            self.assertIn("Nothing has happened yet", p.text)
            self.assertEqual(p.forms[0]["fields"], {"link": made["link"], "choice": "account"})
            self.assertTrue(all(made["link"] in l for l in p.links))
            g.post("/v1/events", numbered(1, user_id="jane@example.org"))
            self.assertTrue(everywhere(g, [1]))
            answer = submit(g, p.forms[0])
            self.assertEqual(cookies(answer), [])  # this browser was not asked about
            self.assertIn("your account is opted out", page(answer).text)
            self.assertRegex(answer.body.decode(), r'id="receipt">%s<' % RECEIPT)
            g.post("/v1/events", [numbered(2, user_id="jane@example.org"), numbered(3, user_id="joe")])
            self.assertTrue(everywhere(g, [1, 3]))
            for wrong in (made["link"][:-1], "lk1-", "x" * 6000, ""):
                answer = submit(g, {"action": "/privacy", "fields": {"choice": "account", "link": wrong}})
                self.assertIn("not valid", page(answer).text)

    def test_r49_the_browsers_own_signals_are_shown(self):
        with Gateway() as g:
            text = page(g.get("/privacy", {"Sec-GPC": "1", "DNT": "1"})).text
            self.assertIn("sends Global Privacy Control", text)
            self.assertIn("sends Do Not Track", text)

    def test_no_button_where_it_would_do_nothing(self):
        with own_host(origins=["https://www.mixbot.example", "http://localhost:*"],
                      optout_return=["https://www.mixbot.example/settings"]) as g:
            p = page(g.get("/privacy"))
            self.assertEqual(p.forms, [])
            self.assertIn("https://www.mixbot.example/settings#lethe-optout=1", p.links)
            # asked by a name of the app's own site, it does something
            answer = g.request("GET", "/privacy", None, {"Host": "stats.mixbot.example"})
            p = page(answer)
            self.assertEqual(len(p.forms), 1)
            self.assertIn("http://localhost:*", p.text)

    def test_what_a_browser_cannot_have_sent(self):
        with Gateway() as g:
            self.assertEqual(g.post("/privacy", "choice=perhaps", FORM).status, 400)
            self.assertEqual(g.post("/privacy", "", FORM).status, 400)
            self.assertEqual(g.post("/privacy", {"choice": "out"}).status, 415)

    def test_a_no_counts_against_the_rate(self):
        with Gateway({"limits": {"rate": {"optout": 2}}}) as g:
            statuses = [g.post("/privacy", "choice=out", FORM).status for _ in range(3)]
            self.assertEqual(statuses, [200, 200, 429])


if __name__ == "__main__":
    main()
