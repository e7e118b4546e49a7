"""server.toml: what the server decides about an app and no pusher can change."""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, field

from gitdeploy.config.access import Access
from gitdeploy.config.confining import Steps
from gitdeploy.config.linking import Links
from gitdeploy.config.notify import Notify
from gitdeploy.config.places import Asking, Listening, Reach
from gitdeploy.config.reading import Table, read
from gitdeploy.config.refs import RefBounds
from gitdeploy.config.shared import Apart
from gitdeploy.config.sharing import Sharing
from gitdeploy.config.signed import Signed
from gitdeploy.config.values import Seconds, Size
from gitdeploy.config.windows import Windows

__all__ = ["Limits", "ServerConfig", "Submodules", "parse_server"]

_Count: TypeAlias = Annotated[int, Meta(ge=1, le=2**31 - 1)]
_Protocol: TypeAlias = Literal["https", "ssh", "file"]


class Limits(Table, frozen=True, kw_only=True):
    """[limits]: what one push, its release and its commands may take at most.

    What can be known before one byte is checked out is refused before.
    """

    entries: _Count = 200_000
    """Files, links and folders of one release, at least 1; default 200000."""
    depth: Annotated[int, Meta(ge=1, le=1024)] = 64
    """Folders within folders, 1 to 1024; default 64."""
    name_bytes: Annotated[int, Meta(ge=1, le=255)] = 255
    """Bytes of one name, 1 to 255; default 255, what Linux file systems allow."""
    path_bytes: Annotated[int, Meta(ge=1, le=4096)] = 1024
    """Bytes of a path below the release, 1 to 4096; default 1024."""
    file_bytes: Size = Size(2 * 2**30)
    """Bytes of one file; a size such as "512MiB" or a number; default 2GiB."""
    total_bytes: Size = Size(20 * 2**30)
    """Bytes of all files of one release together; default 20GiB."""
    links: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 10_000
    """Symbolic links of one release, 0 allows none; default 10000."""
    refs: _Count = 200
    """Refs that one push may update, at least 1; default 200."""
    log_bytes: Size = Size(16 * 2**20)
    """Bytes kept of what the steps of one release print; default 16MiB."""
    pack_bytes: Size = Size(2 * 2**30)
    """Bytes that one push may send, packed; default 2GiB."""
    disk_bytes: Size | None = None
    """Bytes of the disk that the app may take, all in all; default: no limit."""
    disk_files: _Count | None = None
    """Files, links and directories that the app may have, all in all; default: no
    limit."""
    tmp_bytes: Size = Size(8 * 2**30)
    """Bytes of the disk that one confined command may have in /tmp; default 8GiB."""
    steps_time_s: Seconds = field(name="steps_time", default=Seconds(24 * 3600))
    """Seconds that all commands of one stage may take together; default 24h."""
    cpu_time_s: Seconds | None = field(name="cpu_time", default=None)
    """Seconds of processor time of one command, all its processes; default: no
    limit but that of its time."""
    memory_bytes: Size | None = None
    """Bytes of memory of one command, all its processes; default: no limit."""
    processes: Annotated[int, Meta(ge=1, le=2**22)] = 4096
    """Processes and threads of one command at a time; default 4096."""
    health_time_s: Seconds = field(name="health_time", default=Seconds(300))
    """Seconds that health, a check or a service may be waited for; default 5m."""
    watch_time_s: Seconds = field(name="watch_time", default=Seconds(3600))
    """Seconds for which health may be watched after the verdict; default 1h."""


class Submodules(Table, frozen=True, kw_only=True):
    """[submodules]: where submodules may come from."""

    protocols: tuple[_Protocol, ...] = ("https", "ssh")
    """Of https, ssh and file; empty: none may be fetched. Default https and ssh."""
    ssh_key: bool = False
    """Whether the server's own ssh key is offered where a commit says that its
    submodules come from; default no."""


class ServerConfig(Table, frozen=True, kw_only=True):
    """server.toml as a whole."""

    limits: Limits = Limits()
    """What is too large to be deployed."""
    steps: Steps = Steps()
    """How the commands of deploy.toml are confined."""
    shared: Apart = Apart()
    """What dev and prod share, at most."""
    sharing: Sharing = Sharing()
    """Whether releases whose commands could write may have the same files."""
    links: Links = Links()
    """Where the links of a release may lead."""
    submodules: Submodules = Submodules()
    """Where submodules may come from."""
    notify: Notify = Notify()
    """Who is told what became of a deployment."""
    health: Asking = Asking()
    """Where health may ask."""
    services: Listening = Listening()
    """Where services may listen."""
    refs: RefBounds = RefBounds()
    """How far deploy.toml may say which refs deploy."""
    windows: Windows = Windows()
    """When pushes may move a chain."""
    signed: Signed = Signed()
    """What has to be signed, and by whom."""
    access: Access = Access()
    """Who may do what with this app, beside what access.toml grants."""

    @property
    def reach(self) -> Reach:
        """Where questions may go on a pusher's behalf."""
        return Reach(self.health.hosts, only_listed=not self.steps.network)

    @property
    def restrains_commands(self) -> bool:
        """Whether there may be commands that are not run at all."""
        return self.steps.confine == "require"


def parse_server(data: bytes, *, where: str) -> ServerConfig:
    """Return what a server.toml says; what it leaves out has its default.

    Args:
        data: The whole file; empty where there is none.
        where: What the file is called in errors, its path.

    Raises:
        ConfigError: It is not a server.toml; the message names the key path.
    """
    return read(data, ServerConfig, where=where)
