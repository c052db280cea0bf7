"""canaries.py - unique random marks, and the search for whatever became of
them: as they are, in other writings, reversed, or hashed without a secret."""

import base64
import hashlib
import os
import random
import re

SEED = int(os.environ.get("LETHE_SEED", "20261122"))
PART = 12  # a value may be cut: either half of a mark must stay away
LETTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
HASHES = (hashlib.md5, hashlib.sha1, hashlib.sha256, hashlib.sha512,
          hashlib.sha3_256, hashlib.blake2s, hashlib.blake2b,
          lambda b: hashlib.blake2b(b, digest_size=32),
          lambda b: hashlib.blake2b(b, digest_size=16))


class Canaries:
    def __init__(self):
        self.random = random.Random(SEED)
        self.known = {}  # mark -> where it was planted

    def new(self, where):
        mark = "".join(self.random.choice(LETTERS) for _ in range(2 * PART))
        self.known[mark] = where
        return mark

    def number(self, where):
        """A mark that is a JSON number (beyond what a double holds)."""
        mark = "9" + "".join(self.random.choice("123456789") for _ in range(17))
        self.known[mark] = where
        return mark

    def add(self, mark, where):
        self.known[mark] = where

    def needles(self):
        for mark, where in self.known.items():
            for form, needle in forms(mark):
                yield where, form, needle


def base64_forms(data):
    """What of data's base64 is the same whatever stands around it."""
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + data)
        first = (shift * 8 + 5) // 6
        last = (shift + len(data)) * 8 // 6
        for sure in {text[first:last], text[first:last].translate(
                bytes.maketrans(b"+/", b"-_"))}:
            yield "base64/%d" % shift, sure


def forms(mark):
    whole = mark.encode()
    halves = {whole[:PART], whole[-PART:]}
    for half in halves:
        yield "raw", half
        yield "lower", half.lower()
        yield "upper", half.upper()
        yield "percent", b"".join(b"%%%02x" % c for c in half)
        yield "PERCENT", b"".join(b"%%%02X" % c for c in half)
        yield "hex", half.hex().encode()
        yield "HEX", half.hex().upper().encode()
        yield "reversed", half[::-1]
        yield "utf-16", half.decode().encode("utf-16-le")
        yield "utf-16 be", half.decode().encode("utf-16-be")
        yield "reversed utf-16", half[::-1].decode().encode("utf-16-le")
        yield "reversed utf-16 be", half[::-1].decode().encode("utf-16-be")
        yield "json escapes", b"".join(b"\\u%04x" % c for c in half)
        yield from base64_forms(half)
    for text in {whole, whole.lower(), whole.upper()}:
        for hash_of in HASHES:
            digest = hash_of(text).digest()
            name = hash_of(text).name
            # also cut to 64 bits
            yield name, digest[:8]
            yield name + " hex", digest.hex()[:16].encode()
            yield name + " HEX", digest.hex()[:16].upper().encode()
            text64 = base64.b64encode(digest)[:10]
            yield name + " base64", text64
            yield name + " base64url", text64.translate(
                bytes.maketrans(b"+/", b"-_"))
    if mark.isdigit():
        yield "u64 le", int(mark).to_bytes(8, "little")
        yield "u64 be", int(mark).to_bytes(8, "big")


def squeeze(data):
    """Preallocated files are mostly zeros."""
    return re.sub(rb"\0{64,}", b"\0" * 64, data)


WINDOW = 8  # no needle is shorter


def sweep(canaries, haystacks):
    """haystacks: {name: bytes}. Returns the hits as text."""
    by_start = {}
    for where, form, needle in canaries.needles():
        assert len(needle) >= WINDOW, (form, needle)
        by_start.setdefault(needle[:WINDOW], []).append((where, form, needle))
    starts = frozenset(by_start)
    hits = []
    for name, data in haystacks.items():
        data = squeeze(data)
        for start in starts.intersection(
                data[i:i + WINDOW] for i in range(len(data) - WINDOW + 1)):
            for where, form, needle in by_start[start]:
                if needle in data:
                    hits.append("%s as %s in %s" % (where, form, name))
    return hits


def files_under(*folders):
    found = {}
    for folder in folders:
        for path, _, names in os.walk(folder):
            for name in names:
                full = os.path.join(path, name)
                if os.path.isfile(full) and not os.path.islink(full):
                    with open(full, "rb") as f:
                        found[full] = f.read()
    return found
