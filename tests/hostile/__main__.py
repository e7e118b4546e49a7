"""`make histories`: many random histories; a line for each that broke, and a count.

ARGS='--count 2000 --first 0 --workers 2'
"""

import argparse
import multiprocessing
import sys
from collections import Counter
from collections.abc import Iterator

from hostile.histories import Broken, first_world, play

SHARE = 25
"""Histories that begin with copies of one and the same server."""


def main() -> int:
    """Play histories; return 1 if one of them broke."""
    reader = argparse.ArgumentParser(prog="make histories", description=__doc__)
    reader.add_argument("--count", type=int, default=2000)
    reader.add_argument("--first", type=int, default=0)
    reader.add_argument("--workers", type=int, default=2)
    asked = reader.parse_args()
    seeds = range(asked.first, asked.first + asked.count)
    shares = [seeds[n : n + SHARE] for n in range(0, asked.count, SHARE)]
    broken, outcomes = 0, Counter[str]()
    with multiprocessing.Pool(asked.workers) as pool:
        for played in pool.imap_unordered(_play_all, shares):
            for outcome, said in played:
                outcomes[outcome] += 1
                broken += bool(said)
            print(f"{outcomes.total()} of {asked.count}, {broken} broken", flush=True)
    for outcome, number in sorted(outcomes.items()):
        print(f"{number:6} {outcome}")
    print(f"{asked.count} histories, {broken} broken")
    return 1 if broken else 0


def _play_all(seeds: range) -> list[tuple[str, str]]:
    return list(_played(seeds))


def _played(seeds: range) -> Iterator[tuple[str, str]]:
    with first_world() as first:
        for seed in seeds:
            try:
                yield play(first, seed), ""
            except Broken as error:
                print(str(error)[:2000], flush=True)
                yield "broken", str(error)


if __name__ == "__main__":
    sys.exit(main())
