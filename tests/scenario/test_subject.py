#!/usr/bin/env python3
"""Requests of one person: find, export, erase in the stores (R28, R43, R46,
R47)."""
import glob
import json
import os
import unittest

from harness import Gateway, main, wait_until
from optouts import arrived, everywhere, numbered, numbers, records

JANE = ("device-of-jane", "jane-session")


def long_pseudonyms(g, names=("store", "file")):
    """The Mixbot policy, whose stores single people out: a deviation from the
    exempt profile, with its reason."""
    text = g.read_policy()
    for name in names:
        text = text.replace('"%s": {"role"' % name,
                            '"%s": {"pseudonyms": {"bits": 128}, "deviations": '
                            '{"R25": "requests must find people"}, "role"' % name) \
                   .replace('"%s":  {"role"' % name,
                            '"%s": {"pseudonyms": {"bits": 128}, "deviations": '
                            '{"R25": "requests must find people"}, "role"' % name)
    g.write_policy(text)


def singling(**more):
    g = Gateway(start=False, **more)
    long_pseudonyms(g)
    g.start()
    return g


def story(g):
    """Events 1..3 are Jane's, 4..6 another's."""
    g.post("/v1/events", [numbered(1, "jane-session"),
                          numbered(2, "other", device_id="device-of-jane"),
                          numbered(3, "jane-session", device_id="device-of-jane"),
                          numbered(4, "joe-session"), numbered(5, "joe-session", device_id="d"),
                          numbered(6)])
    assert everywhere(g, [1, 2, 3, 4, 5, 6]), arrived(g)


def ask(g, verb, *ids, site=None):
    words = ["subject", verb, "--json"] + (["--site", site] if site else [])
    code, out, err = g.run(*words, stdin="\n".join(ids).encode())
    return code, json.loads(out) if out else err


def states(answer):
    return {d["destination"]: (d["state"], d["events"]) for d in answer["destinations"]}


def everything(g):
    """Every byte below the gateway's folder, but for what is not its own."""
    found = b""
    for path in glob.glob(os.path.join(g.folder, "**"), recursive=True):
        if os.path.isfile(path):
            with open(path, "rb") as f:
                found += f.read()
    return found


