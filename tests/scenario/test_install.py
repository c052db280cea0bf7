#!/usr/bin/env python3
"""`make install` gives what README and docs/operations.md promise, and what it
installs works from there."""
import glob
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from harness import BUILD, ROOT, main

FILES = [
    "sbin/lethe", "lib/systemd/system/lethe.service", "lib/systemd/system/lethe-signer.service",
    "share/man/man8/lethe.8", "share/man/man5/lethe.json.5", "share/man/man5/lethe-policy.5",
    "share/lethe/profiles/cnil-exempt.json", "share/lethe/profiles/cnil-pragmatic.json",
    "share/lethe/profiles/cnil-strict.json", "share/lethe/profiles/mixbot.json",
    "share/doc/lethe/README.md", "share/doc/lethe/SECURITY.md", "share/doc/lethe/LICENSE",
    "share/doc/lethe/docs/config.schema.json", "share/doc/lethe/docs/ropa.schema.json", "share/doc/lethe/docs/policy.schema.json",
    "share/doc/lethe/docs/examples/lethe.service",
    "share/doc/lethe/docs/examples/lethe-signer.service",
    "share/doc/lethe/docs/examples/optout-return.js",
    "share/doc/lethe/docs/examples/mixbot/lethe_track.py",
    "share/doc/lethe/docs/examples/mixbot/story.py",
    "share/doc/lethe/docs/examples/mixbot/run.sh",
    "share/doc/lethe/docs/examples/mixbot/events.jsonl",
]


def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=120, **options)
    return done.returncode, done.stdout.decode(errors="replace")


def install(destdir, prefix):
    """What is there is not built again: the flavour in BUILD is installed."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    code, out = run("make", "-C", ROOT, "--no-print-directory", "BUILD=" + BUILD,
                    "-o", os.path.join(BUILD, "lethe"), "DESTDIR=" + destdir,
                    "PREFIX=" + prefix, "install", env=env)
    if code != 0:
        raise AssertionError("make install: " + out)


class Install(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="lethe-install-")
        self.addCleanup(shutil.rmtree, self.folder)

    def found(self, root):
        return sorted(os.path.relpath(os.path.join(folder, name), root)
                      for folder, _, names in os.walk(root) for name in names)

    def test_everything_lies_where_it_should(self):
        install(self.folder, "/usr")
        wanted = FILES + ["share/doc/lethe/docs/" + os.path.basename(p)
                          for p in glob.glob(os.path.join(ROOT, "docs", "*.md"))]
        self.assertEqual(self.found(self.folder), sorted("usr/" + f for f in wanted))
        for name in ("sbin/lethe", "share/doc/lethe/docs/examples/mixbot/run.sh"):
            self.assertTrue(os.access(os.path.join(self.folder, "usr", name), os.X_OK), name)
        for name in self.found(self.folder):
            mode = os.stat(os.path.join(self.folder, name)).st_mode & 0o777
            self.assertIn(mode, (0o644, 0o755), name)

    def test_the_binary_works_from_there(self):
        install(self.folder, "/usr")
        lethe = os.path.join(self.folder, "usr/sbin/lethe")
        code, out = run(lethe, "version", "--json")
        self.assertEqual(code, 0, out)
        self.assertIn("version", json.loads(out))
        code, out = run(lethe, "--help")
        self.assertEqual(code, 0, out)
        self.assertIn("usage: lethe COMMAND", out)
        for profile in glob.glob(os.path.join(self.folder, "usr/share/lethe/profiles/mixbot.json")):
            code, out = run(lethe, "policy", "check", profile)
            self.assertEqual(code, 0, out)

    def test_links_of_the_installed_documents_hold(self):
        install(self.folder, "/usr")
        code, out = run("python3", os.path.join(ROOT, "tests/lint/docs.py"), "links",
                        os.path.join(self.folder, "usr/share/doc/lethe"))
        self.assertEqual(code, 0, out)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze here")
    def test_systemd_takes_the_unit(self):
        install("", self.folder)
        for name, command in (("lethe", "serve"), ("lethe-signer", "signer")):
            unit = os.path.join(self.folder, "lib/systemd/system/%s.service" % name)
            with open(unit, encoding="utf-8") as f:
                text = f.read()
            self.assertIn("ExecStart=%s/sbin/lethe %s" % (self.folder, command), text)
            self.assertNotIn("/usr/local/", text)
            code, out = run("systemd-analyze", "verify", "--man=no", unit)
            self.assertEqual((code, out), (0, ""))

    @unittest.skipUnless(shutil.which("mandoc"), "no mandoc here")
    def test_manual_pages_can_be_read(self):
        install(self.folder, "/usr")
        for page in glob.glob(os.path.join(self.folder, "usr/share/man/man?/*")):
            code, out = run("mandoc", "-Tutf8", page)
            self.assertEqual(code, 0, out)
            self.assertIn("NAME", out.replace("N\bN", "N").replace("A\bA", "A")
                          .replace("M\bM", "M").replace("E\bE", "E"))


if __name__ == "__main__":
    main()
