"""A service of one chain, and what of it lies where; only computed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from gitdeploy.config import Command, Service
from gitdeploy.errors import ConfigError
from gitdeploy.model import ChainName

__all__ = ["SLOTS", "Description", "Launch"]

SLOTS: Final = (1, 2)
"""Each generation of a service runs in one of them; mostly only one is taken."""

_LONGEST_SOCKET_PATH: Final = 107  # sun_path, unix(7)


class Description(Struct, frozen=True):
    """One service of one chain of an app, as a supervisor keeps it."""

    app: str
    chain: ChainName
    service: Service
    directory: Path
    """Where everything of it lies, and its own unix socket."""

    @property
    def name(self) -> str:
        """What its files begin with, `prod-web`."""
        return f"{self.chain}-{self.service.name}"

    @property
    def listen(self) -> str:
        """An IP address and a port, or the absolute path of a unix socket.

        Raises:
            ConfigError: The path is longer than the kernel takes.
        """
        address = self.service.listen
        if not address.is_unix:
            return address
        if not address.is_own:
            return str(self.fitting(Path(address)))
        return str(self.fitting(self.directory / f"{self.chain}-{address}"))

    def script(self, slot: int) -> Path:
        """Return what a slot runs."""
        return self.directory / f"{self.name}.{slot}"

    def output(self, slot: int) -> Path:
        """Return where what a slot prints goes."""
        return self.directory / f"{self.name}.{slot}.log"

    def notified(self, slot: int) -> Path:
        """Return the socket by which a slot says that it is ready."""
        return self.fitting(self.directory / f"{self.name}.{slot}.notify")

    def fitting(self, path: Path) -> Path:
        """Return the path of a unix socket as it is.

        Raises:
            ConfigError: It is longer than the kernel takes.
        """
        length = len(str(path).encode())
        if length > _LONGEST_SOCKET_PATH:
            raise ConfigError(
                f"service {self.service.name}: a unix socket's path should have at"
                f" most {_LONGEST_SOCKET_PATH} bytes, got {length}: {path}",
                hint='listen = "/run/shop.sock"  or a shorter root',
            )
        return path


class Launch(Struct, frozen=True):
    """What one generation of a service runs."""

    release: str
    """The release's name."""
    directory: Path
    """The release's own directory, no link in it."""
    command: Command
    environment: Mapping[str, str]
    """All of it but what tells of the socket."""