class Subject(unittest.TestCase):
    def test_r46_find_and_export_exactly_the_planted_events(self):
        with singling() as g:
            story(g)
            code, answer = ask(g, "find", *JANE)
            self.assertEqual(code, 2)  # `any` is a recipient of its own
            self.assertEqual(states(answer), {"store": ("done", 3), "file": ("done", 3),
                                              "any": ("not-asked", 0)})
            code, out, err = g.run("subject", "export", stdin="\n".join(JANE).encode())
            self.assertEqual(code, 2, err)
            lines = [json.loads(line) for line in out.splitlines()]
            for name in ("store", "file"):
                events = [l["event"] for l in lines if l["destination"] == name]
                self.assertEqual(numbers(events), [1, 2, 3])
                self.assertTrue(all(set(e) >= {"timestamp", "action", "details", "id"}
                                    for e in events))
            self.assertNotIn("jane", out)
            self.assertNotIn("device-of", out)
            # by one identifier alone; by nobody's
            self.assertEqual(states(ask(g, "find", "jane-session")[1])["store"], ("done", 2))
            self.assertEqual(states(ask(g, "find", "nobody")[1])["file"], ("done", 0))
            read = records(g, "subject.read")
            self.assertEqual([r["ids"] for r in read], [2, 2, 1, 1])
            self.assertEqual(arrived(g)["store"], [1, 2, 3, 4, 5, 6])

    def test_r43_r46_shared_pseudonyms_get_the_answer_of_article_11(self):
        with Gateway() as g:  # 24 bits
            story(g)
            before = g.rows()
            code, answer = ask(g, "find", *JANE)
            self.assertEqual((code, states(answer)["store"]), (2, ("cannot-identify", 0)))
            code, out, err = g.run("subject", "find", stdin=b"jane-session")
            self.assertIn("store: cannot identify (Article 11)", out)
            code, answer = ask(g, "erase", *JANE)
            self.assertEqual((code, states(answer)["file"]), (2, ("cannot-identify", 0)))
            self.assertEqual(g.rows(), before)  # nobody else's events went with them

    def test_r47_erased_from_rows_files_and_free_pages_and_out_from_then_on(self):
        with singling() as g:
            story(g)
            row = next(r for r in g.rows() if json.loads(r["details"])["file_size"] == 1048576)
            theirs = [row["session_id"], row["event_id"]]
            line = next(l for l in g.file_lines() if l["details"]["file_size"] == 1048576)
            theirs += [line["session_id"], line["id"]]
            g.settled()
            for text in theirs:
                self.assertIn(text.encode(), everything(g))
            code, answer = ask(g, "erase", *JANE)
            self.assertEqual(code, 2)
            self.assertEqual(len(answer["receipts"]), 2)
            self.assertEqual(states(answer), {"store": ("done", 3), "file": ("done", 3),
                                              "any": ("not-asked", 0)})
            left = everything(g)
            for text in theirs:
                self.assertNotIn(text.encode(), left)
            self.assertEqual(arrived(g)["store"], [4, 5, 6])
            self.assertEqual(arrived(g)["file"], [4, 5, 6])
            self.assertEqual(states(ask(g, "find", *JANE)[1])["store"], ("done", 0))
            self.assertEqual(states(ask(g, "erase", *JANE)[1])["file"], ("done", 0))
            self.assertEqual([(r["destination"], r["rows"]) for r in records(g, "erase.confirmed")],
                             [("store", 3), ("file", 3)])
            self.assertEqual(len(records(g, "erase.asked")), 2)
            # out from then on; others are not; the file goes on where it is
            g.post("/v1/events", [numbered(7, "jane-session"), numbered(8, "joe-session")])
            wait_until("event 8", lambda: 8 in arrived(g)["file"] and 8 in arrived(g)["store"])
            self.assertEqual(arrived(g)["file"], [4, 5, 6, 8])
            # a crash does not bring lines back, nor write any twice
            g.kill()
            g.start()
            g.post("/v1/events", numbered(9, "joe-session"))
            wait_until("event 9", lambda: 9 in arrived(g)["file"])
            self.assertEqual(arrived(g)["file"], [4, 5, 6, 8, 9])

    def test_r47_a_reader_delays_the_end_and_the_answer_says_so(self):
        import sqlite3
        with singling() as g:
            story(g)
            g.settled()
            reader = sqlite3.connect(os.path.join(g.home, "events.db"))
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM user_actions").fetchone()
            code, answer = ask(g, "erase", *JANE)
            self.assertEqual((code, states(answer)["store"]), (2, ("pending", 3)))
            reader.rollback()
            reader.close()
            self.assertEqual(states(ask(g, "erase", *JANE)[1])["store"], ("done", 0))

    def test_what_a_crash_left_of_an_erasure_is_removed(self):
        with singling() as g:
            story(g)
            path = glob.glob(os.path.join(g.home, "user_analytics.audience.*.jsonl"))[0]
            g.stop()
            with open(path + ".anew", "w") as f:
                f.write("half")
            g.start()
            self.assertFalse(os.path.exists(path + ".anew"))

    def test_the_files_owner_and_mode_stay(self):
        with singling() as g:
            story(g)
            path = glob.glob(os.path.join(g.home, "user_analytics.audience.*.jsonl"))[0]
            os.chmod(path, 0o600)
            ask(g, "erase", "jane-session")
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)

    def test_what_is_asked_must_be_of_one_person(self):
        with singling() as g:
            self.assertEqual(ask(g, "find")[0], 3)
            self.assertEqual(ask(g, "find", *["id%d" % i for i in range(9)])[0], 3)
            self.assertEqual(ask(g, "find", *["id%d" % i for i in range(8)])[0], 2)
            self.assertEqual(ask(g, "find", "x" * 1025)[0], 3)
            self.assertEqual(ask(g, "find", "x" * 1024)[0], 2)
            self.assertEqual(ask(g, "find", "a", site="nobody")[0], 3)
            self.assertEqual(ask(g, "erase")[0], 3)
            g.stop()
            code, out, err = g.run("subject", "find", stdin=b"a")
            self.assertEqual((code, out), (1, ""))
            self.assertIn("no gateway is running", err)

    def test_officers_only(self):
        with singling() as g:
            for role, status in (("auditor", 403), ("operator", 403), ("app", 403), ("officer", 200)):
                token = json.loads(g.run("token", "add", "--role", role, "--json")[1])["token"]
                answer = g.admin("POST", "/api/subject/find", {"ids": ["a"]},
                                 {"Authorization": "Bearer " + token})
                self.assertEqual(answer.status, status, (role, answer))


if __name__ == "__main__":
    main()
