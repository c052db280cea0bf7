#!/usr/bin/env python3
"""How many rows a second `lethe audit verify` hashes and recounts. Writes a
log of ROWS rows (made here, without the gateway's code) into a folder of its
own and prints `verify_rows_s N`.

verify_speed.py BUILD [ROWS]"""
import base64
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time

BATCH = 65536
LEAST = 1000000


def tree(hashes):
    while len(hashes) > 1:
        pairs = [hashlib.sha256(b"\1" + a + b).digest()
                 for a, b in zip(hashes[::2], hashes[1::2])]
        hashes = pairs + hashes[len(pairs) * 2:]
    return base64.b64encode(hashes[0]).decode()


def when(s):
    return "2026-11-22T%02d:%02d:%02d.000Z" % (9 + s // 3600, s // 60 % 60, s % 60)


def make(folder, batches):
    """A batch of every kind of event row, written `batches` times."""
    kinds = [(1, 0, 3), (2, 0, 4), (3, 3, 12), (3, 9, 5)]
    rows = [struct.pack(">IBBHHHIQQ", k * 10, *kinds[k % 4], 1, 3, 5, k + 1, k)
            for k in range(BATCH)]
    root = tree([hashlib.sha256(b"\0" + row).digest() for row in rows])
    n = BATCH // 4
    here = {"in": BATCH, "fwd": n, "mod": n, "drop": 2 * n}
    for part in ("seg", "rows"):
        os.makedirs(os.path.join(folder, part))
    with open(os.path.join(folder, "seg", "0" * 12 + ".jsonl"), "w") as seg, \
            open(os.path.join(folder, "rows", "0" * 12 + ".rows"), "wb") as out:
        def put(i, t, act, why, d):
            seg.write(json.dumps({"v": 1, "i": i, "t": when(t), "act": act, "who": "gw:gw1",
                                  "why": why, "out": "ok", "d": d}, separators=(",", ":")) + "\n")
        put(0, 0, "gate.start", "boot", {"rows": "all"})
        for k in range(batches):
            put(k + 1, k + 1, "batch", "pol:none",
                {"pol": None, "site": "shop", "t0": when(k), "t1": when(k + 1), **here,
                 "by": [[3, 0, n], [4, 0, n], [5, 9, n], [12, 3, n]], "n": BATCH, "root": root,
                 "tag": None, "cum": {key: v * (k + 1) for key, v in here.items()}})
            out.write(b"".join(rows))


def main():
    build, want = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 4000000
    folder = tempfile.mkdtemp(prefix="lethe-verify-speed-")
    try:
        batches = -(-want // BATCH)
        make(folder, batches)
        start = time.monotonic()
        done = subprocess.run([os.path.join(build, "lethe"), "audit", "verify", folder, "--json"],
                              capture_output=True)
        took = time.monotonic() - start
        report = json.loads(done.stdout)
        if done.returncode != 2 or report["rows"] != batches * BATCH:
            sys.exit("verify_speed: %s" % report["message"])
        rate = int(report["rows"] / took)
        print("verify_rows_s %d" % rate, flush=True)
        sys.exit(rate < LEAST)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
