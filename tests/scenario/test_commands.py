#!/usr/bin/env python3
"""Every command by the same table: its help, its options, its JSON, what it
does without a gateway and with a wrong config (design.md section 5)."""
import json
import os
import re
import shutil
import subprocess
import unittest

from harness import LETHE, PATIENCE_S, ROOT, Gateway, event, main

POLICY = os.path.join(ROOT, "policy", "profiles", "mixbot.json")
SAMPLE = json.dumps(event()).encode()
# words: (arguments, exit with a gateway, exit without one, standard input)
# An exit of None: this command is tested elsewhere.
GATEWAY = {
    "reload": ([], 0, 1, b""),
    "status": ([], 0, 1, b""),
    "keys status": ([], 0, 1, b""),
    "keys rotate": ([], 0, 1, b""),
    "keys destroy": ([], 0, 1, b""),
    "retention status": ([], 0, 1, b""),
    "retention run": ([], 0, 1, b""),
    "spool status": ([], 0, 1, b""),
    "spool dead": ([], 0, 1, b""),
    "spool replay": (["any"], 0, 1, b""),
    "spool purge": (["any"], 0, 1, b""),
    "destination list": ([], 0, 1, b""),
    "destination test": (["store"], 0, 1, b""),
    "destination pause": (["any"], 0, 1, b""),
    "destination resume": (["any"], 0, 1, b""),
    "token add": (["--role", "auditor", "--label", "x"], 0, 1, b""),
    "token list": ([], 0, 0, b""),
    "token revoke": (["0123456789ab"], 3, 1, b""),
    "subject optout": ([], 0, 0, b"someone\n"),
    "subject optin": ([], 0, 1, b"someone\n"),
    "subject status": ([], 0, 0, b"someone\n"),
    "subject find": ([], 2, 1, b"someone\n"),
    "subject export": ([], 2, 1, b"someone\n"),
    "subject erase": ([], 2, 1, b"someone\n"),
    "subject accept-loss": ([], 1, 1, b""),
    "request open": (["--kind", "access"], 0, 1, b""),
    "request list": ([], 0, 1, b""),
    "request extend": (["00000000", "--why", "many"], 3, 1, b""),
    "request close": (["00000000", "--outcome", "done"], 3, 1, b""),
    "report ropa": ([], 0, 1, b""),
    "site list": ([], 0, 0, b""),
    "site retire": (["0123456789abcdef"], 3, 1, b""),
    "audit search": (["--act", "gate.start"], 0, 0, b""),
    "audit export": (["--act", "gate.start"], 0, 0, b""),
    "audit canary": ([], 0, 1, b""),
    "audit prune": ([], 0, 1, b""),
    "audit hold": (["list"], 0, 0, b""),
    "audit verify": ([], 0, 0, b""),
    "check": ([], 0, 0, b""),
}
ALONE = {  # no gateway, no config
    "policy check": ([POLICY], 0, b""),
    "policy explain": ([POLICY], 0, SAMPLE),
    "policy test": ([None], 0, b""),  # a folder of one case, made below
    "policy diff": ([POLICY, POLICY], 0, b""),
    "policy show": ([POLICY], 0, b""),
    "policy draft": ([], 0, SAMPLE),
    "minimise": (["--policy", POLICY], 0, SAMPLE),
    "version": ([], 0, b""),
}
OTHERS = {"audit check", "audit fork", "audit prove", "init", "serve", "signer"}
LINES = {"audit export", "audit search", "minimise"}  # --json: JSON Lines


def lethe(*words, stdin=b"", env=None):
    done = subprocess.run([LETHE] + list(words), input=stdin, capture_output=True,
                          timeout=PATIENCE_S * 3, env=env)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def commands():
    out = lethe("--help")[1]
    return [m.strip() for m in re.findall(r"^  ([a-z]+(?: [a-z-]+)?) +[A-Z]", out, re.M)]


