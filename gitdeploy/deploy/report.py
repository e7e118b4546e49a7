"""What the pusher reads: calm, aligned lines; the log gets them first."""

from typing import Final

from gitdeploy.logs import Log
from gitdeploy.system.client import Client
from gitdeploy.system.lifeline import Lifeline
from gitdeploy.system.terminal import fit, human_time, printable

__all__ = ["Report"]

# git puts "remote: " in front, and a terminal has 80 columns.
_WIDTH: Final = 72
_WORD: Final = 12
_OUTPUT: Final = 240
_COMMAND: Final = 44


class Report:
    """Tells one pusher about one push.

    Attributes:
        log: The log of the release being prepared; None between releases.
        timings: Each timed stage since `title`, with its seconds.
    """

    def __init__(self, client: Client, lifeline: Lifeline | None = None) -> None:
        self._client = client
        self._lifeline = lifeline
        self.log: Log | None = None
        self.timings: list[tuple[str, float]] = []
        self._announced = ("", "")
        self._told = True

    @property
    def pusher_left(self) -> bool:
        """Whether nobody is there any more who could be told."""
        return self._lifeline is not None and self._lifeline.broken

    def title(self, *words: str) -> None:
        """Begin to tell about one ref: app, ref, commit, subject."""
        self.timings = []
        self._client.line(fit(printable("  ".join(filter(None, words))), _WIDTH))

    def line(self, word: str, text: str = "", seconds: float | None = None) -> None:
        """Tell one stage: a word, what it did, and how long it took."""
        if self.log:
            took = "" if seconds is None else f"  {human_time(seconds)}"
            self.log.heading(f"{word}  {printable(text)}{took}")
        if seconds is not None:
            self.timings.append((word, seconds))
        self._tell(word, text, seconds)

    def waiting(self, text: str) -> None:
        """Tell whom a push waits for."""
        self._tell("waiting", text.removeprefix("waiting "))

    def copyable(self, word: str, text: str) -> None:
        """Tell what somebody will copy: one line, however long it is."""
        self._client.line(f"{_start(word)}{printable(text)}")

    def begin(self, step: str, command: str) -> None:
        """Announce a step; told when it has output, else `end` tells it whole."""
        if self.log:
            self.log.heading(f"{step}  {command}")
        self._announced = (step, fit(command, _COMMAND))
        self._told = False

    def output(self, text: str) -> None:
        """Tell a line that the step printed."""
        if not self._told:
            self._told = True
            self._tell(*self._announced)
        self._client.line(f"    {fit(text, _OUTPUT)}")

    def end(self, seconds: float, text: str = "") -> None:
        """Tell that the step announced last is done, in words or by its command."""
        step, command = self._announced
        if self.log:
            self.log.heading(f"{step}  done  {human_time(seconds)}")
        self.timings.append((step, seconds))
        self._tell(step, text or ("done" if self._told else command), seconds)

    def _tell(self, word: str, text: str, seconds: float | None = None) -> None:
        """Tell in as many lines as it takes; the time stands on the first."""
        start = _start(word)
        took = "" if seconds is None else f"  {human_time(seconds)}"
        room = _WIDTH - len(start) - len(took)
        first, *rest = _wrapped(printable(text), room)
        self._client.line(f"{start}{first:<{room}}{took}".rstrip())
        for more in rest:
            self._client.line(f"{'':<{len(start)}}{more}")


def _wrapped(text: str, width: int) -> list[str]:
    """Return at least one line; a word that is wider than `width` stays whole."""
    if len(text) <= width and "\t" not in text:
        return [text]
    import textwrap

    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return lines or [""]


def _start(word: str) -> str:
    return f"  {fit(word, _WORD):<{_WORD}}  "
