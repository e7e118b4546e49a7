"""What nobody foresaw: told in one line, with all of it kept for whoever mends it."""

from typing import Final

from gitdeploy.errors import GitdeployError, SystemFailed

__all__ = ["foreseen", "kept"]

_MOST: Final = 300


def foreseen(error: Exception) -> GitdeployError | OSError:
    """Return an error as one that can be told; of a bug of ours the details are kept.

    Changes: for a bug, a file with the traceback, whose path is the hint.
    """
    if isinstance(error, GitdeployError | OSError):
        return error
    said = " ".join(f"a bug: {type(error).__name__}: {error}".split())
    return SystemFailed(said[:_MOST], hint=f"the details: {kept(error)}")


def kept(error: Exception) -> str:
    """Write a traceback to a file of its own; return its path, or why there is none."""
    import tempfile
    import traceback

    try:
        with tempfile.NamedTemporaryFile(
            "w",
            prefix="gitdeploy-bug-",
            suffix=".log",
            delete=False,
            encoding="utf-8",
            errors="backslashreplace",
        ) as file:
            file.writelines(traceback.format_exception(error))
    except OSError as no:
        return f"none, {no.strerror}"
    return file.name
