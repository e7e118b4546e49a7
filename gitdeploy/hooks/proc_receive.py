"""The proc-receive hook: the gate, where a verdict per ref reaches the pusher's git.

The protocol is that of githooks(5), "proc-receive": versions, then the commands and
push options, then our answer per ref. A ref answered `ok` was moved by us.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from gitdeploy.deploy.acceptance import Gate
from gitdeploy.deploy.aftermath import begin_aftermath, due
from gitdeploy.deploy.app import App
from gitdeploy.deploy.push import Push, receive
from gitdeploy.deploy.report import Report
from gitdeploy.door import guarded, say
from gitdeploy.errors import GitdeployError, SystemFailed
from gitdeploy.hooks import note
from gitdeploy.hooks.pkt_line import read_lines, write_lines
from gitdeploy.hooks.surface import app_here, report_to_pusher
from gitdeploy.model import RefUpdate, Verdict
from gitdeploy.system import files
from gitdeploy.system.bugs import foreseen
from gitdeploy.system.disk import blamed
from gitdeploy.system.signals import undisturbed
from gitdeploy.system.terminal import fit, printable

__all__ = ["main"]

_WANTED: Final = (b"push-options", b"atomic")
_REASON: Final = 160
_WORDS: Final = 3


def main() -> int:
    """Answer one push; exit status 0 whenever git got an answer."""
    return guarded(lambda: _serve(sys.stdin.buffer, sys.stdout.buffer, os.environ))


def _serve(stdin: IO[bytes], stdout: IO[bytes], environ: Mapping[str, str]) -> int:
    report = report_to_pusher()
    features = _agree(stdin, stdout)
    updates = tuple(_update(line) for line in read_lines(stdin))
    options: tuple[str, ...] = ()
    if b"push-options" in features:
        options = tuple(_text(line) for line in read_lines(stdin))
    push = Push(updates, options, b"atomic" in features)
    with undisturbed():  # whatever becomes of the push, git gets to know it
        write_lines(stdout, _answers(updates, _verdicts(push, environ, report)))
    return 0


def _verdicts(push: Push, environ: Mapping[str, str], report: Report) -> list[Verdict]:
    try:
        with app_here(environ) as app:
            gate = Gate(app.repository)
            verdicts = receive(
                app, push, gate, report, then=lambda verdicts: _note(app, verdicts)
            )
            aftermath = due(app, tidies=any(one.accepted for one in verdicts))
    except KeyboardInterrupt:
        no, hint = "cancelled by a signal", ""
    except GitdeployError as error:
        no, hint = error.message, error.hint
    except OSError as error:
        no, hint = blamed(error), ""
    except Exception as error:  # noqa: BLE001 - git gets its answer all the same
        bug = foreseen(error)
        no, hint = blamed(bug), getattr(bug, "hint", "")
    else:
        begin_aftermath(app, aftermath)
        return verdicts
    say(no, hint)
    return [Verdict(update, "refused", no) for update in push.updates]


def _note(app: App, verdicts: Sequence[Verdict]) -> None:
    """Leave post-receive a note that nothing is left to do, if that is so (`note`).

    Changes: the note; called with the app's lock held. Where it cannot be left,
        post-receive asks the ledger.
    """
    accepted = [verdict.update for verdict in verdicts if verdict.accepted]
    if not all(map(app.ledger.deployments.judged, accepted)):
        return
    lines = (f"{update.old} {update.new} {update.ref}\n" for update in accepted)
    text = note.written("".join(lines).encode("utf-8", "surrogateescape"))
    if accepted and text:
        place = Path(note.place(str(app.layout.repository)))
        files.write_whole(place, text, durable=False)


def _agree(stdin: IO[bytes], stdout: IO[bytes]) -> frozenset[bytes]:
    """Agree on version 1 and on the features both sides have; return those."""
    hello = next(iter(list(read_lines(stdin))), b"")
    version, _, offered = hello.partition(b"\0")
    if version != b"version=1":
        raise SystemFailed(f"git speaks another proc-receive protocol: {version!r}")
    features = frozenset(offered.split()) & frozenset(_WANTED)
    write_lines(stdout, [b"version=1\0" + b" ".join(sorted(features))])
    return features


def _update(line: bytes) -> RefUpdate:
    words = line.split(b" ", 2)
    if len(words) != _WORDS:
        raise SystemFailed(f"git sent {line[:80]!r} instead of an update")
    old, new, ref = map(_text, words)
    return RefUpdate(ref, old, new)


def _answers(
    updates: tuple[RefUpdate, ...], verdicts: list[Verdict]
) -> Iterator[bytes]:
    for update, verdict in zip(updates, verdicts, strict=True):
        ref = update.ref.encode("utf-8", "surrogateescape")
        if verdict.accepted:
            yield b"ok " + ref
            if verdict.update.old != update.old:  # it had moved on while we waited
                yield b"option old-oid " + verdict.update.old.encode()
        else:
            reason = fit(printable(verdict.reason or verdict.word), _REASON)
            yield b"ng " + ref + b" " + reason.encode()


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")
