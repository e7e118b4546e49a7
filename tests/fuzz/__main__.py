"""`python -m fuzz`: every target for a while, each in a process of its own; a table."""

import argparse
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from fuzz.inputs import words_of
from fuzz.seeds import SEEDS, SOURCE
from fuzz.targets import TARGETS

PLACE = SOURCE / ".fuzz"
"""Inputs that led somewhere new, and those that broke something."""

_TRIED = re.compile(r"^stat::number_of_executed_units: (\d+)$", re.MULTILINE)
_TOLD_LINES = 12


class Row(NamedTuple):
    """What became of one target."""

    tried: int
    failures: list[Path]
    said: str


def main() -> int:
    """Print the table; return 1 where a promise was broken."""
    asked = _arguments()
    runner = "guided" if _is_guided() else "blind"
    names = asked.target or list(TARGETS)
    rows = {name: _fuzzed(name, runner, asked.seconds) for name in names}
    _print(rows)
    return 1 if any(row.failures for row in rows.values()) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--target", action="append", choices=list(TARGETS))
    parser.add_argument(
        "--seconds", type=int, default=60, metavar="N", help="each target; default 60"
    )
    return parser.parse_args()


def _is_guided() -> bool:
    """Return whether inputs can be chosen by what they reach; say so where not."""
    words = [sys.executable, "-c", "import atheris"]
    tried = subprocess.run(words, capture_output=True, check=False)
    if tried.returncode:
        print("atheris cannot be imported here: inputs are made by Hypothesis alone")
    return tried.returncode == 0


def _fuzzed(name: str, runner: str, seconds: int) -> Row:
    found = PLACE / "found" / name
    found.mkdir(parents=True, exist_ok=True)
    began = time.time()
    words = [name, str(seconds), *_prepared(name), str(found)]
    done = subprocess.run(
        [sys.executable, "-m", f"fuzz.{runner}", *words],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds * 2 + 120,
        check=False,
    )
    tried = _TRIED.search(done.stderr)
    failures = [path for path in found.iterdir() if path.stat().st_mtime >= began]
    if done.returncode and not failures:
        failures = [_kept(found / "stopped", done.stderr)]
    said = done.stdout or done.stderr  # atheris tells of an exception on stdout
    return Row(int(tried[1]) if tried else 0, failures, said)


def _prepared(name: str) -> tuple[str, str]:
    """Write a target's seeds and its words as libFuzzer reads them."""
    corpus = PLACE / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[name]):
        (corpus / f"seed-{number}").write_bytes(seed)
    dictionary = PLACE / f"{name}.dict"
    escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in words_of(name))
    dictionary.write_text("".join(f'"{word}"\n' for word in escaped))
    return str(corpus), str(dictionary)


def _kept(place: Path, text: str) -> Path:
    place.write_text(text)
    return place


def _print(rows: dict[str, Row]) -> None:
    form = "{:<16} {:>12} {:>9}"
    print(form.format("target", "inputs tried", "failures"))
    for name, row in rows.items():
        print(form.format(name, f"{row.tried:,}", len(row.failures)))
    for name, row in rows.items():
        for path in row.failures:
            again = shlex.join(["--target", name])
            print(f"\n{name}: {os.path.relpath(path)}")
            print(*(f"  {line}" for line in _ending(row.said)), sep="\n")
            print(f"  again: make fuzz ARGS={shlex.quote(again)}")


def _ending(said: str) -> list[str]:
    """Return the last lines of the traceback, before what libFuzzer says of itself."""
    told = re.split(r"^==\d+==|^stat::", said, maxsplit=1, flags=re.MULTILINE)[0]
    return told.rstrip().splitlines()[-_TOLD_LINES:]


if __name__ == "__main__":
    sys.exit(main())
