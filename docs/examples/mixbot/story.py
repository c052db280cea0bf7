#!/usr/bin/env python3
"""story.py [GATEWAY] [--consent] - a visit to Mixbot, told to the gateway:
page view, upload, DAW, genre, analysis, download."""

import sys

from lethe_track import Tracker

STORY = [
    ("page_view", {}),
    ("File Uploaded", {"file_name": "My Secret Demo (feat. Jane Doe).wav",
                       "file_size": 48211968, "file_type": "audio/wav"}),
    ("DAW Selected", {"daw": "ableton live"}),
    ("Genre Detected", {"genre": "Electronic", "confidence": 0.87}),
    ("Analysis Completed", {"duration_s": 4.2871, "success": True}),
    ("Feedback Downloaded", {"format": "pdf"}),
]


def tell(gateway, session_id=None, consent=None):
    """The whole visit; returns how many of its events were dropped."""
    tracker = Tracker(gateway, session_id=session_id, consent=consent)
    for action, details in STORY:
        tracker.track(action, details)
    tracker.close()
    return tracker.dropped


def main():
    places = [a for a in sys.argv[1:] if not a.startswith("--")]
    gateway = places[0] if places else "http://127.0.0.1:8080"
    consent = {"product": True} if "--consent" in sys.argv else None
    dropped = tell(gateway, consent=consent)
    print("sent %d events, dropped %d" % (len(STORY) - dropped, dropped))
    return 1 if dropped else 0


if __name__ == "__main__":
    sys.exit(main())
