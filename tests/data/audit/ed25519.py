"""Ed25519 signatures (RFC 8032, section 5.1), slow and for test vectors only:
the bytes of a signature are one function of seed and message, so that whoever
signs with another library gets the same."""
import hashlib

P = 2 ** 255 - 19
ORDER = 2 ** 252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)  # of -1


def number(data):
    return int.from_bytes(data, "little")


def recover_x(y):
    """The even x of a point with this y."""
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    return x if x % 2 == 0 else P - x


def add(a, b):
    """Twisted Edwards, extended coordinates."""
    k = (a[1] - a[0]) * (b[1] - b[0]) % P
    m = (a[1] + a[0]) * (b[1] + b[0]) % P
    c = 2 * a[3] * b[3] * D % P
    d = 2 * a[2] * b[2] % P
    e, f, g, h = m - k, d - c, d + c, m + k
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n, point):
    out = (0, 1, 1, 0)
    while n:
        if n & 1:
            out = add(out, point)
        point, n = add(point, point), n >> 1
    return out


def packed(point):
    z = pow(point[2], P - 2, P)
    x, y = point[0] * z % P, point[1] * z % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


Y = 4 * pow(5, P - 2, P) % P
BASE = (recover_x(Y), Y, 1, recover_x(Y) * Y % P)


class Key:
    def __init__(self, seed):
        half = hashlib.sha512(seed).digest()
        self.scalar = number(half[:32]) & (1 << 254) - 8 | 1 << 254
        self.prefix = half[32:]
        self.public = packed(times(self.scalar, BASE))

    def sign(self, message):
        r = number(hashlib.sha512(self.prefix + message).digest()) % ORDER
        point = packed(times(r, BASE))
        h = number(hashlib.sha512(point + self.public + message).digest())
        return point + ((r + h * self.scalar) % ORDER).to_bytes(32, "little")
