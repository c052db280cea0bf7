#!/usr/bin/python3
"""A small audit log, made without the gateway's code (hashlib only).

gen_rows.py DIR writes DIR/{seg,rows}/000000000000.* and DIR/vectors.txt. The
golden test gives the writer the same inputs and expects the same bytes; the
verifier must accept them. vectors.txt is vectors.json as lines, for C tests.
"""
import base64
import hashlib
import json
import os
import struct
import sys

T0 = 1795338000000  # 2026-11-22T09:00:00.000Z
ORIGIN = "gw1.example.eu/audit"


def sha(data):
    return hashlib.sha256(data).digest()


def b64(data):
    return base64.b64encode(data).decode()


def tree(leaves):
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha(b"\1" + tree(leaves[:k]) + tree(leaves[k:]))


def row(us, act, reason, rule, source, dst, classes, ev, sub):
    return struct.pack(">IBBHHHIQQ", us, act, reason, rule, source, dst,
                       classes, ev, sub)


def text(ms):
    s = (ms - T0) // 1000
    return "2026-11-22T09:%02d:%02d.%03dZ" % (s // 60, s % 60, ms % 1000)


class Log:
    def __init__(self):
        self.lines, self.rows = [], b""
        self.cum = dict.fromkeys(("in", "fwd", "mod", "drop"), 0)
        self.policies = {}

    def put(self, ms, act, d, who="gw:gw1", why="boot"):
        index = len(self.lines)
        self.lines.append(json.dumps(
            {"v": 1, "i": index, "t": text(ms), "act": act, "who": who,
             "why": why, "out": "ok", "d": d}, separators=(",", ":")))
        return index

    def policy(self, ms, word):
        hexes = hashlib.sha256(word).hexdigest()
        i = self.put(ms, "policy.load", {"pol": hexes, "old": None},
                     "adm:9f2c41d07a3e", "chg:CR-118")
        self.policies[i] = hexes[:16]
        return i

    def batch(self, t0, t1, pol=None, site=None, tag=None, rows=(), ref=()):
        count = {"in": 0, "fwd": 0, "mod": 0, "drop": 0}
        by, ex, last = {}, {}, None
        for r in rows:
            act, reason, rule = struct.unpack(">xxxxBBH", r[:8])
            ev = r[16:24]
            if act > 3 or (act == 3 and last == ev):
                ex[(act, rule, reason)] = ex.get((act, rule, reason), 0) + 1
            else:
                count["in"] += 1
                count[("fwd", "mod", "drop")[act - 1]] += 1
                by[(rule, reason)] = by.get((rule, reason), 0) + 1
            last = ev if act <= 3 else None
        for k, v in count.items():
            self.cum[k] += v
        d = {"pol": pol}
        if site:
            d["site"] = site
        d.update({"t0": text(t0), "t1": text(t1), **count,
                  "by": [[*k, n] for k, n in sorted(by.items())],
                  "n": len(rows),
                  "root": b64(tree([sha(b"\0" + r) for r in rows]))
                  if rows else None,
                  "tag": tag, "cum": dict(self.cum),
                  "ref": [list(r) for r in ref],
                  "oo": 7, "ooh": b64(bytes(range(32))),
                  "ex": [[*k, n] for k, n in sorted(ex.items())]})
        self.put(t1, "batch", d,
                 why="pol:" + self.policies.get(pol, "none"))
        self.rows += b"".join(rows)


def golden():
    log = Log()
    log.put(T0, "gate.start", {"ver": "0.1.0", "origin": ORIGIN,
                               "rows": "all", "prev": None})
    log.batch(T0, T0)
    pol = log.policy(T0 + 20, b"example policy v41\n")
    a, b, c, e = (0x0102030405060708, 0x1112131415161718,
                  0x2122232425262728, 0x3132333435363738)
    sub = 0xA1A2A3A4A5A6A7A8
    log.batch(T0, T0 + 1500, pol, "mixbot", "2026-11-22", [
        row(0, 1, 0, 0, 1, 3, 0, a, sub),
        row(0, 2, 0, 12, 1, 1, 5, b, sub),
        row(0, 3, 3, 13, 1, 2, 0, b, sub),
        row(0, 3, 7, 31, 1, 3, 0, c, 0),
        row(1000000, 4, 24, 0, 0, 1, 0, a, 0),
        row(1000000, 2, 0, 12, 1, 3, 9, e, 0),
    ], [(413, 2), (503, 1)])
    log.put(T0 + 1500, "audit.read", {"from": 0, "to": 3},
            "adm:9f2c41d07a3e", "ticket:DPO-7")
    # Another site starts where the whole log's time starts.
    log.batch(T0, T0 + 2000, pol, "shop", "2026-11-22",
              [row(1000000, 1, 0, 1, 1, 1, 0, a + 1, 0)])
    pol = log.policy(T0 + 2000, b"example policy v42\n")
    log.batch(T0 + 2000, T0 + 2600, pol, "shop", "2026-11-22",
              [row(0, 1, 0, 1, 1, 1, 0, a + 2, 0)])
    log.put(T0 + 2600, "gate.stop", {})
    return log


def vectors(here):
    with open(os.path.join(here, "vectors.json"), encoding="utf-8") as f:
        v = json.load(f)
    out = ["row %s %s" % p for p in zip(v["rows"], v["row_leaf"])]
    out += ["root 3 " + v["rows_root"], "empty " + v["empty_root"]]
    out += ["record %s %s" % p for p in zip(v["leaf"], v["records"])]
    for n, key in ((3, "checkpoint3"), (7, "checkpoint7")):
        out.append("tree %d %s" % (n, v[key].split("\n")[2]))
    out.append("trivial 512 " + v["prune"]["root512"])
    out.append("trivial 600 " + v["prune"]["root"])
    return "\n".join(out) + "\n"


def main():
    target = sys.argv[1]
    log = golden()
    for part, ext, data in (
            ("seg", "jsonl", "".join(x + "\n" for x in log.lines).encode()),
            ("rows", "rows", log.rows)):
        os.makedirs(os.path.join(target, part), exist_ok=True)
        with open(os.path.join(target, part, "0" * 12 + "." + ext), "wb") as f:
            f.write(data)
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(target, "vectors.txt"), "w", encoding="ascii") as f:
        f.write(vectors(here))


main()
