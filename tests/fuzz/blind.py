"""One target for some seconds, its inputs made of seeds; `__main__` starts it.

python -m fuzz.blind TARGET SECONDS CORPUS DICTIONARY FOUND
"""

import hashlib
import sys
import time
import traceback
from pathlib import Path

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import seed as seeded

from fuzz.inputs import inputs
from fuzz.targets import TARGETS

_AT_ONCE = 1000


def main() -> int:
    """Try inputs until the time is over; return 1 where one broke something."""
    name, seconds, _, _, found = sys.argv[1:]
    tried, ends, last = 0, time.monotonic() + int(seconds), b""

    @settings(
        max_examples=_AT_ONCE,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs(name))
    def holds(data: bytes) -> None:
        nonlocal tried, last
        tried, last = tried + 1, data
        TARGETS[name](data)

    status = 0
    for place in Path(found).iterdir():  # what was found before is tried first
        holds = example(place.read_bytes())(holds)
    while not status and time.monotonic() < ends:
        try:
            seeded(time.time_ns())(holds)()
        except Exception:  # noqa: BLE001 - a target may fail in any way: that is the find
            traceback.print_exc()
            digest = hashlib.sha1(last, usedforsecurity=False).hexdigest()
            (Path(found) / f"crash-{digest}").write_bytes(last)  # as libFuzzer names it
            status = 1
    print(f"stat::number_of_executed_units: {tried}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
