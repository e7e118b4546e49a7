"""The app's bare repository: its objects and refs, through git's own plumbing.

Object ids are full, never words; refs move by compare-and-swap only.
"""

from gitdeploy.repository.configuration import Configuration, differing
from gitdeploy.repository.locks import GATE, GitLock
from gitdeploy.repository.objects import DEPLOY_TOML, Entry, Pushed, subject_of
from gitdeploy.repository.refs import Refs, RefsMoved
from gitdeploy.repository.upkeep import Upkeep

__all__ = [
    "DEPLOY_TOML",
    "GATE",
    "Entry",
    "GitLock",
    "Pushed",
    "RefsMoved",
    "Repository",
    "differing",
    "subject_of",
]


class Repository(Refs, Upkeep, Configuration):
    """A bare repository: what it holds, what it is told, what keeps it small."""
