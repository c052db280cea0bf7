#!/usr/bin/env python3
"""Addresses of clients: R72 to R74. None is kept, sent, truncated or hashed,
so that none can be found again, in whatever form it came."""
import json
import os
import unittest

from harness import Gateway, event, main, wait_until

YES = {"product": True}
# One address, 203.0.113.77, in every dress, and the ends of both ranges.
ADDRESSES = ["203.0.113.77", "::ffff:203.0.113.77", "64:ff9b::203.0.113.77", "64:ff9b::cb00:714d",
             "2002:cb00:714d::1", "2001:0:4136:e378:8000:63bf:34ff:8eb2",
             "fe80::5efe:203.0.113.77", "255.255.255.255", "0.0.0.0", "::1", "2001:db8:dead:beef::1"]
FORMS = [b"203.0.113", b"cb00:714d", b"cb00714d", b"34ff:8eb2", b"5efe:", b"64:ff9b", b"255.255.255",
         b"dead:beef", b"deadbeef", b"3405803853", bytes([203, 0, 113, 77]), bytes([77, 113, 0, 203])]


def behind_proxy():
    g = Gateway(start=False)
    g.conf["listen"][0]["trusted_proxies"] = ["127.0.0.0/8"]
    with open(g.conf_path, "w") as f:
        json.dump(g.conf, f)
    g.start()
    return g


class Addresses(unittest.TestCase):
    def test_r72_r73_no_part_of_any_address_is_kept_or_sent(self):
        with behind_proxy() as g:
            for address in ADDRESSES:
                answer = g.post("/v1/events", event(consent=YES, context={"ip": address}),
                                {"X-Forwarded-For": address})
                self.assertEqual(answer.status, 200, address)
            wait_until("all of them", lambda: len(g.recorder.accepted()) == len(ADDRESSES)
                       and len(g.file_lines()) == len(ADDRESSES))
            metrics = g.admin("GET", "/metrics").body
            g.stop()
            places = {"recorder": g.recorder.bytes(), "log": g.log, "metrics": metrics}
            for folder, _, names in os.walk(g.home):
                for name in names:
                    path = os.path.join(folder, name)
                    if os.path.isfile(path):
                        with open(path, "rb") as f:
                            places[path] = f.read()
            self.assertGreater(len(places), 10)
            for place, data in places.items():
                for form in FORMS:
                    self.assertNotIn(form, data.lower(), place)

    def test_r74_an_address_or_a_browser_is_no_input_of_a_pseudonym(self):
        with behind_proxy() as g:
            for n, address in enumerate(ADDRESSES[:3]):
                g.post("/v1/events", event(session="same", consent=YES),
                       {"X-Forwarded-For": address, "User-Agent": "Browser/%d" % n})
            wait_until("three", lambda: len(g.recorder.accepted()) == 3)
            self.assertEqual(len({e["session_id"] for e in g.recorder.accepted()}), 1)
            nobody = event(consent=YES)
            del nobody["session_id"]
            g.post("/v1/events", nobody, {"X-Forwarded-For": ADDRESSES[0]})
            wait_until("four", lambda: len(g.recorder.accepted()) == 4)
            g.settled()
            for line in (g.recorder.accepted()[-1], g.file_lines()[-1]):
                self.assertFalse({"session_id", "device_id", "user_id"} & set(line), line)


if __name__ == "__main__":
    main()
