"""`python -m crash`: every activity, every kind of fault, every point; one table."""

import argparse
import os
import shlex
import sys
import time
from pathlib import Path

from support.guard import KEPT, KEPT_PREFIXES, environment

from crash.activities import ACTIVITIES
from crash.kinds import KINDS
from crash.table import Row, tried
from crash.world import scratch

_TOLD = 10
"""How many violations of a row are told in full."""


def main() -> int:
    """Print the table; return 1 where a promise was broken."""
    asked = _arguments()
    began = time.monotonic()
    with scratch() as place:
        _clean_environment(place / "home")
        rows, left_out = tried(
            place,
            kinds=asked.kind or list(KINDS),
            activities=asked.activity or list(ACTIVITIES),
            only=asked.only,
            every=asked.every,
            jobs=asked.jobs,
        )
    _print(rows)
    for kind, why in left_out.items():
        print(f"not tried: {kind}: {why}")
    print(f"{time.monotonic() - began:.0f} s")
    return 1 if any(row.violations for row in rows) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="crash", description=__doc__)
    names = ", ".join(ACTIVITIES)
    parser.add_argument("--activity", action="append", choices=ACTIVITIES, help=names)
    parser.add_argument("--kind", action="append", choices=KINDS, help="see the table")
    parser.add_argument("--only", metavar="POINT", help="this point alone: rename:3")
    parser.add_argument(
        "--every", type=int, default=1, metavar="K", help="a sample: each K-th point"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="at once"
    )
    return parser.parse_args()


def _clean_environment(home: Path) -> None:
    home.mkdir()
    for name in list(os.environ):
        if name not in KEPT and not name.startswith(KEPT_PREFIXES):
            del os.environ[name]
    os.environ.update(environment(home))
    os.umask(0o022)


def _print(rows: list[Row]) -> None:
    form = "{:<13} {:<33} {:>7} {:>11}"
    print(form.format("activity", "kind of fault", "points", "violations"))
    for row in rows:
        wrong = len(row.violations)
        print(form.format(row.activity, row.kind, row.points, wrong))
    points = sum(row.points for row in rows)
    wrong = sum(len(row.violations) for row in rows)
    print(form.format("all", "", points, wrong))
    for row in rows:
        for at, said in list(row.violations.items())[:_TOLD]:
            words = ["--activity", row.activity, "--kind", row.kind, "--only", at]
            print(f"\n{row.activity}, {row.kind}, {at}:")
            print(*(f"  {sentence}" for sentence in said), sep="\n")
            print(f"  again: make crash ARGS={shlex.quote(shlex.join(words))}")


if __name__ == "__main__":
    sys.exit(main())
