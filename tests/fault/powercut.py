"""powercut.py - a folder as a power cut leaves it (with preload/powercut.c).

Durable is what a sync covered: bytes and size by a sync of the file, names by
a sync of their folder. Of the rest a part is kept, drawn from `dice`:
  names   of each folder, in order, up to some change
  files   in order, up to some change; of each write before it any subset of
          its 4096-byte blocks, the others as they were, or zeros behind the
          old end; whether the file grew over lost blocks is drawn, too
That is more hostile than today's file systems are, and what POSIX allows."""

import os
import shutil
import struct
import tempfile

NOTE = struct.Struct("<QQQQQIIIII4x")
BLOCK = 4096
NAMES = "CDUR"


class PowerCut:
    """`env` is for the processes whose lights will go out; `cut` then makes
    of `root` what is left. The folder beside root holds log and grave."""

    def __init__(self, root, library, after=None):
        self.root = os.path.realpath(root)
        self.work = tempfile.mkdtemp(prefix="powercut-", dir=os.path.dirname(self.root))
        self.log = os.path.join(self.work, "log")
        self.grave = os.path.join(self.work, "grave")
        os.mkdir(self.grave)
        self.env = {"LD_PRELOAD": library, "POWERCUT_ROOT": self.root,
                    "POWERCUT_LOG": self.log, "POWERCUT_GRAVE": self.grave}
        if after is not None:
            self.env["POWERCUT_AFTER"] = str(after)

    def cut(self, dice):
        """Returns (changes noted, changes that no sync had covered)."""
        with open(self.log, "rb") as f:
            notes = parse(f.read())
        pending = uncovered(notes)
        temper = dice.choice(("all lost", "some", "some", "some", "none lost"))
        files = self._files()
        changes = sorted((n["at"], n) for group in pending.values() for n in group)
        names, data = {}, {}
        for _, n in changes:
            into = names if n["op"] in NAMES else data
            into.setdefault(n["inode"], []).append(n)
        try:
            for inode, group in data.items():
                if inode in files:
                    redo(files[inode], group, temper, dice)
        finally:
            for fd in files.values():
                os.close(fd)
        lost = [n for group in names.values() for n in group[kept(group, temper, dice):]]
        for n in sorted(lost, key=lambda n: -n["at"]):
            self._take_back(n)
        for folder, _, here in os.walk(self.root):
            for name in here:
                if name.endswith("-shm"):  # a memory map, never durable
                    os.unlink(os.path.join(folder, name))
        return len(notes), len(changes)

    def close(self):
        shutil.rmtree(self.work, ignore_errors=True)

    def _files(self):
        """{inode: descriptor} of every file that has or had a name."""
        found = {}
        for top in (self.root, self.grave):
            for folder, _, here in os.walk(top):
                for name in here:
                    path = os.path.join(folder, name)
                    if not os.path.isfile(path) or os.path.islink(path):
                        continue
                    inode = os.stat(path).st_ino
                    if inode not in found:
                        found[inode] = os.open(path, os.O_RDWR)
        return found

    def _take_back(self, n):
        """A change of names that did not reach the disk."""
        try:
            if n["op"] == "C":
                os.unlink(n["path"])
            elif n["op"] == "D":
                shutil.rmtree(n["path"])
            elif n["op"] == "U":
                os.link(os.path.join(self.grave, str(n["other"])), n["path"])
            else:
                os.rename(n["path2"], n["path"])
                if n["other"]:
                    os.link(os.path.join(self.grave, str(n["other"])), n["path2"])
        except (FileNotFoundError, FileExistsError):
            pass  # noted, and not done: the lights were out


def parse(data):
    notes, at = [], 0
    while at + NOTE.size <= len(data):
        inode, other, offset, length, size, op, p1, p2, new, old = NOTE.unpack_from(data, at)
        end = at + NOTE.size + p1 + p2 + new + old
        if end > len(data):
            break  # the lights went out in the middle of the note
        b = at + NOTE.size
        notes.append({
            "at": at, "op": chr(op), "inode": inode, "other": other, "offset": offset,
            "length": length, "size": size, "path": data[b:b + p1].decode(),
            "path2": data[b + p1:b + p1 + p2].decode(),
            "new": data[b + p1 + p2:b + p1 + p2 + new] or bytes(length if chr(op) == "W" else 0),
            "old": data[end - old:end]})
        at = end
    return notes


def uncovered(notes):
    """{inode: its changes that no sync has covered}."""
    pending = {}
    for n in notes:
        if n["op"] == "S":
            pending[n["inode"]] = [m for m in pending.get(n["inode"], [])
                                   if m["at"] >= n["other"]]
        else:
            pending.setdefault(n["inode"], []).append(n)
    return pending


def kept(group, temper, dice):
    if temper == "all lost":
        return 0
    return len(group) if temper == "none lost" else dice.randint(0, len(group))


def redo(fd, group, temper, dice):
    """Take back all changes of one file, then do some of them again."""
    for n in reversed(group):
        if n["op"] == "T":
            os.ftruncate(fd, n["size"])
            os.pwrite(fd, n["old"], n["offset"])
        elif n["op"] == "A":
            os.ftruncate(fd, n["size"])
        else:
            there = max(0, min(n["length"], n["size"] - n["offset"]))
            os.pwrite(fd, n["old"][:there] or bytes(there), n["offset"])
            if n["offset"] + n["length"] > n["size"]:
                os.ftruncate(fd, n["size"])
    for n in group[:kept(group, temper, dice)]:
        if n["op"] == "T":
            os.ftruncate(fd, n["offset"])
        elif n["op"] == "A":
            grow(fd, n["offset"] + n["length"])
        else:
            write_some(fd, n, temper, dice)


def grow(fd, size):
    if os.fstat(fd).st_size < size:
        os.ftruncate(fd, size)


def write_some(fd, n, temper, dice):
    odds = 1 if temper == "none lost" else dice.choice((0, 0.5, 0.9, 1))
    at, end = n["offset"], n["offset"] + n["length"]
    while at < end:
        to = min(end, (at // BLOCK + 1) * BLOCK)
        if dice.random() < odds:
            os.pwrite(fd, n["new"][at - n["offset"]:to - n["offset"]], at)
        at = to
    if dice.random() < 0.5:
        grow(fd, end)
