"""Whether the key that somebody came with still lets them in.

sshd asks once, when a session begins; over a session that stays open, any number of
commands can follow. So each of them asks the file again.
"""

import os
from pathlib import Path

from gitdeploy.deploy.app import App
from gitdeploy.key_lines import Words, roots, standing
from gitdeploy.system import clock

__all__ = ["expires_s", "keys_file", "turned_away"]


def turned_away(app: App) -> str:
    """Return why a key lets nobody in any more, as a sentence; empty: it does.

    Lines of before this was asked do not say which file they stand in. Then it is the
    usual one, if that one lets anybody in here at all.

    Args:
        app: The app, of somebody who came with a key.
    """
    text, key = _text(keys_file(app)), app.key or ""
    root = os.path.realpath(app.layout.root)
    if line := _line(app, text):
        end = line.expires
        is_over = end is not None and clock.seconds_since(end) >= 0
        return f"the key {key} of {app.by} expired {end}" if is_over else ""
    if app.surroundings.keys or root in map(os.path.realpath, roots(text)):
        return f"{app.by} is let in with {key} no more"
    return ""


def expires_s(app: App) -> float | None:
    """Return when a key ends, in seconds since 1970; None: nobody says that it does."""
    line = _line(app, _text(keys_file(app)))
    if line is None or line.expires is None:
        return None
    from datetime import datetime

    return datetime.fromisoformat(line.expires).timestamp()


def keys_file(app: App) -> Path:
    """Return the file that the key came from, or that it usually comes from."""
    around = app.surroundings
    return Path(around.keys or Path(around.home, ".ssh", "authorized_keys"))


def _line(app: App, text: str) -> Words | None:
    """Return the line that lets somebody in to the apps of this root."""
    root = os.path.realpath(app.layout.root)
    for words in standing(text, fingerprint=app.key or "", person=app.by):
        if os.path.realpath(words.argument("--root=")) == root:
            return words
    return None


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8", "surrogateescape")
    except OSError:  # gone, or not ours to read: it lets nobody in
        return ""
