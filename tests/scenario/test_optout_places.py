#!/usr/bin/env python3
"""Law 4, R42: an opt-out reaches an event wherever it is - at accept, in the
queue, in a running transfer, in back-off, among the dead letters. After the
200 no byte of that person's events is handed to socket, file or database."""
import json
import re
import socket
import threading
import time
import unittest

from harness import PATIENCE_S, Gateway, Recorder, main, wait_until
from optouts import (Clients, arrived, destination, everywhere, numbered, numbers, opt_out,
                     pause_all, sent_before)

GRACE_S = 0.5  # bytes that were in a socket before the 200, read late by us


class Clock(Recorder):
    """Remembers when each number arrived last."""

    def __init__(self):
        self.seen = {}
        super().__init__(self.note)

    def note(self, request):
        now = time.monotonic()
        for n in numbers(json.loads(request["body"])):
            self.seen[n] = now
        return 200


class Slow:
    """A backend that reads at first only the head of a request, until told to
    read on; keeps the bytes of each connection, answers a whole request."""

    def __init__(self):
        self.go_on = threading.Event()
        self.got = []  # bytes a connection, in order of arrival
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(8)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def url(self):
        return "http://127.0.0.1:%d/events" % self.port

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.got.append(bytearray())
            threading.Thread(target=self.read, args=(connection, self.got[-1]),
                             daemon=True).start()

    def read(self, connection, into):
        with connection:
            try:
                into += connection.recv(1024)
                self.go_on.wait(PATIENCE_S * 3)
                while True:
                    piece = connection.recv(65536)
                    if not piece:
                        return
                    into += piece
                    if is_whole(into):
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
                                           b"Connection: close\r\n\r\n")
                        return
            except OSError:
                return

    def close(self):
        self.go_on.set()
        self.listener.close()


