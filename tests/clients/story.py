"""story.py - a visit to Mixbot as its app would report it without a thought
for privacy, and what of it names a person."""

import base64
import json
import urllib.parse

PAGE = {
    "url": "https://mixbot.example/upload?ref=newsletter&email=jane.doe%40example.com"
           "&token=tok_9f8e7d6c&utm_source=mail#step-1",
    "referrer": "https://www.google.com/search?q=jane+doe+demo+feedback",
    "title": "Mixbot - Upload your mix",
}

STORY = [
    ("page_view", {}),
    ("File Uploaded", {"file_name": "My Secret Demo (feat. Jane Doe).wav",
                       "file_size": 48211234, "file_type": "audio/wav",
                       "client_ip": "203.0.113.77"}),
    ("DAW Selected", {"daw": "Ableton Live"}),
    ("Genre Detected", {"genre": "Drum & Bass", "confidence": 0.87, "bpm": 174}),
    ("Analysis Completed", {
        "duration_s": 42.71, "success": True,
        "file": {"path": "/home/jane/Music/My Secret Demo (feat. Jane Doe).wav"}}),
    ("Feedback Downloaded", {
        "format": "pdf",
        "feedback_text": "Great low end \u2713 please send the notes to "
                         "jane.doe@example.com or call +1 415 555 0134"}),
]
IDENTIFY_BEFORE = 3  # the person logs in once the DAW is known

# As the policy calls them, in the story's order.
EVENTS = ["page_view", "file_upload", "daw_selection", "genre_detection",
          "analysis_completion", "feedback_download"]

PLANTED = {
    "e-mail": "jane.doe@example.com", "name": "Jane Doe", "phone": "+1 415 555 0134",
    "phone digits": "14155550134", "ip": "203.0.113.77", "token": "tok_9f8e7d6c",
    "user": "user-48213", "session": "sess_7f3a9c1e52",
    "file name": "My Secret Demo (feat.", "path": "/home/jane/Music/",
    "search words": "jane+doe+demo+feedback", "search words as text": "jane doe demo feedback",
    "query": "email=jane.doe", "free text": "Great low end", "referrer": "www.google.com/search",
}


def person(number=None):
    """The Jane of clients.md, or one of many."""
    tail = "" if number is None else "-%d" % number
    return {"user": "user-48213" + tail, "session": "sess_7f3a9c1e52" + tail,
            "device": "dev-b1946ac92492d234" + tail, "email": "jane.doe@example.com",
            "name": "Jane Doe", "ip": "203.0.113.77"}


# ---- what an SDK says of itself ---------------------------------------------

OWN_IDS = {"distinct_id", "$distinct_id", "$device_id", "$user_id", "$insert_id", "id",
           "session_id", "$anon_distinct_id", "alias", "cid", "uid", "sid", "_p", "cd1",
           "$mp_replay_id"}


def own_ids(request):
    """{value: key} of every identifier in a request of an SDK."""
    found = {}
    query = urllib.parse.urlsplit(request["path"]).query
    body = request["body"].decode("utf-8", "replace")
    look(found, query_fields(query))
    for line in body.split("\n"):
        look(found, json_of(line) or query_fields(line))
    return {v: k for v, k in found.items() if worth(v)}


def worth(value):
    """A sweep for a short text finds it anywhere; ten digits may be the time."""
    return len(value) >= 8 and not (value.isdigit() and len(value) <= 10)


def query_fields(text):
    fields = {}
    for part in text.split("&"):
        name, _, value = part.partition("=")
        # in base64, which npm mixpanel does not escape, "+" is no space
        packed = json_of(unbase64(urllib.parse.unquote(value)))
        value = urllib.parse.unquote_plus(value)
        fields[urllib.parse.unquote_plus(name)] = packed or json_of(value) or value
    return fields


def unbase64(text):
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        return ""


def json_of(text):
    try:
        return json.loads(text) if text[:1] in ("{", "[") else None
    except ValueError:
        return None


def look(found, value, key=None):
    if isinstance(value, dict):
        for k, v in value.items():
            look(found, v, k)
    elif isinstance(value, list):
        for v in value:
            look(found, v, key)
    elif key in OWN_IDS and value is not None:
        found[str(value)] = key
        for prefix in ("$device:", "GA1.1.", "GA1.2."):
            if str(value).startswith(prefix):
                found[str(value)[len(prefix):]] = key


def names_in(request):
    """Which of the policy's events a request tells of."""
    found = {}
    gather(found, query_fields(urllib.parse.urlsplit(request["path"]).query))
    for line in request["body"].decode("utf-8", "replace").split("\n"):
        gather(found, json_of(line) or query_fields(line))
    return {EVENTS[i] for i, (name, _) in enumerate(STORY)
            if {name, name.lower().replace(" ", "_")} & set(found)
            or (i == 0 and {"$mp_web_page_view", "pageview"} & set(found))}


def gather(found, value):
    if isinstance(value, dict):
        for v in value.values():
            gather(found, v)
    elif isinstance(value, list):
        for v in value:
            gather(found, v)
    elif isinstance(value, str):
        found[value] = True
