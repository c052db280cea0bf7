#!/usr/bin/env python3
"""What an auditor fetches from the admin listener: checkpoint, tiles, entry
bundles (C2SP tlog-tiles), by whom, and what of it is recorded."""
import json
import os
import unittest

import tlog
from harness import Gateway, main, wait_until
from witness import verify

ROLES = {"auditor": 200, "officer": 200, "operator": 403, "owner": 403, "app": 403,
         "developer": 403}


def token(g, role, *more):
    code, out, err = g.run("token", "add", "--role", role, "--json", *more)
    if code != 0:
        raise AssertionError(err)
    return json.loads(out)["token"]


class Case(unittest.TestCase):
    def setUp(self):
        self.g = Gateway()
        self.audit = os.path.join(self.g.state, "audit")
        self.token = token(self.g, "auditor")

    def tearDown(self):
        self.g.close()

    def get(self, path, bearer=None, method="GET", headers=None):
        return self.g.admin(method, "/audit/" + path, None, dict(
            {"Authorization": "Bearer " + (bearer or self.token)}, **(headers or {})))

    def sign(self):
        """Waits until all that is there is signed; returns the size then."""
        least = len(tlog.records(self.audit))

        def size():
            answer = self.get("checkpoint")
            told = tlog.parse(answer.body.decode())[1] if answer.status == 200 else 0
            return told if told >= least else 0
        return wait_until("a checkpoint", size)

    def grow(self, count):
        """So many records more, at least."""
        for _ in range(count):
            answer = self.g.admin("POST", "/api/audit/read", {}, {
                "Authorization": "Bearer " + self.token})
            self.assertEqual(answer.status, 200)

    def reads(self):
        return [r for r in map(json.loads, tlog.records(self.audit))
                if r["act"] == "audit.read" and r["d"]["of"] == "bundles"]