class Table(unittest.TestCase):
    def is_json(self, words, out):
        if words in LINES:
            for line in out.splitlines():
                json.loads(line)
        else:
            self.assertTrue(out.endswith("\n"), (words, out))
            json.loads(out)

    def test_the_table_is_whole(self):
        self.assertEqual(set(commands()), set(GATEWAY) | set(ALONE) | OTHERS)

    def test_help(self):
        for words in commands():
            code, out, err = lethe(*words.split(), "--help")
            self.assertEqual((code, err), (0, ""), words)
            self.assertIn("usage: lethe " + words, out)
            for option in ["--json", "--help"] + (["--config"] if words in GATEWAY else []):
                self.assertIn(option, out, words)
            self.assertIn("exit codes: 0 good, 1 found wrong, 2 incomplete, 3 usage", out)
            # Help wins over what stands before it.
            self.assertEqual(lethe(*words.split(), "--json", "--help")[0], 0, words)

    def test_usage(self):
        for words in commands():
            for more in (["--nosuch"], ["--nosuch=1"], ["-x"], ["a", "b", "c", "d"]):
                if words == "audit check" and more[0] == "a":
                    continue  # takes any number of files
                code, out, err = lethe(*words.split(), *more)
                self.assertEqual((code, out), (3, ""), (words, more, err))
                self.assertTrue(err.startswith("lethe: "), err)
        for more in ([], ["nosuch"], ["spool"], ["spool", "nosuch"], ["--nosuch"]):
            code, out, err = lethe(*more)
            self.assertEqual((code, out), (3, ""), more)
            self.assertIn("usage: lethe COMMAND", err)

    def test_without_config(self):
        for words, (arguments, *_) in GATEWAY.items():
            code, out, err = lethe(*words.split(), *arguments)
            if words != "audit verify":
                self.assertEqual((code, out), (3, ""), words)
            self.assertIn("--config FILE", err, words)
            self.assertEqual(lethe(*words.split(), *arguments, "--config")[0], 3, words)

    def test_with_a_gateway(self):
        with Gateway() as g:
            for words, (arguments, want, _, stdin) in GATEWAY.items():
                code, out, err = g.run(*words.split(), *arguments, stdin=stdin)
                self.assertEqual(code, want, (words, out, err))
                code, out, err = g.run(*words.split(), *arguments, "--json", stdin=stdin)
                self.assertEqual(code, want, (words, out, err))
                self.is_json(words, out)

    def test_without_a_gateway(self):
        with Gateway() as g:
            g.run("token", "add", "--role", "auditor", check=True)
            g.stop()
            for words, (arguments, _, want, stdin) in GATEWAY.items():
                code, out, err = g.run(*words.split(), *arguments, stdin=stdin)
                self.assertEqual(code, want, (words, out, err))
                if want == 1 and words != "site retire":
                    self.assertIn("no gateway is running", err, words)
                    self.assertEqual(out, "", words)
                code, out, err = g.run(*words.split(), *arguments, "--json", stdin=stdin)
                self.assertEqual(code, want, (words, out, err))
                if want != 1:
                    self.is_json(words, out)
            g.start()  # what they did hurts nobody
            self.assertEqual(g.get("/healthz").status, 200)

    def test_without_gateway_and_config(self):
        with Gateway(start=False) as g:
            case = os.path.join(g.folder, "cases", "one")
            os.makedirs(case)
            shutil.copyfile(POLICY, os.path.join(case, "policy.json"))
            for name in ("events.jsonl", "expected.jsonl"):
                open(os.path.join(case, name), "w").close()
            self.alone(os.path.dirname(case))

    def alone(self, cases):
        for words, (arguments, want, stdin) in ALONE.items():
            arguments = [one or cases for one in arguments]
            for more in ([], ["--json"]):
                code, out, err = lethe(*words.split(), *arguments, *more, stdin=stdin)
                self.assertEqual(code, want, (words, out, err))
                if more:
                    self.is_json(words, out)

    def test_wrong_config(self):
        """Exit 1, and file, line and key are named."""
        with Gateway(start=False) as g:
            text = json.dumps(g.conf, indent=1)
            line = 1 + text[:text.index('"workers"')].count("\n") if '"workers"' in text else 0
            bad = text.replace("{", '{\n "workerz": 2,', 1)
            for content, names in ((bad, [":2:", "workerz"]), (text[:-2], ["lethe.json:"]),
                                   (text.replace('"127.0.0.1:0"', '7', 1), ["address"]),
                                   ("", ["lethe.json"])):
                with open(g.conf_path, "w") as f:
                    f.write(content)
                for words, (arguments, _, _, stdin) in list(GATEWAY.items()) + [
                        ("serve", ([], 1, 1, b""))]:
                    code, out, err = g.run(*words.split(), *arguments, stdin=stdin)
                    self.assertEqual((code, out), (1, ""), (words, content[:40], err))
                    for name in names + [g.conf_path]:
                        self.assertIn(name, err, words)
            os.unlink(g.conf_path)
            for words, (arguments, _, _, stdin) in GATEWAY.items():
                code, out, err = g.run(*words.split(), *arguments, stdin=stdin)
                self.assertEqual((code, out), (1, ""), words)
                self.assertIn(g.conf_path, err)

    def test_r32_people_are_never_arguments(self):
        with Gateway() as g:
            for words in ("subject optout", "subject optin", "subject status"):
                for more in (["someone@example.com"], ["--id=someone@example.com"],
                             ["--someone@example.com"]):
                    code, out, err = g.run(*words.split(), *more)
                    self.assertEqual((code, out), (3, ""), (words, more))
                    self.assertNotIn("example.com", err)
            self.assertNotIn(b"example.com", g.log)

    def test_many_identifiers_are_one_answer(self):
        ids = "".join("person-%d\n" % n for n in range(20)).encode()
        with Gateway() as g:
            for running in (True, False):
                if not running:
                    g.stop()
                out = json.loads(g.run("subject", "optout", "--json", stdin=ids)[1])
                self.assertEqual(len(set(out["receipts"])), 20)
                out = json.loads(g.run("subject", "status", "--json",
                                       stdin=ids + b"stranger\n")[1])
                self.assertEqual(out, {"opted_out": [True] * 20 + [False]})

    def test_init(self):
        with Gateway(start=False) as g:
            before = open(g.conf_path).read()
            code, out, err = lethe("init", g.home)
            self.assertEqual((code, out), (1, ""))
            self.assertIn("lethe.json", err)
            self.assertEqual(open(g.conf_path).read(), before)
            odd = os.path.join(g.folder, 'a "quoted" name')
            code, out, err = lethe("init", odd, "--json")
            self.assertEqual((code, json.loads(out)), (0, {"folder": odd}))
            self.assertEqual(lethe("check", "--config", os.path.join(odd, "lethe.json"))[0], 0)


if __name__ == "__main__":
    main()
