#!/usr/bin/env python3
"""The power cut of tests/fault: what a sync covered stays, of the rest any part
may be lost. And a few rounds of the audit log's crash loop (`make audit` runs
many)."""
import contextlib
import io
import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

from harness import BUILD, is_sanitized, main

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "fault"))
from crash_audit import Laboratory  # noqa: E402
from powercut import PowerCut  # noqa: E402

LIBRARY = os.path.join(BUILD, "fault", "powercut.so")
CHILD = """
import os, sys
def put(name, data, flags=0, at=None):
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | flags, 0o600)
    os.write(fd, data) if at is None else os.pwrite(fd, data, at)
    return fd
def sync(name):
    fd = os.open(name, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
os.chdir(sys.argv[1])
"""


class Dice(random.Random):
    """Chance, but for how much of it."""

    def __init__(self, temper, seed=1):
        super().__init__(seed)
        self.temper = temper

    def choice(self, seq):
        return self.temper if "some" in seq else super().choice(seq)


@unittest.skipIf(is_sanitized(), "a preloaded library would stand before the sanitizer")
class TheShim(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="lethe-test-")
        self.addCleanup(shutil.rmtree, self.top)
        self.root = os.path.join(self.top, "disk")

    def after(self, script, temper="all lost", seed=1, before=None, cut_at=None):
        """{path: bytes} of what is left after the script and a cut."""
        shutil.rmtree(self.root, ignore_errors=True)
        os.mkdir(self.root)
        for name, data in (before or {}).items():
            with open(os.path.join(self.root, name), "wb") as f:
                f.write(data)
        cut = PowerCut(self.root, LIBRARY, cut_at)
        try:
            done = subprocess.run([sys.executable, "-c", CHILD + script, self.root],
                                  env=dict(os.environ, **cut.env), capture_output=True,
                                  start_new_session=True)
            self.assertIn(done.returncode, (0, -9), done.stderr)
            self.noted, self.pending = cut.cut(Dice(temper, seed))
        finally:
            cut.close()
        left = {}
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as f:
                    left[os.path.relpath(path, self.root)] = f.read()
        return left

    def test_synced_bytes_stay_and_others_go(self):
        script = """
fd = put("f", b"one")
os.fsync(fd); sync(".")
os.write(fd, b"two")
"""
        self.assertEqual(self.after(script), {"f": b"one"})
        self.assertEqual(self.after(script, "none lost"), {"f": b"onetwo"})
        self.assertEqual(self.pending, 1)

    def test_a_sync_covers_what_was_before_it_in_that_file_only(self):
        self.assertEqual(self.after("""
a, b = put("a", b"1"), put("b", b"1")
os.fdatasync(a); sync(".")
"""), {"a": b"1", "b": b""})

    def test_a_name_needs_its_folder_synced(self):
        script = 'fd = put("new", b"x"); os.fsync(fd)'
        self.assertEqual(self.after(script), {})
        self.assertEqual(self.after(script + '; sync(".")'), {"new": b"x"})
        script = 'os.mkdir("d"); fd = put("d/new", b"x"); os.fsync(fd); sync("d")'
        self.assertEqual(self.after(script), {})
        self.assertEqual(self.after(script + '; sync(".")'), {"d/new": b"x"})

    def test_names_come_back(self):
        before = {"old": b"old", "gone": b"gone"}
        script = """
fd = put("next", b"new"); os.fsync(fd)
os.rename("next", "old"); os.unlink("gone")
"""
        self.assertEqual(self.after(script, before=before), before)
        self.assertEqual(self.after(script + 'sync(".")', before=before), {"old": b"new"})
        # A rename over bytes that nobody synced: the well-known empty file.
        self.assertEqual(self.after(script.replace("os.fsync(fd)", "pass") + 'sync(".")',
                                    before=before), {"old": b""})

    def test_sizes_come_back(self):
        before = {"f": b"0123456789"}
        for script in ('os.truncate("f", 3)', 'os.ftruncate(os.open("f", os.O_RDWR), 3)',
                       'put("f", b"abc", os.O_TRUNC)',
                       'put("f", b"abc", os.O_APPEND)', 'put("f", b"x", at=20)',
                       'os.posix_fallocate(os.open("f", os.O_RDWR), 0, 99)'):
            script = script.replace('os.truncate("f", 3)',
                                    'put("f", b"ab"); os.ftruncate(put("f", b""), 3)')
            self.assertEqual(self.after(script, before=before), before, script)
            self.assertNotEqual(self.after(script, "none lost", before=before), before, script)

    def test_some_is_any_subset_behind_the_synced(self):
        script = """
fd = put("f", b"a" * 4096); os.fsync(fd); sync(".")
for c in b"bcd": os.write(fd, bytes([c]) * 4096)
os.rename("f", "g")
"""
        seen = set()
        for seed in range(60):
            left = self.after(script, "some", seed)
            (name, data), = left.items()
            self.assertEqual(data[:4096], b"a" * 4096)
            seen.add((name, bytes(data[4096::4096])))
        self.assertLessEqual({name for name, _ in seen}, {"f", "g"})
        kinds = {data for _, data in seen}
        for want in (b"", b"b", b"bcd", b"\0\0d", b"\0c"):
            self.assertIn(want, kinds)

    def test_the_lights_go_out_before_the_nth_change(self):
        script = 'for i in range(9): put("f%d" % i, b"x")'
        for n in (1, 2, 5):
            self.assertEqual(len(self.after(script, "none lost", cut_at=n)), n // 2)
            self.assertEqual(self.noted, n - 1)


@unittest.skipIf(is_sanitized(), "a preloaded library would stand before the sanitizer")
class TheLoop(unittest.TestCase):
    def test_a_few_rounds(self):
        laboratory = Laboratory(7, rounds_each=6)
        laboratory.run(12)
        self.assertEqual(laboratory.alarms, [])
        self.assertEqual((laboratory.kills, laboratory.cuts), (6, 6))

    def test_a_forgotten_sync_is_found(self):
        laboratory = Laboratory(3, rounds_each=10, cut_env={"POWERCUT_DEAF": "/audit/rows/"})
        with contextlib.redirect_stdout(io.StringIO()):
            laboratory.run(10)
        self.assertIn("verify after a power cut", " ".join(laboratory.alarms))


main()
