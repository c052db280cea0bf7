#!/usr/bin/env python3
"""The whole Mixbot story, told by docs/examples/mixbot/story.py: without
consent it arrives at the app's own store and file alone, with consent at the
http destination, too, and nowhere with anything of the person in it."""
import json
import os
import sys
import unittest

from canaries import Canaries, files_under, sweep
from harness import ROOT, Gateway, main, wait_until

sys.path.insert(0, os.path.join(ROOT, "docs", "examples", "mixbot"))
import story  # noqa: E402

ACTIONS = ["page_view", "file_upload", "daw_selection", "genre_detection",
           "analysis_completion", "feedback_download"]


FILE_NAME = "My Secret Demo (feat. Jane Doe).wav"


class Story(unittest.TestCase):
    def told(self, consent, arrive=len(ACTIONS)):
        """Tell it and wait until it is in the app's own file and store."""
        g = Gateway()
        self.addCleanup(g.close)
        marks = Canaries()
        session = "sess_" + marks.new("session id")
        marks.add(FILE_NAME, "file name")
        self.assertIn(FILE_NAME, str(story.STORY))
        dropped = story.tell("http://127.0.0.1:%d" % g.port, session, consent)
        self.assertEqual(dropped, 0)
        wait_until("the story in the file", lambda: len(g.file_lines()) == arrive)
        wait_until("the story in the store", lambda: len(g.rows()) == arrive)
        g.settled()
        return g, marks

    def canary_free(self, g, marks):
        self.assertEqual(g.stop(), 0)
        haystacks = files_under(g.folder)
        haystacks["recorder"] = g.recorder.bytes()
        haystacks["log"] = g.log
        self.assertEqual(sweep(marks, haystacks), [])

    def minimised(self, events):
        self.assertEqual([e["action"] for e in events], ACTIONS)
        upload, daw, genre = [e["details"] for e in events[1:4]]
        self.assertEqual(set(upload), {"file_extension", "file_size", "file_type"})
        self.assertEqual(upload["file_extension"], "wav")
        self.assertNotEqual(upload["file_size"], 48211968)
        self.assertLess(abs(upload["file_size"] / 48211968 - 1), 0.05)
        self.assertTrue(daw and genre, "what the owner wants to read is there")
        for e in events:
            # Cut to the minute.
            self.assertRegex(e["timestamp"], r":00(\.0+)?Z$")
        # One visit has one pseudonym at one destination.
        self.assertEqual(len({e["session_id"] for e in events}), 1)

    def stored(self, g):
        return [dict(row, details=json.loads(row["details"])) for row in g.rows()]

    def test_without_consent_it_arrives_at_store_and_file_alone(self):
        g, marks = self.told(None)
        self.minimised(g.file_lines())
        self.minimised(self.stored(g))
        self.assertEqual(g.recorder.requests, [])
        self.canary_free(g, marks)

    def test_with_consent_it_arrives_everywhere(self):
        g, marks = self.told({"product": True})
        wait_until("the story at the http destination",
                   lambda: len(g.recorder.accepted()) == len(ACTIONS))
        places = [g.file_lines(), self.stored(g), g.recorder.accepted()]
        for events in places:
            self.minimised(events)
        # No two destinations share a pseudonym or an id.
        for key in ("session_id", "id"):
            values = [{e.get(key) for e in events} for events in places]
            self.assertEqual(len(set.union(*values)), sum(map(len, values)), key)
        self.canary_free(g, marks)

    def test_after_a_no_it_arrives_nowhere(self):
        g, marks = self.told("denied", arrive=0)
        self.assertEqual((g.file_lines(), g.rows(), g.recorder.requests), ([], [], []))
        self.canary_free(g, marks)


if __name__ == "__main__":
    main()
