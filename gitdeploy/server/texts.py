"""The files that `server install` writes: what stands in them; only computed."""

from pathlib import Path
from typing import Final

__all__ = ["LOGROTATE", "SNIPPET", "UNIT", "is_ours", "logrotate", "snippet", "unit"]

SNIPPET: Final = Path("/etc/ssh/sshd_config.d/gitdeploy.conf")
UNIT: Final = Path("/etc/systemd/system/gitdeploy-repair.service")
LOGROTATE: Final = Path("/etc/logrotate.d/gitdeploy")


def is_ours(text: str, user: str) -> bool:
    """Return whether a file is one that was written for this user before."""
    return text.partition("\n")[0] == _first_line(user)


def snippet(user: str) -> str:
    """Return what sshd shall know of the user.

    Every option may stand in a Match block, and `Match all` ends it: what other files
    say of other users is not touched.

    Source:
        sshd_config(5), "Match".
    """
    return _SNIPPET.format(first=_first_line(user), user=user)


def unit(template: str, user: str, root: Path, program: Path) -> str:
    """Return the unit of contrib for this user, root and program."""
    body = template.partition("\n\n")[2]
    for example, ours in (
        ("/home/deploy/.local/bin/gitdeploy", program),
        ("/home/deploy/gitdeploy", root),
        ("User=deploy", f"User={user}"),
    ):
        body = body.replace(example, str(ours))
    return f"{_first_line(user)}\n\n{body}"


def logrotate(user: str, group: str, root: Path) -> str:
    """Return how the files that grow without bound are rotated."""
    return _LOGROTATE.format(first=_first_line(user), user=user, group=group, root=root)


def _first_line(user: str) -> str:
    return (
        f"# Written by gitdeploy server install for the user {user}: it is made again"
        " where it was changed."
    )


_SNIPPET: Final = """\
{first}

# People come with their keys, for git and some verbs of gitdeploy; nobody else, and
# nothing else.
Match User {user}
    PasswordAuthentication no
    KbdInteractiveAuthentication no
    AllowTcpForwarding no
    AllowAgentForwarding no
    AllowStreamLocalForwarding no
    X11Forwarding no
    PermitTunnel no
    PermitUserRC no
    # git's newer protocol, which costs less; it is checked before it is used.
    AcceptEnv GIT_PROTOCOL
    # A pusher who has gone is noticed within a minute.
    ClientAliveInterval 15
    ClientAliveCountMax 4
    # Of one connection that several pushes share (ControlMaster).
    MaxSessions 32

Match all
"""

_LOGROTATE: Final = """\
{first}

# What services print under systemd. All else that gitdeploy writes has its own bound:
# logs of releases go with their releases, supervisor rotates its own at 10 MB.
{root}/*/run/*.log {{
    su {user} {group}
    size 20M
    rotate 4
    compress
    delaycompress
    missingok
    notifempty
    # The service goes on writing to the file it has open, at its end.
    copytruncate
}}
"""
