#!/usr/bin/env python3
"""The admin listener: who may ask what, from where, and how (design.md
section 5). One table of roles and calls, asked in full."""
import json
import os
import re
import subprocess
import unittest

from harness import LETHE, ROOT, Gateway, main

ROLES = ("auditor", "officer", "operator", "owner", "app", "developer")
READERS = {"auditor", "officer", "operator"}
LOCAL = set()  # the control socket's own user only
CALLS = {
    "status": READERS, "reload": {"operator"}, "keys/status": READERS,
    "keys/rotate": {"operator"}, "keys/destroy": {"operator"},
    "retention/status": READERS, "retention/run": {"operator"},
    "spool/status": READERS, "spool/dead": READERS, "spool/replay": {"operator"},
    "spool/purge": {"operator"}, "destination/list": READERS,
    "destination/test": {"operator"}, "destination/pause": {"operator"},
    "destination/resume": {"operator"}, "token/add": LOCAL, "token/list": {"operator"},
    "token/revoke": {"operator"}, "subject/optout": {"officer", "app"},
    "subject/optin": {"officer", "app"}, "subject/status": {"officer"},
    "subject/accept-loss": LOCAL, "site/list": READERS, "site/retire": LOCAL,
    "subject/find": {"officer"}, "subject/export": {"officer"}, "subject/erase": {"officer"},
    "request/open": {"officer", "app"}, "request/list": {"officer"},
    "request/extend": {"officer"}, "request/close": {"officer"},
    "audit/settle": {"auditor", "officer"}, "audit/person": {"officer"},
    "audit/read": {"auditor", "officer"}, "audit/prune": {"officer"},
    "report/ropa": {"auditor", "officer"},
    "audit/hold/set": {"officer"}, "audit/hold/lift": {"officer"}, "audit/hold/list": READERS,
    "audit/canary": {"officer"},
    "audit/canary/result": {"officer"},
}
OF_SITE = {"report/ropa", "audit/person", "spool/replay", "spool/purge", "destination/test", "destination/pause",
           "destination/resume", "subject/optout", "subject/optin", "subject/status",
           "subject/find", "subject/export", "subject/erase", "request/open",
           "audit/canary"}


