"""[links] of server.toml: where the links of a release may lead."""

from gitdeploy.config.confining import ServerPath
from gitdeploy.config.reading import Table

__all__ = ["Links"]


class Links(Table, frozen=True, kw_only=True):
    """[links]: a web server follows what steps have left."""

    allowed: tuple[ServerPath, ...] = ()
    """Where links of a release may lead besides the release, its shared paths, the
    system's own directories and what `[steps] readable` names; default nowhere."""
