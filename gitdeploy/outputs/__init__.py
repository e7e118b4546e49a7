"""What a step made, known again, and passed on to another release."""

from gitdeploy.outputs.passing import bring, make_read_only, names_of_place, own
from gitdeploy.outputs.record import (
    Made,
    Seen,
    additions,
    changed,
    changed_in_place,
    decode,
    encode,
    look,
    lost,
    unfit,
    without_ctime,
)

__all__ = [
    "Made",
    "Seen",
    "additions",
    "bring",
    "changed",
    "changed_in_place",
    "decode",
    "encode",
    "look",
    "lost",
    "make_read_only",
    "names_of_place",
    "own",
    "unfit",
    "without_ctime",
]
