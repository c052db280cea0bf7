#!/usr/bin/env python3
"""What README.md and `make run` tell a newcomer to type, typed: every command
under a `<!-- try -->` mark, on a free port and in a folder of its own. Each
line of the output that README shows must be part of a line that came, in the
order shown; "..." stands for anything. `make test` is how its two commands of
the first section are tried."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from harness import LETHE, PATIENCE_S, ROOT, Gateway, main, wait_until

EXAMPLE = os.path.join(ROOT, "docs", "examples", "mixbot")
TRY = re.compile(r"^<!-- try(?P<kind>[^>]*?) ?-->\n```\w+\n(?P<code>.*?)^```\n"
                 r"(?:```text\n(?P<shown>.*?)^```\n)?", re.M | re.S)
ONCE = ("curl ", "python3 docs/")  # these change something; the others look


class AsMakeRun(Gateway):
    """What docs/examples/mixbot/run.sh starts, on free ports."""

    def write_config(self, changes):
        with open(self.conf_path) as f:
            text = f.read()
        for port in ("8080", "8081"):
            assert text.count("127.0.0.1:" + port) == 1, "init no longer says " + port
            text = text.replace("127.0.0.1:" + port, "127.0.0.1:0")
        with open(self.conf_path, "w") as f:
            f.write(text)


def fitting(command, g):
    """The command with this gateway's port, folder and program."""
    for old, new in (("http://127.0.0.1:8080", "http://127.0.0.1:%d" % g.port),
                     ("http://127.0.0.1:8081", "http://127.0.0.1:%d" % g.admin_port),
                     ("build/run", g.home), ("build/lethe", LETHE)):
        command = command.replace(old, new)
    return command


def typed(command, g):
    done = subprocess.run(["sh", "-c", fitting(command, g)], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=PATIENCE_S * 3, text=True)
    return done.returncode, done.stdout, done.stderr


def missing(shown, output):
    """The first line of `shown` that `output` lacks, or None."""
    lines = iter(output.splitlines())
    for line in filter(str.strip, shown.splitlines()):
        pattern = re.compile(".*".join(re.escape(p) for p in line.split("...")))
        if not any(pattern.search(got) for got in lines):
            return line
    return None


class Readme(unittest.TestCase):
    def setUp(self):
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
            self.text = f.read()
        self.tries = [m.groupdict() for m in TRY.finditer(self.text)]

    def test_every_mark_is_understood(self):
        self.assertEqual(len(self.tries), self.text.count("<!-- try"))
        self.assertEqual({t["kind"] for t in self.tries}, {"", " python"})
        self.assertTrue(all(t["shown"] for t in self.tries if t["kind"] == ""))

    def test_commands_print_what_is_shown(self):
        with AsMakeRun() as g:
            for t in self.tries:
                if t["kind"] == "":
                    with self.subTest(t["code"].split("\n")[0]):
                        self.one_block(t["code"], t["shown"], g)

    def one_block(self, code, shown, g):
        commands = code.strip().split("\n")
        printed = {}

        def lacks_nothing():
            for c in commands:
                if c.startswith(ONCE) and c in printed:
                    continue
                code, out, err = typed(c, g)
                # Looking may be too early; what changes something must work.
                self.assertTrue(code == 0 or not c.startswith(ONCE), err)
                printed[c] = out if out.endswith("\n") else out + "\n"
            return missing(shown, "".join(printed[c] for c in commands)) is None

        try:
            wait_until("the output that is shown", lacks_nothing)
        except AssertionError:
            self.fail("README shows:\n%s\nbut it is:\n%s" % (shown, "".join(printed.values())))

    def test_the_python_snippet(self):
        code = [t["code"] for t in self.tries if t["kind"] == " python"]
        self.assertEqual(len(code), 1)
        with AsMakeRun() as g:
            program = fitting(code[0], g) + "\nprint(tracker.dropped)\n"
            done = subprocess.run([sys.executable, "-c", program], text=True, capture_output=True,
                                  env=dict(os.environ, PYTHONPATH=EXAMPLE), timeout=PATIENCE_S * 3)
            self.assertEqual((done.returncode, done.stdout), (0, "0\n"), done.stderr)
            wait_until("its line", g.file_lines)
            self.assertEqual(g.file_lines()[0]["action"], "genre_detection")

    def test_a_comparison_can_fail(self):
        self.assertIsNone(missing('a...c\n', "xabcx\n"))
        self.assertEqual(missing("b\na\n", "a\nb\n"), "a")
        self.assertEqual(missing("a.c\n", "abc\n"), "a.c")


class MakeRun(unittest.TestCase):
    """The text of run.sh, got with a program that only lets it print."""

    def setUp(self):
        self.build = tempfile.mkdtemp(prefix="lethe-test-")
        self.addCleanup(shutil.rmtree, self.build)
        stub = os.path.join(self.build, "lethe")
        with open(stub, "w") as f:
            f.write("#!/bin/sh\nexit 0\n")
        os.chmod(stub, 0o755)
        env = {k: v for k, v in os.environ.items() if not k.startswith("SUDO_")}
        text = subprocess.run([os.path.join(EXAMPLE, "run.sh"), self.build], check=True, text=True,
                              stdout=subprocess.PIPE, env=env).stdout
        self.text = text.replace(self.build, "build")

    def test_what_it_prints_works(self):
        curls = re.findall(r"^  (curl .*)$", self.text, re.M)
        self.assertEqual(len(curls), 2)
        self.assertEqual([("consent" in c) for c in curls], [False, True])
        for c in curls:
            for part in ("session_id", "file_name", "203.0.113.77"):
                self.assertIn(part, c)
        looks = re.findall(r"^ +(?:the line|\(or:|why|the record|all of it) +(.*?)\)?$",
                           self.text, re.M)
        self.assertEqual(len(looks), 5)
        opt_out = re.search(r"^  Opt out: +(.*)$", self.text, re.M).group(1)
        with AsMakeRun() as g:
            for c in curls:
                self.assertEqual(typed(c, g)[:2], (0, '{"status":"ok","received":1}'))
            wait_until("two lines and rows",
                       lambda: len(g.file_lines()) == 2 and len(g.rows()) == 2)
            told = ""
            for c in looks:
                def looked():
                    code, out, err = typed(c, g)
                    self.assertEqual(code, 0, c + "\n" + err)
                    return out.strip()

                # A row of the audit log comes with the end of its second.
                out = wait_until("an output of " + c, looked)
                if "policy explain" not in c:  # that one shows what came in
                    told += out
            self.assertIn("file_upload", told)
            self.assertNotIn("203.0.113.77", told)
            self.assertNotIn("Jane", told)
            self.assertIn('"status":"ok"', typed(opt_out, g)[1])


if __name__ == "__main__":
    main()
