"""authority.py - a certificate authority in a folder, and certificates by it
that are right or wrong in one way. By openssl's `ca`, which alone of its
commands takes dates that are over."""
import os
import subprocess

CONF = """[ca]
default_ca = d
[d]
new_certs_dir = .
database = db
rand_serial = yes
default_md = sha256
policy = p
unique_subject = no
[p]
commonName = supplied
"""
NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


class Authority:
    def __init__(self, folder):
        self.folder = folder
        os.mkdir(folder)
        for name, text in (("ca.cnf", CONF), ("db", "")):
            with open(os.path.join(folder, name), "w") as f:
                f.write(text)
        self._openssl("req", "-x509", *NEW_KEY, "-keyout", "ca.key", "-out", "ca.pem",
                      "-subj", "/CN=authority", "-days", "2")
        self.certificate = os.path.join(folder, "ca.pem")
        self.issued = 0

    def _openssl(self, *words):
        subprocess.run(["openssl"] + list(words), cwd=self.folder, check=True,
                       capture_output=True)

    def _next(self):
        self.issued += 1
        return ["%d.%s" % (self.issued, kind) for kind in ("pem", "key")]

    def _pair(self, certificate, key):
        return os.path.join(self.folder, certificate), os.path.join(self.folder, key)

    def issue(self, name, days=None):
        """(certificate, key) for `name`; `days`: two dates, YYYYMMDD."""
        certificate, key = self._next()
        with open(os.path.join(self.folder, "ext"), "w") as f:
            f.write("subjectAltName = %s\n" % name)
        self._openssl("req", "-new", *NEW_KEY, "-keyout", key, "-out", "csr",
                      "-subj", "/CN=backend")
        valid = ["-days", "2"] if days is None else [
            "-startdate", days[0] + "000000Z", "-enddate", days[1] + "000000Z"]
        self._openssl("ca", "-batch", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile",
                      "ca.key", "-in", "csr", "-out", certificate, "-notext",
                      "-extfile", "ext", *valid)
        return self._pair(certificate, key)

    def self_signed(self, name):
        """What anybody can make: no authority stands behind it."""
        certificate, key = self._next()
        self._openssl("req", "-x509", *NEW_KEY, "-keyout", key, "-out", certificate,
                      "-subj", "/CN=backend", "-days", "2",
                      "-addext", "subjectAltName=" + name)
        return self._pair(certificate, key)