def second_site(conf):
    """A second site with the first one's policy and no destinations of its own."""
    sites = json.loads(json.dumps(conf["sites"]))
    other = json.loads(json.dumps(sites[0]))
    other.update(id="1234567890abcdef", name="other", keys=["other-key"], hosts=[],
                 origins=[], destinations=[])
    return sites + [other]


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.g = Gateway(start=False)
        with open(cls.g.conf_path) as f:
            conf = json.load(f)
        conf["sites"] = second_site(conf)
        with open(cls.g.conf_path, "w") as f:
            json.dump(conf, f)
        cls.g.start()
        cls.tokens = {role: cls.token(role) for role in ROLES}

    @classmethod
    def tearDownClass(cls):
        cls.g.close()

    @classmethod
    def token(cls, role, *more):
        code, out, err = cls.g.run("token", "add", "--role", role, "--json", *more)
        if code != 0:
            raise AssertionError(out + err)
        return json.loads(out)["token"]

    def ask(self, path, token=None, body="{}", method="POST", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            named["Authorization"] = "Bearer " + token
        return self.g.admin(method, path, body, named)


class Roles(Case):
    def test_the_table_is_all_there_is(self):
        with open(os.path.join(ROOT, "gateway", "calls.c")) as f:
            known = re.findall(r'^    \{"([a-z -]+)", ', f.read(), re.M)
        self.assertEqual({k.replace(" ", "/") for k in known}, set(CALLS))

    def test_every_role_and_every_call(self):
        for call, allowed in sorted(CALLS.items()):
            for role in ROLES:
                answer = self.ask("/api/" + call, self.tokens[role], '{"site":"nosuch"}')
                if role in allowed:
                    self.assertNotIn(answer.status, (401, 403, 404), (call, role))
                else:
                    self.assertEqual(answer.status, 403, (call, role))
                    self.assertEqual(answer.json()["error"], "forbidden")

    def test_who_is_nobody(self):
        for token in (None, "", "lt1_" + "A" * 43, self.tokens["operator"] + "A",
                      self.tokens["operator"][:-1], " " + self.tokens["operator"]):
            answer = self.ask("/api/status", token)
            self.assertEqual(answer.status, 401, token)
            self.assertIn(("WWW-Authenticate", "Bearer"), answer.headers)

    def test_a_revoked_token_is_nobody(self):
        token = self.token("operator")
        entry = json.loads(self.g.run("token", "list", "--json")[1])[-1]
        self.assertEqual(self.ask("/api/status", token).status, 200)
        self.assertEqual(self.ask("/api/token/revoke", self.tokens["operator"],
                                  json.dumps({"id": entry["id"]})).status, 200)
        self.assertEqual(self.ask("/api/status", token).status, 401)

    def test_a_token_of_one_site(self):
        mine = {role: self.token(role, "--site", "mixbot") for role in ROLES}
        for call, allowed in sorted(CALLS.items()):
            for role in allowed:
                for body in ('{"site":"other"}', '{"site":"nosuch"}', "{}"):
                    answer = self.ask("/api/" + call, mine[role], body)
                    self.assertEqual(answer.status, 403, (call, role, body))
                answer = self.ask("/api/" + call, mine[role], '{"site":"mixbot"}')
                if call in OF_SITE:
                    self.assertNotIn(answer.status, (401, 403, 404), (call, role))
                else:  # its answer is about all sites
                    self.assertEqual(answer.status, 403, (call, role))
        answer = self.ask("/api/subject/optout", mine["app"],
                          '{"site":"%s","ids":["someone"]}' % self.g.site_id)
        self.assertEqual(answer.status, 200, answer)

    def test_a_token_makes_no_stronger_one(self):
        for role in ROLES:
            answer = self.ask("/api/token/add", self.tokens[role],
                              '{"role":"operator","sites":[]}')
            self.assertEqual(answer.status, 403, role)

    def test_names_in_the_log_are_tokens(self):
        self.ask("/api/destination/pause", self.tokens["operator"],
                 '{"site":"mixbot","destination":"any"}')
        self.ask("/api/destination/resume", self.tokens["operator"],
                 '{"site":"mixbot","destination":"any"}')
        out = self.g.run("audit", "search", "--act", "destination.pause")[1]
        self.assertRegex(json.loads(out.splitlines()[-1])["who"], r"^adm:[0-9a-f]{12}$")


class TokenFiles(Case):
    """--token-file narrows a command to the token's role, sites and name."""

    def file(self, token, mode=0o600):
        path = os.path.join(self.g.folder, "token-%d" % len(os.listdir(self.g.folder)))
        with open(path, "w") as f:
            f.write(token + "\n")
        os.chmod(path, mode)
        return path

    def run_as(self, token, *words, stdin=b""):
        return self.g.run(*words, "--token-file", self.file(token), stdin=stdin)

    def test_a_role_decides(self):
        auditor, operator = self.tokens["auditor"], self.tokens["operator"]
        self.assertEqual(self.run_as(auditor, "status")[0], 0)
        code, out, err = self.run_as(auditor, "reload")
        self.assertEqual((code, out), (1, "this token's role may not do that\n"))
        code, out, err = self.run_as(auditor, "reload", "--json")
        self.assertEqual((code, json.loads(out)["error"]), (1, "forbidden"))
        self.assertEqual(self.run_as(operator, "destination", "pause", "any", "--site",
                                     "mixbot")[0], 0)
        self.assertEqual(self.run_as(operator, "destination", "resume", "any", "--site",
                                     "mixbot")[0], 0)
        for words in (("token", "add", "--role", "owner"), ("site", "retire", "0" * 16),
                      ("subject", "accept-loss"), ("subject", "status")):
            self.assertEqual(self.run_as(operator, *words, stdin=b"someone\n")[0], 1, words)
        mine = self.token("app", "--site", "mixbot")
        self.assertEqual(self.run_as(mine, "subject", "optout", "--site", "mixbot",
                                     stdin=b"someone\n")[0], 0)
        self.assertEqual(self.run_as(mine, "subject", "optout", "--site", "other",
                                     stdin=b"someone\n")[0], 1)

    def test_searches_are_the_tokens(self):
        code, out, err = self.run_as(self.tokens["operator"], "audit", "search")
        self.assertEqual((code, out), (1, ""))
        for _ in range(2):  # the second shows the first
            code, out, err = self.run_as(self.tokens["auditor"], "audit", "search",
                                         "--act", "audit.read")
            self.assertEqual(code, 0, err)
        self.assertRegex(json.loads(out.splitlines()[-1])["who"], "^adm:[0-9a-f]{12}$")

    def test_files_that_are_refused(self):
        auditor = self.tokens["auditor"]
        for path, words in ((os.path.join(self.g.folder, "nosuch"), "no such file"),
                            (self.file(auditor, 0o644), "mode"),
                            (self.file(""), "not exactly one secret"),
                            (self.file("x" * 65), "not exactly one secret")):
            code, out, err = self.g.run("status", "--token-file", path)
            self.assertEqual((code, out), (1, ""), path)
            self.assertIn(words, err)
        code, out, err = self.run_as(auditor[:-1] + "_", "status")
        self.assertEqual(code, 1)
        self.assertIn("not known, or expired", out)

    def test_without_a_gateway_nobody_knows_tokens(self):
        with Gateway() as g:
            token = json.loads(g.run("token", "add", "--role", "officer", "--json")[1])
            g.stop()
            path = self.file(token["token"])
            for words in (("subject", "status"), ("site", "list"), ("token", "list"),
                          ("audit", "search")):
                code, out, err = g.run(*words, "--token-file", path, stdin=b"x\n")
                self.assertEqual((code, out), (1, ""), words)


class Listener(Case):
    def test_methods(self):
        token = self.tokens["operator"]
        for method in ("GET", "PUT", "DELETE", "HEAD"):
            for path in ("/api/", "/api/status", "/api/reload"):
                for one in (None, token):
                    answer = self.ask(path, one, None, method)
                    self.assertEqual(answer.status, 405, (method, path))
                    self.assertIn(("Allow", "POST"), answer.headers)
        for path in ("/healthz", "/readyz", "/metrics"):
            self.assertEqual(self.ask(path, method="GET", body=None).status, 200)
            answer = self.ask(path)
            self.assertEqual(answer.status, 405)
            self.assertIn(("Allow", "GET, HEAD"), answer.headers)
        for path in ("/api/", "/api/nosuch", "/api/" + "x" * 64, "/api/" + "x" * 63):
            self.assertEqual(self.ask(path, token).status, 404, path)
        for path in ("/", "/api", "/healthz/", "/console"):
            self.assertEqual(self.ask(path, token).status, 404, path)

    def test_bodies(self):
        token = self.tokens["operator"]
        for body in ("[]", "1", "{", '{"a":1,"a":2}', "null", "{}{}"):
            self.assertEqual(self.ask("/api/status", token, body).status, 400, body)
        self.assertEqual(self.ask("/api/status", token, "").status, 200)

    def test_only_its_own_hosts(self):
        port = self.g.admin_port
        for host in ("localhost", "localhost:%d" % port, "127.0.0.1:%d" % port,
                     "LOCALHOST", "localhost:1"):
            self.assertEqual(self.ask("/healthz", None, None, "GET", Host=host).status,
                             200, host)
        for host in ("evil.example", "localhost.evil.example", "127.0.0.2",
                     "notlocalhost", "[::1]"):
            self.assertEqual(self.ask("/healthz", None, None, "GET", Host=host).status,
                             403, host)

    def test_no_page_elsewhere_drives_it(self):
        own = "127.0.0.1:%d" % self.g.admin_port
        token = self.tokens["auditor"]

        def status(**headers):
            return self.ask("/api/status", token, "{}", **headers).status
        self.assertEqual(status(Origin="http://" + own), 200)
        for origin in ("null", "https://" + own, "http://127.0.0.1",
                       "http://localhost:%d" % self.g.admin_port, "http://evil.example",
                       "ftp://" + own, own, "//" + own, "http://" + own + ".evil.example",
                       "http://user@" + own, "xhttp://" + own, "http:/" + own):
            self.assertEqual(status(Origin=origin), 403, origin)
        for site, want in (("same-origin", 200), ("none", 200), ("same-site", 403),
                           ("cross-site", 403), ("", 200)):
            self.assertEqual(status(Sec_Fetch_Site=site), want, site)

    def test_off_loopback_it_wants_tls(self):
        for address, good in (("0.0.0.0:8081", False), ("192.0.2.1:8081", False),
                              ("[::]:8081", False), ("127.0.0.1:8081", True),
                              ("[::1]:8081", True)):
            with Gateway({"admin": {"address": address}}, start=False) as g:
                code, out, err = g.run("check")
                self.assertEqual(code, 0 if good else 1, (address, out, err))
                if not good:
                    self.assertIn("tls", err)
                    done = subprocess.run([LETHE, "serve", "--config", g.conf_path],
                                          capture_output=True, timeout=20)
                    self.assertEqual(done.returncode, 1)
                    self.assertIn(b"tls", done.stderr)


if __name__ == "__main__":
    main()
