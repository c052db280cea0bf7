"""TC strings for scenarios: as much of them as a test says, the rest empty."""
import datetime

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def bits(value, width):
    return format(value, "0%db" % width)


def numbers(chosen, width):
    return "".join("1" if n + 1 in chosen else "0" for n in range(width))


def vendors(chosen):
    """As single entries of a list of ranges; none: no bits."""
    if not chosen:
        return bits(0, 17)
    return (bits(max(chosen), 16) + "1" + bits(len(chosen), 12)
            + "".join("0" + bits(v, 16) for v in sorted(chosen)))


def segment(text):
    text += "0" * (-len(text) % 24)
    return "".join(LETTERS[int(text[i:i + 6], 2)] for i in range(0, len(text), 6))


def tc_string(consent=(), interest=(), vendor_consent=(), vendor_interest=(), disclosed=(755,),
              version=2, policy=5, specific=True, treatment=False, age_days=0, now=None):
    """`disclosed` None: without that segment, as before TCF 2.3."""
    now = now or datetime.datetime.now(datetime.timezone.utc)
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    time = int((day - datetime.timedelta(days=age_days)).timestamp() * 10)
    core = (bits(version, 6) + bits(time, 36) * 2 + bits(10, 12) + bits(1, 12) + bits(1, 6)
            + bits(4, 6) + bits(13, 6) + bits(100, 12) + bits(policy, 6)
            + ("1" if specific else "0") + "0" + numbers((), 12) + numbers(consent, 24)
            + numbers(interest, 24) + ("1" if treatment else "0") + bits(3, 6) + bits(4, 6)
            + vendors(vendor_consent) + vendors(vendor_interest) + bits(0, 12))
    text = segment(core)
    if disclosed is not None:
        text += "." + segment(bits(1, 3) + vendors(disclosed))
    return text


def yes(**more):
    """A yes to the purposes of the Mixbot policy, and to Google (755)."""
    return tc_string(**{**{"consent": (1, 8), "vendor_consent": (755,)}, **more})
