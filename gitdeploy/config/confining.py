"""[steps] of server.toml: what the commands of deploy.toml may see and touch."""

from typing import Final, Literal, Self, TypeAlias

from gitdeploy.config.reading import Table
from gitdeploy.config.values import BadValueError, shown

__all__ = ["Confine", "ServerPath", "Steps"]

Confine: TypeAlias = Literal["auto", "require", "off"]

_MOST_BYTES: Final = 1024


class ServerPath(str):
    """A file or directory of the server: absolute, or below the server user's home."""

    __slots__ = ()

    @classmethod
    def read(cls, found: object) -> Self:
        """Return the path, without a slash at its end.

        Raises:
            BadValueError: It is relative, or has parts that lead elsewhere.
        """
        if not isinstance(found, str) or not found.startswith(("/", "~/")):
            should = 'an absolute path, or one below home such as "~/.nvm"'
            raise BadValueError(should, shown(found))
        parts = found.rstrip("/").split("/")[1:]
        if not parts or not all(parts) or {".", ".."} & set(parts):
            raise BadValueError("a path without empty parts, . and ..", shown(found))
        if not found.isprintable() or len(found.encode()) > _MOST_BYTES:
            should = "a path of printable characters, at most 1024 bytes"
            raise BadValueError(should, shown(found))
        return cls(found.rstrip("/"))


class Steps(Table, frozen=True, kw_only=True):
    """[steps]: how the commands of deploy.toml are confined."""

    confine: Confine = "auto"
    """auto: by bubblewrap where it works, else by what the kernel offers without it;
    require: by bubblewrap, or commands are not run; off: not at all. Default auto."""
    network: bool = True
    """Whether confined commands reach the network; default true."""
    readable: tuple[ServerPath, ...] = ()
    """What confined commands may read besides the system; default nothing."""
    writable: tuple[ServerPath, ...] = ()
    """What confined commands may write besides their release; default nothing."""
    strict_inputs: Literal["auto", "on", "off"] = "auto"
    """on: a confined step that states inputs sees nothing else of its release; off:
    it sees all; auto: on where confine is require. Default auto."""
    unconfined: tuple[str, ...] = ()
    """Commands that are not confined, word for word as `run` has them."""

    @property
    def are_strict(self) -> bool:
        """Whether a step shall see no more than it states, where it is confined."""
        if self.strict_inputs == "auto":
            return self.confine == "require"
        return self.strict_inputs == "on"
