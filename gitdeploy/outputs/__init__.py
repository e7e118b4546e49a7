"""What a step made, known again, and passed on to another release."""

from gitdeploy.outputs.content import read
from gitdeploy.outputs.passing import (
    bring,
    copy_seen,
    make_read_only,
    own,
    places_of,
)
from gitdeploy.outputs.record import (
    Made,
    Seen,
    changed,
    changed_in_place,
    decode,
    encode,
    look,
    unfit,
    without_ctime,
)

__all__ = [
    "Made",
    "Seen",
    "bring",
    "changed",
    "changed_in_place",
    "copy_seen",
    "decode",
    "encode",
    "look",
    "make_read_only",
    "own",
    "places_of",
    "read",
    "unfit",
    "without_ctime",
]