class Tiles(Case):
    def test_the_whole_log_can_be_fetched_and_leads_to_its_root(self):
        self.grow(530)
        self.sign()
        answer = self.get("checkpoint")
        self.assertEqual(answer.status, 200)
        with open(os.path.join(self.g.home, "signer", "log.vkey"), encoding="ascii") as f:
            self.assertTrue(verify(f.read().strip(), answer.body.decode()))
        _, size, root = tlog.parse(answer.body.decode())
        lines, hashes, upper = [], [], b""
        for n in range(0, size, 256):
            width = min(256, size - n)
            name = self.get(tlog.path("entries", n // 256, width))
            lines += tlog.unbundle(name.body)
            tile = self.get(tlog.path(0, n // 256, width))
            self.assertEqual(len(tile.body), 32 * width)
            hashes += [tile.body[i:i + 32] for i in range(0, 32 * width, 32)]
            if width == 256:
                upper += tlog.root(hashes[-256:])
        self.assertEqual(lines, tlog.records(self.audit)[:size])
        self.assertEqual(hashes, [tlog.leaf(x) for x in lines])
        self.assertEqual(tlog.root(hashes), root)
        self.assertEqual(self.get(tlog.path(1, 0, size // 256)).body, upper)
        self.assertEqual(self.get("minimum-index").body, b"0\n")

    def test_headers_say_what_it_is_and_how_long_it_lasts(self):
        self.grow(260)
        self.sign()
        for path, kind, cache in (
                ("checkpoint", "text/plain; charset=utf-8", "no-store"),
                ("minimum-index", "text/plain; charset=utf-8", "no-store"),
                ("tile/0/000", "application/octet-stream",
                 "private, max-age=31536000, immutable"),
                ("tile/entries/000", "application/octet-stream",
                 "private, max-age=31536000, immutable"),
                ("tile/0/000.p/7", "application/octet-stream", "private, max-age=3600")):
            answer = self.get(path)
            self.assertEqual(answer.status, 200, path)
            headers = {n.lower(): v for n, v in answer.headers}
            self.assertEqual(headers["content-type"], kind)
            self.assertEqual(headers["cache-control"], cache)
            self.assertEqual(headers["x-content-type-options"], "nosniff")
            self.assertNotIn("access-control-allow-origin", headers)
            head = self.get(path, method="HEAD")
            self.assertEqual((head.status, head.body), (200, b""))

    def test_what_is_not_signed_or_not_there_is_404(self):
        size = self.sign()
        self.assertEqual(self.get("tile/0/000.p/%d" % size).status, 200)
        self.assertEqual(self.get("tile/0/000.p/%d" % (size + 100)).status, 404)
        for path in ("", "tile", "tile/0/001", "tile/0/000", "tile/8/000.p/1", "seg",
                     "seg/000000000000.jsonl", "cp", "reserve", "sites", "checkpoint/",
                     "Checkpoint", "checkpoint?x=1", "checkpoint%20", "c%68eckpoint",
                     "tile/0/000.p/1?", "tile/0/../0/000.p/1", "../tokens.json",
                     "tile/%30/000.p/1", "tile/entries/../../../tokens.json", "/checkpoint",
                     "tile/0/000.p/01", "tile/data/000.p/1"):
            self.assertEqual(self.get(path).status, 404, path)

    def test_pruned_records_are_410_and_their_tiles_stay(self):
        self.grow(530)
        size = self.sign()
        tile = self.get("tile/0/000").body
        self.assertEqual(self.get("tile/entries/000").status, 200)
        path = os.path.join(self.audit, "tile", "0", "000")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(tile)
        with open(os.path.join(self.audit, "minimum-index"), "w", encoding="ascii") as f:
            f.write("256\n")
        self.assertEqual(self.get("minimum-index").body, b"256\n")
        gone = self.get("tile/entries/000")
        self.assertEqual(gone.status, 410)
        self.assertEqual(gone.json()["error"], "gone")
        self.assertEqual(self.get("tile/entries/001").status, 200)
        self.assertEqual(self.get("tile/0/000").body, tile)
        self.assertEqual(self.get(tlog.path(1, 0, size // 256)).status, 200)


class Exported(Case):
    def export(self, *words):
        return self.g.run("audit", "export", "--tiles", self.out, *words)

    def setUp(self):
        super().setUp()
        self.out = os.path.join(self.g.folder, "out")

    def read(self, name):
        with open(os.path.join(self.out, name), "rb") as f:
            return f.read()

    def test_the_files_are_what_is_served(self):
        self.grow(300)
        self.sign()
        code, out, err = self.export("--json")
        self.assertEqual(code, 0, err)
        told = json.loads(out)
        note = self.read("checkpoint").decode()
        _, size, root = tlog.parse(note)
        self.assertEqual((told["size"], told["minimum"]), (size, 0))
        self.assertEqual(told["written"], told["tiles"] + told["bundles"] + 2)
        lines = []
        for n in range(0, size, 256):
            name = tlog.path("entries", n // 256, min(256, size - n))
            lines += tlog.unbundle(self.read(name))
            self.assertEqual(self.read(name), self.get(name).body)
            tile = tlog.path(0, n // 256, min(256, size - n))
            self.assertEqual(self.read(tile), self.get(tile).body)
        self.assertEqual(tlog.root([tlog.leaf(x) for x in lines]), root)
        names = sorted(os.path.relpath(os.path.join(d, f), self.out)
                       for d, _, files in os.walk(self.out) for f in files)
        self.assertEqual(len(names), told["written"], names)

    def test_it_is_recorded_and_works_without_a_gateway(self):
        self.sign()
        self.assertEqual(self.export()[0], 0)
        reads = [r for r in map(json.loads, tlog.records(self.audit))
                 if r["act"] == "audit.read"]
        self.assertEqual([(r["why"], r["d"]["of"]) for r in reads],
                         [("ticket:export", "records")])
        self.g.stop()
        code, out, err = self.export()
        self.assertEqual(code, 0, err)
        self.assertIn("its next start records", err)

    def test_what_does_not_go_with_it_is_said(self):
        self.sign()
        for words in (("--act", "batch"), ("--rows",), ("--limit", "1")):
            code, out, err = self.export(*words)
            self.assertEqual(code, 3)
            self.assertIn(words[0], err)
        self.assertFalse(os.path.exists(self.out))
        bearer = os.path.join(self.g.folder, "token")
        with open(bearer, "w", encoding="ascii") as f:
            f.write(token(self.g, "operator"))
        os.chmod(bearer, 0o600)
        self.assertEqual(self.export("--token-file", bearer)[0], 1)
        self.assertFalse(os.path.exists(self.out))
        code, out, err = self.g.run("audit", "search", "--tiles", self.out)
        self.assertEqual(code, 3)


class Readers(Case):
    def test_only_auditors_and_officers_may(self):
        self.sign()
        for role, status in ROLES.items():
            bearer = token(self.g, role)
            for path in ("checkpoint", "minimum-index", "tile/0/000.p/1",
                         "tile/entries/000.p/1"):
                self.assertEqual(self.get(path, bearer).status, status, (role, path))
        for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer x"}):
            self.assertEqual(self.g.admin("GET", "/audit/checkpoint", None, headers).status, 401)

    def test_a_token_of_one_site_may_not(self):
        self.sign()
        bearer = token(self.g, "auditor", "--site", "mixbot")
        self.assertEqual(self.get("checkpoint", bearer).status, 403)
        self.assertEqual(self.get("tile/entries/000.p/1", bearer).status, 403)

    def test_nothing_is_written_there_and_other_origins_read_nothing(self):
        self.sign()
        answer = self.get("checkpoint", method="POST")
        self.assertEqual(answer.status, 405)
        self.assertEqual(dict(answer.headers)["Allow"], "GET, HEAD")
        self.assertEqual(
            self.get("checkpoint", headers={"Origin": "https://evil.example"}).status, 403)

    def test_the_public_listener_has_no_tiles(self):
        self.sign()
        for path in ("tile/0/000.p/1", "tile/entries/000.p/1", "minimum-index"):
            for prefix in ("/audit/", "/s/mixbot/audit/"):
                self.assertEqual(self.g.get(prefix + path, {
                    "Authorization": "Bearer " + self.token}).status, 404)

    def test_a_reading_is_recorded_once_before_it_is_shown(self):
        self.sign()
        self.get("checkpoint")
        self.get("tile/0/000.p/1")
        self.assertEqual(self.reads(), [])
        self.assertEqual(self.get("tile/entries/000.p/1").status, 200)
        first = self.reads()
        self.assertEqual([r["d"] for r in first], [{"of": "bundles", "by": []}])
        self.assertRegex(first[0]["who"], r"^adm:[0-9a-f]{12}$")
        self.get("tile/entries/000.p/2")
        self.assertEqual(len(self.reads()), 1)
        self.assertEqual(self.get("tile/entries/000.p/1", token(self.g, "officer")).status, 200)
        whose = [r["who"] for r in self.reads()]
        self.assertEqual(len(whose), 2)
        self.assertNotEqual(whose[0], whose[1])


if __name__ == "__main__":
    main()
