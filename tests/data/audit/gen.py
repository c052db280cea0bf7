#!/usr/bin/python3
"""Test vectors of the audit log, made without the gateway's code: hashlib, and
ed25519.py beside this file.

gen.py DIR writes
  DIR/vectors.json, DIR/log7   trees, proofs, notes, tiles of a small log whose
                               records are from before the newer fields
  DIR/golden                   a log with every field and row act that the
                               writer makes, its checkpoint, tile and bundle
  DIR/golden/vectors.txt       some of vectors.json as lines, for C tests
C tests give the writer the same inputs and expect the same bytes."""
import base64
import hashlib
import json
import os
import struct
import sys

import ed25519

T0 = 1795338000000  # 2026-11-22T09:00:00.000Z
DAY = 86400000
ORIGIN = "gw1.example.eu/audit"
WITNESS = "witness.example.org/w1"
COSIGNED_S = 1795338042
LOG_KEY = ed25519.Key(bytes(range(32)))
WITNESS_KEY = ed25519.Key(bytes(range(32, 64)))
COUNTS = ("in", "fwd", "mod", "drop")
NONE = dict.fromkeys(COUNTS, 0)


def sha(data):
    return hashlib.sha256(data).digest()


def b64(data):
    return base64.b64encode(data).decode()


def leaf(data):
    return sha(b"\0" + data)


def split(n):
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def tree(leaves):
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha(b"\1" + tree(leaves[:k]) + tree(leaves[k:]))


def inclusion(m, leaves):
    """RFC 6962, 2.1.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return inclusion(m, leaves[:k]) + [tree(leaves[k:])]
    return inclusion(m - k, leaves[k:]) + [tree(leaves[:k])]


def consistency(m, leaves, known=True):
    """RFC 6962, 2.1.2."""
    if m == len(leaves):
        return [] if known else [tree(leaves)]
    k = split(len(leaves))
    if m <= k:
        return consistency(m, leaves[:k], known) + [tree(leaves[k:])]
    return consistency(m - k, leaves[k:], False) + [tree(leaves[:k])]


# ---- notes --------------------------------------------------------------------

def key_id(name, kind, key):
    return sha(name.encode() + b"\n" + bytes([kind]) + key.public)[:4]


def vkey(name, kind, key):
    return "%s+%s+%s" % (name, key_id(name, kind, key).hex(), b64(bytes([kind]) + key.public))


def checkpoint(leaves):
    body = "%s\n%d\n%s\n" % (ORIGIN, len(leaves), b64(tree(leaves)))
    blob = key_id(ORIGIN, 1, LOG_KEY) + LOG_KEY.sign(body.encode())
    return body + "\n\u2014 %s %s\n" % (ORIGIN, b64(blob))


def cosignature(note, seconds):
    body = note[:note.index("\n\n") + 1]
    signed = "cosignature/v1\ntime %d\n%s" % (seconds, body)
    blob = key_id(WITNESS, 4, WITNESS_KEY) + struct.pack(">Q", seconds)
    return "\u2014 %s %s\n" % (WITNESS, b64(blob + WITNESS_KEY.sign(signed.encode())))


def bundle(lines):
    return b"".join(struct.pack(">H", len(x)) + x for x in lines)


# ---- logs ---------------------------------------------------------------------

def row(us, act, reason, rule, source, dst, classes, ev, sub):
    return struct.pack(">IBBHHHIQQ", us, act, reason, rule, source, dst,
                       classes, ev, sub)


def text(ms):
    days, rest = divmod(ms - T0 + 9 * 3600000, DAY)
    s, ms = divmod(rest, 1000)
    return "2026-11-%02dT%02d:%02d:%02d.%03dZ" % (22 + days, s // 3600, s // 60 % 60, s % 60, ms)


def counted(rows):
    """(counts, by, ex) of a batch's rows."""
    count, by, ex, last = dict(NONE), {}, {}, None
    for r in rows:
        act, reason, rule = struct.unpack(">xxxxBBH", r[:8])
        ev = r[16:24]
        if act > 3 or (act == 3 and last == ev):
            ex[(act, rule, reason)] = ex.get((act, rule, reason), 0) + 1
        else:
            count["in"] += 1
            count[COUNTS[act]] += 1
            by[(rule, reason)] = by.get((rule, reason), 0) + 1
        last = ev if act <= 3 else None
    return count, by, ex


