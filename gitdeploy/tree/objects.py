"""Objects of a repository read in bulk, over a pipe to git.

A git for each object, or a library that has to be imported, would take longer than all
that most pushes have to read.
"""

import subprocess
from collections.abc import Iterable, Iterator
from typing import IO, Final, NamedTuple, Self

from gitdeploy.errors import ReleaseFailed
from gitdeploy.system.git import Git

__all__ = ["LINK", "Entry", "Objects"]

_AT_ONCE: Final = 500  # their ids fit into a pipe, pipe(7): nobody waits for nobody
_WORDS: Final = 3
_ID_BYTES: Final = 20

_FORMAT: Final = 0o170000
_FOLDER: Final = 0o040000
LINK: Final = 0o120000
"""The mode of a symbolic link in a tree."""

_MODULE: Final = 0o160000
_FILE: Final = 0o100644
_PROGRAM: Final = 0o100755
_MAY_RUN: Final = 0o100


class Entry(NamedTuple):
    """One entry of a tree object."""

    mode: int
    """As git takes it: a file has 0o100644 or 0o100755, whatever the tree says."""
    name: bytes
    id: bytes
    """20 bytes."""

    @property
    def is_folder(self) -> bool:
        """Whether its object is another tree."""
        return self.mode == _FOLDER

    @property
    def is_module(self) -> bool:
        """Whether it is a submodule, whose object is a commit elsewhere."""
        return self.mode == _MODULE

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link, whose object is the target."""
        return self.mode == LINK


class Objects:
    """The objects of one repository; for a `with` statement.

    Every method raises `ReleaseFailed` where an object is missing, damaged, or of
    another kind than its place in a tree says.
    """

    def __init__(self, git: Git) -> None:
        self._git = git
        self._gits: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._gits.values():
            process.kill()  # it may be in the middle of an answer nobody wants
            process.communicate()

    def trees(self, ids: Iterable[bytes]) -> Iterator[list[Entry]]:
        """Yield the entries of each tree, in the same order."""
        wanted = list(ids)
        for id_, data in zip(wanted, self._contents(wanted, b"tree"), strict=True):
            try:
                yield list(_entries(data))
            except ValueError:
                raise self._damaged(id_.hex()) from None

    def blobs(self, ids: Iterable[bytes]) -> Iterator[bytes]:
        """Yield what each blob holds, in the same order."""
        return self._contents(list(ids), b"blob")

    def sizes(self, ids: Iterable[bytes]) -> Iterator[int]:
        """Yield how many bytes each blob has, in the same order."""
        return (size for size, _ in self._answers("--batch-check", list(ids), b"blob"))

    def _contents(self, ids: list[bytes], kind: bytes) -> Iterator[bytes]:
        answers = self._answers("--batch", ids, kind)
        for id_, (size, pipe) in zip(ids, answers, strict=True):
            data = pipe.read(size + 1)
            if len(data) <= size:  # git ended in the middle of it
                raise self._damaged(id_.hex())
            yield data[:-1]

    def _answers(
        self, how: str, ids: list[bytes], kind: bytes
    ) -> Iterator[tuple[int, IO[bytes]]]:
        """Yield the size of each object, and the pipe that holds it next."""
        for n in range(0, len(ids), _AT_ONCE):
            some = ids[n : n + _AT_ONCE]
            answers = self._asked(how, some)
            for id_ in some:
                yield self._size(id_, answers.readline(), kind), answers

    def _asked(self, how: str, ids: list[bytes]) -> IO[bytes]:
        if how not in self._gits:
            self._gits[how] = self._git.start("cat-file", how)
        process = self._gits[how]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"".join(b"%b\n" % id_.hex().encode() for id_ in ids))
        process.stdin.flush()
        return process.stdout

    def _size(self, id_: bytes, answer: bytes, kind: bytes) -> int:
        words = answer.split()
        if len(words) != _WORDS:  # "missing", or git ended here
            raise self._damaged(id_.hex())
        if words[1] != kind:
            should = "file" if kind == b"blob" else kind.decode()
            raise ReleaseFailed(
                f"object {id_.hex()} should be a {should} and is something else"
            )
        return int(words[2])

    def _damaged(self, id_: str) -> ReleaseFailed:
        return ReleaseFailed(
            f"an object of this commit is missing or damaged on the server: {id_}",
            hint=f"git -C {self._git.directory} fsck --full  says more",
        )


def _entries(data: bytes) -> Iterator[Entry]:
    """Yield what a tree object lists (gitformat-pack(5), "tree").

    Raises:
        ValueError: It is not a tree object.
    """
    place = 0
    while place < len(data):
        space = data.index(b" ", place)
        end = data.index(b"\0", space)
        after = end + 1 + _ID_BYTES
        if after > len(data):
            raise ValueError("an id is cut off")
        digits = data[place:space]
        if not digits.isdigit():  # int() takes signs, blanks and _ as well
            raise ValueError("a mode is no number")
        mode = _canonical(int(digits, 8))
        yield Entry(mode, data[space + 1 : end], data[end + 1 : after])
        place = after


def _canonical(mode: int) -> int:
    kind = mode & _FORMAT
    if kind in (_FOLDER, LINK, _MODULE):
        return kind
    return _PROGRAM if mode & _MAY_RUN else _FILE
