"""What a step prints, on its way to the log and to the pusher."""

import re
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from gitdeploy.steps.hidden import Hidden
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.terminal import human_time, printable

__all__ = ["HideAll", "Mask", "Output", "Sink"]

_SILENCE_S: Final = 15.0
_RELAYED_LINES: Final = 1000
_LAST_LINES: Final = 12
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_LINE: Final = 4096
_KEPT_BYTES: Final = 65536


class Sink(Protocol):
    """Where everything a step prints is kept."""

    @property
    def full(self) -> bool:
        """Whether it keeps no more."""

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines since `forget_tail`, oldest first."""

    def line(self, text: str) -> None:
        """Keep a line."""

    def flush(self) -> None:
        """Let those who follow see what was kept."""

    def forget_tail(self) -> None:
        """Begin a new step."""


class Mask:
    """Hides secrets, also encoded ones, in text that is fit for a terminal.

    Short values are left: they would hide ordinary words.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._hidden = Hidden(secrets)

    def __call__(self, text: str) -> str:
        """Return the text with every secret replaced."""
        shown, at = "", 0
        for start, end in self._hidden.spans(text):
            shown += text[at:start] + "[hidden]"
            at = end
        return shown + text[at:] if at else text

    def cut(self, text: str) -> int:
        """Return where text that goes on can be cut without cutting a secret."""
        cut = max(len(text) - self._hidden.longest, 0)
        for start, end in self._hidden.spans(text):
            if start < cut < end:
                return start
        return cut


class HideAll(Mask):
    """Hides all: nobody knows what of it is secret."""

    def __call__(self, text: str) -> str:
        """Return that there was text."""
        return "[hidden]" if text else text


class Output:
    """What a step prints on its way to the log and the pusher, line by line."""

    def __init__(self, log: Sink, tell: Callable[[str], None], mask: Mask) -> None:
        self._log = log
        self._tell = tell
        self._mask = mask
        self._rest = b""
        self._relayed = 0
        self._quiet = Stopwatch()
        self._reported_s = 0.0

    def feed(self, data: bytes) -> None:
        """Take what was printed; pass on its whole lines."""
        self._quiet = Stopwatch()
        self._reported_s = 0.0
        data = self._rest + data
        if self._log.full and self._relayed > _RELAYED_LINES:
            self._rest = data[-_KEPT_BYTES:]  # only the end still matters
            return
        held = b"\r" if data.endswith(b"\r") else b""  # half of a line end, perhaps
        *lines, self._rest = _LINE_END.split(data.removesuffix(held))
        for line in lines:
            self._line(_text(line))
        if len(self._rest) > _KEPT_BYTES:
            text = _text(self._rest)
            cut = self._mask.cut(text)
            self._line(text[:cut])
            self._rest = text[cut:].encode()
        self._rest += held
        self._log.flush()

    def still_silent(self, running_s: float) -> None:
        """Say that the step still runs, if it has been silent for long."""
        if self._quiet.seconds - self._reported_s >= _SILENCE_S:
            self._reported_s = self._quiet.seconds
            self._tell(f"… still running after {human_time(running_s)}")

    def end(self) -> None:
        """Pass on what is left: a line without its end, or the end of a flood."""
        for line in _LINE_END.split(self._rest)[-_LAST_LINES:]:
            if line:
                self._line(_text(line))
        if self._relayed > _RELAYED_LINES:
            for text in self._log.tail[-_LAST_LINES:]:
                self._tell(text)
        self._log.flush()

    def _line(self, text: str) -> None:
        masked = self._mask(text)
        for start in range(0, max(len(masked), 1), _LINE):
            self._pass_on(masked[start : start + _LINE])

    def _pass_on(self, text: str) -> None:
        self._log.line(text)
        self._relayed += 1
        if self._relayed <= _RELAYED_LINES:
            self._tell(text)
        elif self._relayed == _RELAYED_LINES + 1:
            self._tell("… more in the log; this is how it ends:")


def _text(raw: bytes) -> str:
    """Return what can be masked and shown: a secret is not hidden by colours."""
    return printable(raw.decode("utf-8", "surrogateescape"))