def is_whole(request):
    """Has all of its body arrived?"""
    end = request.find(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", request[:max(end, 0)].lower())
    return length is not None and len(request) >= end + 4 + int(length.group(1))


class Places(unittest.TestCase):
    def test_r42_at_accept_under_load(self):
        """Three clients send all the time; one after the other opts out."""
        recorder = Clock()
        people = ["p%d" % i for i in range(8)]
        with Gateway(recorder=recorder) as g:
            clients = Clients(g, people)
            gone = []  # (person, time of the 200, last number before it, what files had)
            for person in people[:6]:
                start = clients.next
                wait_until("more load", lambda: clients.next > start + 60)
                opt_out(g, session_id=person)
                at, last = time.monotonic(), clients.next
                had = arrived(g)
                gone.append((person, at, last, set(had["file"]), set(had["store"])))
            start = clients.next
            wait_until("more load", lambda: clients.next > start + 60)
            clients.stop()
            g.settled()
            self.assertEqual(clients.failed, [])
            at_end = arrived(g)
            for person, at, last, file, store in gone:
                theirs = {n for n, who in clients.sent if who == person}
                # numbers are taken before they are sent: 6 may be under way at the 200
                after = {n for n in theirs if n > last}
                for place in ("any", "file", "store"):
                    self.assertFalse(after & set(at_end[place]), (person, place))
                self.assertFalse(theirs & set(at_end["file"]) - file, person)
                self.assertFalse(theirs & set(at_end["store"]) - store, person)
                late = [n for n in theirs if recorder.seen.get(n, 0) > at + GRACE_S]
                self.assertEqual(late, [], person)
            stayed = {n for n, who in clients.sent if who in people[6:]}
            for place in at_end:  # and nobody else lost anything
                self.assertTrue(stayed <= set(at_end[place]), place)
        recorder.close()

    def test_r42_in_the_queue_by_any_identifier(self):
        with Gateway() as g:
            pause_all(g)
            g.post("/v1/events", [
                numbered(1, "gone"), numbered(2), numbered(3, "s", device_id="gone device"),
                # a user id and a group's, which the policy drops: they count all the same
                numbered(4, "s", user_id="Gone@Example.org"), numbered(5, "s", group_id="grp"),
                numbered(6, "s", user_id=4711), numbered(7, "s", user_id="other")])
            opt_out(g, session_id="gone", device_id="gone device", user_id="gone@example.org")
            opt_out(g, ids={"group_id": "grp", "user_id": "4711"})
            pause_all(g, False)
            self.assertTrue(everywhere(g, [2, 7]), arrived(g))
            for name in ("any", "file", "store"):
                d = destination(g, name)
                self.assertEqual((d["swept"], d["accepted"], d["waiting"]), (5, 2, 0), d)

    def test_r42_in_a_transfer_that_waits_for_its_answer(self):
        """Wholly written before the opt-out: told in the record, and what is
        sent again is rebuilt without that person."""
        recorder = Recorder("hang")
        with Gateway(recorder=recorder) as g:
            g.post("/v1/events", [numbered(1, "gone"), numbered(2)])
            wait_until("a transfer", lambda: recorder.requests)
            started = time.monotonic()
            opt_out(g, session_id="gone")
            self.assertLess(time.monotonic() - started, 5)
            self.assertEqual(sent_before(g, 1), [1])
            recorder.answer = 200
            recorder.released.set()  # the first connection breaks without an answer
            wait_until("the other one", lambda: numbers(recorder.accepted()) == [2])
            g.settled()
            self.assertEqual(numbers(recorder.accepted()), [2])
        recorder.close()

    def test_r42_a_running_transfer_is_cut(self):
        slow = Slow()
        # a batch larger than what the kernel takes for a backend that does not read
        g = Gateway(start=False)
        g.write_policy(g.read_policy().replace(
            '"file_size": {', "".join('"filler%d": {"constant": "%s"}, ' % (i, "x" * 200)
                                      for i in range(5)) + '"file_size": {'))

        def many(first, count, session):
            events = [numbered(first, session) for _ in range(count)]
            for e in events:
                e["details"].update({"filler%d" % i: 1 for i in range(5)})
            return events
        try:
            g.conf["sites"][0]["destinations"][-1].update(url=slow.url, batch=10000)
            with open(g.conf_path, "w") as f:
                json.dump(g.conf, f)
            g.start()
            g.run("destination", "pause", "any", check=True)
            g.post("/v1/events", many(1, 1, "gone"))
            for _ in range(9):
                g.post("/v1/events", many(2, 500, "stays"))
            g.run("destination", "resume", "any", check=True)
            wait_until("a transfer that is stuck", lambda: slow.got and slow.got[0])
            opt_out(g, session_id="gone")
            self.assertEqual(sent_before(g, 1), [0])
            slow.go_on.set()
            wait_until("it comes again without that person",
                       lambda: any(is_whole(r) for r in slow.got))
            self.assertFalse(is_whole(slow.got[0]))
            whole = [r for r in slow.got if is_whole(r)]
            for r in whole:
                body = json.loads(bytes(r).partition(b"\r\n\r\n")[2])
                self.assertNotIn(1, numbers(body))
            self.assertEqual(destination(g, "any")["swept"], 1)
        finally:
            slow.close()
            g.close()

    def test_r42_in_back_off_among_dead_letters_and_at_their_replay(self):
        recorder = Recorder(503)
        with Gateway(recorder=recorder) as g:
            g.post("/v1/events", [numbered(1, "backs off"), numbered(2)])
            wait_until("a try", lambda: recorder.requests)
            opt_out(g, session_id="backs off")
            recorder.answer = 200
            wait_until("the other one", lambda: numbers(recorder.accepted()) == [2])
            # dead letters: refused for good, each on its own
            recorder.answer = 400
            g.post("/v1/events", [numbered(3, "dies"), numbered(4), numbered(5, "late")])
            wait_until("three dead letters", lambda: destination(g, "any")["dead"] == 3)
            opt_out(g, session_id="dies")
            # the replayed wait again (503), and one more opts out
            recorder.answer = 503
            before = len(recorder.requests)
            self.assertEqual(g.run("spool", "replay", "any")[0], 0)
            wait_until("a try of the replayed", lambda: len(recorder.requests) > before)
            for r in recorder.requests[before:]:
                self.assertNotIn(3, numbers(json.loads(r["body"])))
            opt_out(g, session_id="late")
            before = len(recorder.requests)
            recorder.answer = 200
            wait_until("the last one", lambda: numbers(recorder.accepted()) == [2, 4])
            g.settled()
            d = destination(g, "any")
            self.assertEqual((d["swept"], d["dead"], d["waiting"]), (3, 0, 0), d)
            for r in recorder.requests[before:]:
                self.assertEqual(set(numbers(json.loads(r["body"]))) & {1, 3, 5}, set())


if __name__ == "__main__":
    main()
