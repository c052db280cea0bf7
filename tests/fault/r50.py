#!/usr/bin/env python3
"""r50.py BUILD [PAIRS] - can the time of an answer tell who opted out (R50)?

A gateway with the Mixbot policy and a backend; some people opt out. PAIRS
(10,000) times an event of one who opted out and one of somebody who is let
through are sent, in an order that is shuffled as a whole, each on the same
connection and after the answer to the one before. The classifier that is best
when one kind is slower says "opted out" beyond some time: its area under the
curve is the chance that, of one time of each kind, the opted-out one's is the
longer.

  auc 0.501       by the answer's own time; 0.50 within 0.02 is the bar
  auc_next 0.499  by the time of the request that came after it: what is
                  delivered for somebody takes the machine's time, too
  median_us ...   of opted-out and of other people, to judge the figures by

Exit 1 if `auc` misses the bar. What is around on the machine adds noise, and
noise hides: a quiet machine is the harder test."""

import json
import os
import random
import socket
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ["LETHE_BUILD"] = os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "scenario"))
from harness import PATIENCE_S, Gateway, event  # noqa: E402

PAIRS = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
PEOPLE = 50  # of each kind, names of one length
BAR = 0.02
WARM_UP = 500


def request(name):
    body = json.dumps(event(session=name, consent={"product": True})).encode()
    return (b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)) + body


def auc(positive, negative):
    """The chance that a positive is above a negative, ties halved: by ranks."""
    both = sorted([(t, 1) for t in positive] + [(t, 0) for t in negative])
    ranks, i = 0.0, 0
    while i < len(both):
        j = i
        while j < len(both) and both[j][0] == both[i][0]:
            j += 1
        ranks += sum(kind for _, kind in both[i:j]) * (i + 1 + j) / 2
        i = j
    n, m = len(positive), len(negative)
    return (ranks - n * (n + 1) / 2) / (n * m)


class Client:
    """One connection, one request at a time, kept simple for the clock's sake."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answer = None  # what every answer has to be

    def time(self, data):
        """ns until the whole answer is here."""
        start = time.perf_counter_ns()
        self.socket.sendall(data)
        got = self.socket.recv(4096)
        while self.answer is not None and 0 < len(got) < len(self.answer):
            more = self.socket.recv(4096)
            if not more:
                break
            got += more
        spent = time.perf_counter_ns() - start
        if self.answer is None:
            self.answer = got
        if got != self.answer or not got.startswith(b"HTTP/1.1 200 "):
            raise SystemExit("an answer that is not the others': %r" % got[:200])
        return spent


def measure(g):
    out = ["gone-%02d" % n for n in range(PEOPLE)]
    rest = ["here-%02d" % n for n in range(PEOPLE)]
    for name in out:
        if g.post("/v1/optout", {"session_id": name}).status != 200:
            raise SystemExit("an opt-out was refused")
    order = [True, False] * PAIRS
    random.shuffle(order)
    client = Client(g.port)
    for n in range(WARM_UP):
        client.time(request((out if n % 2 else rest)[n % PEOPLE]))
    bodies = {True: [request(n) for n in out], False: [request(n) for n in rest]}
    return order, [client.time(random.choice(bodies[gone])) for gone in order]


def split(order, times):
    return ([t for gone, t in zip(order, times) if gone],
            [t for gone, t in zip(order, times) if not gone])


def main():
    with Gateway() as g:
        order, times = measure(g)
        g.settled()
        got, want = len(g.recorder.accepted()), order.count(False) + WARM_UP // 2
        if got != want:  # else there was nothing to tell apart
            raise SystemExit("%d events arrived, not %d" % (got, want))
    gone, here = split(order, times)
    own = auc(gone, here)
    print("pairs %d" % PAIRS)
    print("median_us %.1f opted-out %.1f other" % (
        statistics.median(gone) / 1e3, statistics.median(here) / 1e3))
    print("auc_next %.3f" % auc(*split(order, times[1:])))
    print("auc %.3f%s" % (own, "" if abs(own - 0.5) <= BAR else " SHORT"))
    sys.exit(abs(own - 0.5) > BAR)


main()