class Log:
    def __init__(self):
        self.lines, self.rows = [], b""
        self.cum = dict(NONE)
        self.policies = {}

    def put(self, ms, act, d, who="gw:gw1", why="boot"):
        index = len(self.lines)
        self.lines.append(json.dumps(
            {"v": 1, "i": index, "t": text(ms), "act": act, "who": who,
             "why": why, "out": "ok", "d": d}, separators=(",", ":")).encode())
        return index

    def leaves(self, count=None):
        return [leaf(line) for line in self.lines[:count]]

    def start(self):
        self.put(T0, "gate.start", {"ver": "0.1.0", "origin": ORIGIN,
                                    "rows": "all", "prev": None})
        self.batch(T0, T0)

    def policy(self, ms, word, **more):
        hexes = hashlib.sha256(word).hexdigest()
        i = self.put(ms, "policy.load", {"pol": hexes, "old": None, **more},
                     "adm:9f2c41d07a3e", "chg:CR-118")
        self.policies[i] = hexes[:16]
        return i

    def batch(self, t0, t1, pol=None, site=None, tag=None, rows=(), ref=()):
        count, by, ex = counted(rows)
        for k, v in count.items():
            self.cum[k] += v
        d = {"pol": pol}
        if site:
            d["site"] = site
        d.update({"t0": text(t0), "t1": text(t1), **count,
                  "by": [[*k, n] for k, n in sorted(by.items())],
                  "n": len(rows),
                  "root": b64(tree([leaf(r) for r in rows])) if rows else None,
                  "tag": tag, "cum": dict(self.cum),
                  "ref": [list(r) for r in ref],
                  "oo": 7, "ooh": b64(bytes(range(32))),
                  "ex": [[*k, n] for k, n in sorted(ex.items())]})
        self.put(t1, "batch", d,
                 why="pol:" + self.policies.get(pol, "none"))
        self.rows += b"".join(rows)


def golden():
    log = Log()
    log.start()
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
        row(1000000, 5, 17, 0, 0, 2, 0, a, 0),
        row(1000000, 6, 19, 0, 0, 1, 0, e, 0),
        row(1000000, 7, 18, 0, 0, 2, 0, e, 0),
        row(1000000, 8, 16, 0, 0, 1, 0, b, 0),
        row(1000000, 4, 24, 0, 0, 2, 0, a + 9, 0),
    ], [(413, 2), (503, 1)])
    log.put(T0 + 1500, "delivery", {"to": [
        {"site": "mixbot", "dst": "store", "cleared": 7, "accepted": 1, "refused": 1,
         "swept": 1, "expired": 1, "purged": 1, "dead": 1, "waiting": 1},
        {"site": "shop", "dst": "any", **dict.fromkeys(
            ("cleared", "accepted", "refused", "swept", "expired", "purged", "dead",
             "waiting"), 0)}]}, why="timer")
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


# ---- files --------------------------------------------------------------------

def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


def write_log(folder, lines, rows, note):
    leaves = b"".join(leaf(line) for line in lines)
    write(folder + "/seg/000000000000.jsonl", b"".join(line + b"\n" for line in lines))
    write(folder + "/rows/000000000000.rows", rows)
    write(folder + "/checkpoint", note)
    write("%s/tile/0/000.p/%d" % (folder, len(lines)), leaves)
    write("%s/tile/entries/000.p/%d" % (folder, len(lines)), bundle(lines))


def older_log():
    """The log of the contract's vectors: (lines, rows)."""
    rows = [row(1500, 1, 0, 0, 1, 2, 0, 0x0102030405060708, 0xA1A2A3A4A5A6A7A8),
            row(2250, 2, 3, 12, 1, 2, 5, 0x1112131415161718, 0xB1B2B3B4B5B6B7B8),
            row(900000, 3, 7, 31, 1, 0, 0, 0x2122232425262728, 0)]
    pol = hashlib.sha256(b"example policy v41\n").hexdigest()
    officer = "adm:9f2c41d07a3e"
    some = dict(zip(COUNTS, (3, 1, 1, 1)))

    def batch(t0, t1, counts, by, n, root):
        return {"pol": 1, "t0": text(t0), "t1": text(t1), **counts, "by": by, "n": n,
                "root": root, "tag": "2026-11-22", "cum": some}

    log = Log()
    log.put(T0, "gate.start", {"ver": "0.1.0", "vkey": vkey(ORIGIN, 1, LOG_KEY), "prev": None})
    log.put(T0 + 20, "policy.load", {"pol": pol, "old": None,
                                     "keep": {"rows": "P30D", "records": "P25M"}},
            officer, "chg:CR-118")
    log.put(T0 + 1000, "batch", batch(T0, T0 + 1000, some, [[0, 0, 1], [12, 3, 1], [31, 7, 1]], 3,
                                      b64(tree([leaf(r) for r in rows]))), why="pol:" + pol[:16])
    log.put(T0 + 7412, "optout.set", {"sub": b64(commitment()), "scope": "analytics"},
            "api:consent", "art:21")
    log.put(T0 + 20001, "audit.read", {"from": 0, "to": 4, "how": "export"}, officer,
            "ticket:DPO-7")
    log.put(T0 + 30000, "retention.delete", {"store": "queue",
                                             "before": "2026-10-23T00:00:00.000Z",
                                             "count": 1204}, why="ret:R3")
    log.put(T0 + 40000, "batch", batch(T0 + 1000, T0 + 40000, NONE, [], 0, None),
            why="pol:" + pol[:16])
    return log.lines, rows


