#!/usr/bin/env python3
"""R53: a backend whose certificate does not hold gets nothing, by the real
binary and real TLS servers; each kind of failure is recorded and counted, and
what waited arrives once the certificate is right."""
import json
import os
import re
import ssl
import tempfile
import unittest

from authority import Authority
from harness import Gateway, Recorder, event, main, wait_until
from test_delivery import destination, records


class TlsRecorder(Recorder):
    """A recorder behind TLS; its certificate can be changed while it runs."""

    def __init__(self, pair):
        super().__init__()
        self.pair = pair
        plain = self.server.get_request

        def get_request():
            connection, peer = plain()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.pair)
            # The handshake is the server's first read, on its own thread.
            return context.wrap_socket(connection, server_side=True,
                                       do_handshake_on_connect=False), peer

        self.server.get_request = get_request

    @property
    def url(self):
        return "https://localhost:%d/events" % self.port


class Failures(unittest.TestCase):
    def metric(self, g):
        text = g.admin("GET", "/metrics").body.decode()
        return int(re.search(r'^lethe_tls_failures\{site="mixbot",destination="any"\} (\d+)$',
                             text, re.M).group(1))

    def configure(self, g, ca):
        """`ca`: the only authority for the backend; None: the system's."""
        if ca is not None:
            g.conf["sites"][0]["destinations"][-1]["ca"] = ca
        with open(g.conf_path, "w") as f:
            json.dump(g.conf, f)

    def fails(self, make, knows_authority=True):
        """One event to a backend with the certificate that `make` returns of an
        authority; then to the same one with a certificate that holds."""
        with tempfile.TemporaryDirectory() as folder:
            authority = Authority(os.path.join(folder, "ca"))
            backend = TlsRecorder(make(authority))
            self.addCleanup(backend.close)
            with Gateway(recorder=backend, start=False) as g:
                self.configure(g, authority.certificate if knows_authority else None)
                g.start()
                self.assertEqual(self.metric(g), 0)
                answer = g.post("/v1/events", event(consent={"product": True}))
                self.assertEqual(answer.status, 200)
                wait_until("the failure to be counted", lambda: self.metric(g) > 0)
                for d in wait_until("its record", lambda: records(g, "tls.fail")):
                    self.assertEqual((d["site"], d["destination"]), ("mixbot", "any"))
                    self.assertGreaterEqual(d["count"], 1)
                state = destination(g, "any")
                self.assertEqual((state["waiting"], state["accepted"], state["dead"]), (1, 0, 0))
                # Not one request, hence not one byte of the event.
                self.assertEqual(backend.requests, [])
                backend.pair = authority.issue("DNS:localhost")
                self.configure(g, authority.certificate)
                self.assertEqual(g.run("reload")[0], 0)
                wait_until("the event", lambda: len(backend.accepted()) == 1)
                wait_until("each failure to be in one record", lambda: sum(
                    d["count"] for d in records(g, "tls.fail")) == self.metric(g))

    def test_r53_a_certificate_that_signed_itself(self):
        self.fails(lambda authority: authority.self_signed("DNS:localhost"))

    def test_r53_an_authority_that_the_system_does_not_know(self):
        self.fails(lambda authority: authority.issue("DNS:localhost"), knows_authority=False)

    def test_r53_another_authority_than_the_one_configured(self):
        with tempfile.TemporaryDirectory() as folder:
            other = Authority(os.path.join(folder, "other"))
            self.fails(lambda authority: other.issue("DNS:localhost"))

    def test_r53_another_host_name(self):
        self.fails(lambda authority: authority.issue("DNS:backend.example"))

    def test_r53_an_expired_certificate(self):
        self.fails(lambda authority: authority.issue("DNS:localhost", ("20200101", "20200102")))

    def test_r53_a_certificate_that_is_not_valid_yet(self):
        self.fails(lambda authority: authority.issue("DNS:localhost", ("20900101", "20900102")))


if __name__ == "__main__":
    main()
