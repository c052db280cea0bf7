"""tlog.py - a C2SP tlog in Python's own words, for tests: leaf and node hashes,
tiles, bundles and notes; shares nothing with the gateway."""
import base64
import glob
import hashlib
import os


def leaf(data):
    return hashlib.sha256(b"\0" + data).digest()


def root(hashes):
    """MTH of leaf hashes, as RFC 6962 section 2.1 writes it."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return hashlib.sha256(b"\1" + root(hashes[:k]) + root(hashes[k:])).digest()


def records(audit):
    """The lines of all segments of an audit folder."""
    lines = []
    for path in sorted(glob.glob(os.path.join(audit, "seg", "*.jsonl"))):
        with open(path, "rb") as f:
            lines += f.read().split(b"\n")[:-1]
    return lines


def bundle(lines):
    return b"".join(len(line).to_bytes(2, "big") + line for line in lines)


def unbundle(data):
    lines = []
    while data:
        length = int.from_bytes(data[:2], "big")
        assert len(data) >= 2 + length
        lines.append(data[2:2 + length])
        data = data[2 + length:]
    return lines


def path(level, number, width=256):
    groups = ["%03d" % (number % 1000)]
    while number >= 1000:
        number //= 1000
        groups.insert(0, "x%03d" % (number % 1000))
    return "tile/%s/%s%s" % (level, "/".join(groups), "" if width == 256 else ".p/%d" % width)


def split_note(note):
    """Text and signature lines."""
    text, _, lines = note.rpartition("\n\n")
    return text + "\n", lines.splitlines()


def parse(note):
    """(origin, size, root) of a checkpoint."""
    text, _ = split_note(note)
    origin, size, root_text = text.splitlines()
    return origin, int(size), base64.b64decode(root_text, validate=True)


def text(origin, size, root_hash):
    return "%s\n%d\n%s\n" % (origin, size, base64.b64encode(root_hash).decode())
