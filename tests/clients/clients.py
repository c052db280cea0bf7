#!/usr/bin/env python3
"""clients.py BUILD [--golden] [SDK...] - real SDKs, unchanged but for the
URL, against the real gateway, and recording stubs for its destinations. One
line an SDK, five columns; a "no" ends in exit 1, and why stands on stderr.

  works     the Mixbot story arrives at all five destinations as the files in
            golden/ say where consent is asserted, else at none that needs it
  retries   429, 503, broken connections, a restart: nothing twice, nothing
            lost but by an SDK that does not try again
  canaries  nothing that names the person or is an SDK's own id, anywhere
  opt-out   in the middle of the story, by each id that can be copied
  CORS      pages of another site read the answers
"""

import concurrent.futures
import os
import sys
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "scenario"))
if __name__ == "__main__":
    os.environ["LETHE_BUILD"] = os.path.abspath(sys.argv[1])

from checks import check_cors, check_optout, check_retries, check_works  # noqa: E402
from sdks import SDKS  # noqa: E402

COLUMNS = (("works", check_works), ("retries", check_retries), ("canaries", None),
           ("opt-out", check_optout), ("CORS", check_cors))


def run(sdk, write_golden):
    """{column: problem text or None}"""
    result, seen = {}, []
    for column, check in COLUMNS:
        if check is None:
            continue
        try:
            problems = check(sdk, seen, write_golden)
        except Exception:  # one SDK's trouble must not hide the others
            problems = {column: traceback.format_exc()}
        for name, problem in problems.items():
            result[name] = problem
    result.setdefault("canaries", "the story did not come so far")
    return result


def main():
    wanted = [a for a in sys.argv[2:] if not a.startswith("--")]
    golden, failed = "--golden" in sys.argv, 0
    chosen = [sdk for sdk in SDKS if not wanted or sdk.name in wanted]
    print("%-22s %-14s" % ("SDK", "version")
          + "".join("%-10s" % name for name, _ in COLUMNS).rstrip(), flush=True)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for sdk, result in zip(chosen, pool.map(lambda sdk: run(sdk, golden), chosen)):
            print("%-22s %-14s" % (sdk.name, sdk.version) + "".join(
                "%-10s" % ("no" if result[name] else "yes") for name, _ in COLUMNS).rstrip(),
                flush=True)
            for name, problem in result.items():
                if problem:
                    failed += 1
                    print("  %s, %s: %s" % (sdk.name, name, problem), file=sys.stderr,
                          flush=True)
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
