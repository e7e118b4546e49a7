"""Whether the key that somebody came with still lets them in.

sshd asks once, when a session begins; over a session that stays open, any number of
commands can follow. So each of them asks the file again.
"""

import os
from pathlib import Path

from gitdeploy.deploy.app import App
from gitdeploy.key_lines import roots, standing
from gitdeploy.system import clock

__all__ = ["turned_away"]


def turned_away(app: App) -> str:
    """Return why a key lets nobody in any more, as a sentence; empty: it does.

    Lines of before this was asked do not say which file they stand in. Then it is the
    usual one, if that one lets anybody in here at all.

    Args:
        app: The app, of somebody who came with a key.
    """
    around, root = app.surroundings, os.path.realpath(app.layout.root)
    file = Path(around.keys or Path(around.home, ".ssh", "authorized_keys"))
    text, key = _text(file), app.key or ""
    for words in standing(text, fingerprint=key, person=app.by):
        if os.path.realpath(words.argument("--root=")) == root:
            end = words.expires
            is_over = end is not None and clock.seconds_since(end) >= 0
            return f"the key {key} of {app.by} expired {end}" if is_over else ""
    if around.keys or root in map(os.path.realpath, roots(text)):
        return f"{app.by} is let in with {key} no more"
    return ""


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8", "surrogateescape")
    except OSError:  # gone, or not ours to read: it lets nobody in
        return ""