SALT, SUBJECT = bytes(range(16)), b"user:4711"


def commitment():
    return hashlib.blake2b(SUBJECT, digest_size=32, key=SALT, person=b"audit.subject.v1").digest()


def decision_proof(lines, rows, j, note):
    row_leaves = [leaf(r) for r in rows]
    extra = "audit-decision v1\n%s\nrow %d of %d %s\n" % (
        lines[2].decode(), j, len(rows), rows[j].hex())
    extra += "".join(b64(h) + "\n" for h in inclusion(j, row_leaves))
    path = "".join(b64(h) + "\n" for h in inclusion(2, [leaf(x) for x in lines]))
    return "c2sp.org/tlog-proof@v1\nextra %s\nindex 2\n%s\n%s" % (b64(extra.encode()), path, note)


def pruned_vector():
    leaves = [leaf(b'{"i":%d}' % i) for i in range(600)]
    upper = [tree(leaves[:256]), tree(leaves[256:512])]
    return {"size": 600, "min": 512, "leaf": '{"i":N}',
            "tile_1_000_p_2": [b64(h) for h in upper], "tail_root": b64(tree(leaves[512:])),
            "root": b64(tree(leaves)), "root512": b64(tree(leaves[:512])),
            "consistency_512_600": [b64(h) for h in consistency(512, leaves)]}


def vectors(lines, rows):
    leaves = [leaf(line) for line in lines]
    row_leaves = [leaf(r) for r in rows]
    note = checkpoint(leaves)
    second = cosignature(note, COSIGNED_S)
    tile, entries = b"".join(leaves), bundle(lines)
    return {
        "vkey": vkey(ORIGIN, 1, LOG_KEY), "witness_vkey": vkey(WITNESS, 4, WITNESS_KEY),
        "records": [line.decode() for line in lines], "leaf": [b64(h) for h in leaves],
        "rows": [r.hex() for r in rows], "row_leaf": [b64(h) for h in row_leaves],
        "rows_root": b64(tree(row_leaves)),
        "checkpoint3": checkpoint(leaves[:3]), "checkpoint7": note, "cosignature7": second,
        "inclusion_2_in_7": [b64(h) for h in inclusion(2, leaves)],
        "consistency_3_7": [b64(h) for h in consistency(3, leaves)],
        "bundle_path": "tile/entries/000.p/7", "bundle_sha256": sha(entries).hex(),
        "bundle_len": len(entries), "bundle_first16": entries[:16].hex(),
        "tile_path": "tile/0/000.p/7", "tile_sha256": sha(tile).hex(),
        "decision_proof": decision_proof(lines, rows, 1, note + second),
        "subject_commitment": {"salt": SALT.hex(), "subject": SUBJECT.decode(),
                               "out": b64(commitment())},
        "prune": pruned_vector(), "empty_root": b64(sha(b""))}


def as_lines(v):
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
    lines, rows = older_log()
    v = vectors(lines, rows)
    write(target + "/vectors.json", json.dumps(v, indent=1, ensure_ascii=False))
    write_log(target + "/log7", lines, b"".join(rows), v["checkpoint7"] + v["cosignature7"])
    log = golden()
    note = checkpoint(log.leaves())
    write_log(target + "/golden", log.lines, log.rows, note + cosignature(note, COSIGNED_S))
    write(target + "/golden/vectors.txt", as_lines(v))


main()
