"""Services kept by systemd: its units, what it is told in which order, the socket.

No test has a systemd to talk to: a program that remembers plays systemctl, and the
units are read by systemd's own tools.
"""

import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from support import process
from support.services import ask, gunicorn, until
from support.sshd import free_port
from support.tools import found, needs

from gitdeploy.config import Config, parse
from gitdeploy.services import (
    Description,
    Launch,
    NotReady,
    Systemd,
    bring_up,
    systemd_runs,
)
from gitdeploy.services.script import write_script
from gitdeploy.system.surroundings import Surroundings

PLAYED = """#!{python}
import json, pathlib, sys, time
words = [word for word in sys.argv[1:] if word not in ("--user", "--no-pager")]
here = pathlib.Path("{here}")
(here / "told").open("a").write(json.dumps(words) + "\\n")
path = here / "states.json"
states = json.loads(path.read_text()) if path.exists() else {{}}
verb, units = words[0], [w for w in words[1:] if not w.startswith("-")]
for unit in units:
    if verb == "start" or "--now" in words:
        states[unit] = "failed" if (here / "fails").exists() else "active"
    elif verb == "stop":
        states[unit] = "inactive"
    elif verb == "show":
        print("ActiveState=" + states.get(unit, "inactive"))
        print("SubState=running")
        print("MainPID=42")
        print("ActiveEnterTimestampMonotonic=0")
path.write_text(json.dumps(states))
"""

TOML = """
[[services]]
name = "web"
run = "gunicorn app:app"
listen = "web.sock"
ready_after = "1s"
within = "2s"
stop_timeout = "20s"
"""


class Played:
    """A systemd that is played, and one service that it keeps."""

    def __init__(self, place: Path, toml: str = TOML) -> None:
        self.place = place
        self.home = place / "home"
        program = place / "bin/systemctl"
        program.parent.mkdir()
        program.write_text(PLAYED.format(python=sys.executable, here=place))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        path = f"{program.parent}:{os.environ['PATH']}"
        self.env = Surroundings(
            path, str(self.home), "C", "ada", "/bin/sh", str(place)
        ).environment()
        config: Config = parse(toml.encode(), where="deploy.toml")
        (service,) = config.services_for("prod")
        self.description = Description("shop", "prod", service, place / "run")
        self.keeper = Systemd(self.description, self.env)

    def told(self) -> list[str]:
        """Return what systemctl was told, but not what it was asked."""
        lines = (self.place / "told").read_text().splitlines()
        words = [json.loads(line) for line in lines]
        return [" ".join(w) for w in words if not w[0].startswith("show")]

    def forget(self) -> None:
        """Let `told` begin anew."""
        (self.place / "told").unlink(missing_ok=True)

    def launch(self, release: str) -> Launch:
        """Return a generation."""
        return Launch(release, self.place, ("true",), {"A": "b"})


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    """Played for an ordinary user, whoever tests."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return Played(tmp_path)


def test_the_units_are_these(played: Played) -> None:
    """The socket outlives both slots, and triggers neither of them."""
    assert played.keeper.install()
    units = played.home / ".config/systemd/user"
    assert sorted(path.name for path in units.iterdir()) == [
        "gitdeploy-shop-prod-web-1.service",
        "gitdeploy-shop-prod-web-2.service",
        "gitdeploy-shop-prod-web.service",
        "gitdeploy-shop-prod-web.socket",
    ]
    socket = (units / "gitdeploy-shop-prod-web.socket").read_text().splitlines()
    assert f"ListenStream={played.place}/run/prod-web.sock" in socket
    assert "Service=gitdeploy-shop-prod-web.service" in socket
    slot = (units / "gitdeploy-shop-prod-web-2.service").read_text().splitlines()
    assert {
        "Sockets=gitdeploy-shop-prod-web.socket",
        f'ExecStart=/bin/sh "{played.place}/run/prod-web.2"',
        "KillMode=mixed",
        "TimeoutStopSec=20",
    } <= {*slot}
    assert not played.keeper.install()
    assert (played.keeper.installed, played.keeper.as_described) == (True, True)


def test_systemd_s_own_tool_finds_nothing_wrong(played: Played) -> None:
    """Every key and value is one that it knows."""
    played.keeper.install()
    units = sorted((played.home / ".config/systemd/user").iterdir())
    words = [needs("systemd-analyze"), "verify", "--man=no", *units]
    env = {"SYSTEMD_UNIT_PATH": f"{units[0].parent}:", "SYSTEMD_LOG_LEVEL": "warning"}
    said: CompletedProcess[str] = process.run(*words, env=env, check=False)
    assert [line for line in said.stderr.splitlines() if "gitdeploy-" in line] == []
    wrong = units[0].read_text().replace("Sockets=", "Sokets=")  # the control
    units[0].write_text(wrong)
    said = process.run(*words, env=env, check=False)
    assert "Sokets" in said.stderr


def test_the_new_one_is_started_and_ready_before_the_old_one_is_stopped(
    played: Played,
) -> None:
    """And the one that runs is the one that starts when the machine does."""
    played.keeper.install()
    assert bring_up(played.keeper, played.description, played.launch("1-a"))
    played.forget()
    assert bring_up(played.keeper, played.description, played.launch("2-b"))
    unit = "gitdeploy-shop-prod-web-{}.service"
    assert played.told() == [
        f"reset-failed {unit.format('*')}",
        f"enable {unit.format(2)}",
        f"start --no-block {unit.format(2)}",
        f"disable {unit.format(1)}",
        f"stop --no-block {unit.format(1)}",
    ]
    played.forget()
    assert not bring_up(played.keeper, played.description, played.launch("2-b"))
    assert not (played.place / "told").exists() or played.told() == []


def test_one_that_fails_leaves_the_old_one_alone(played: Played) -> None:
    """Only what was just started is told to stop."""
    played.keeper.install()
    bring_up(played.keeper, played.description, played.launch("1-a"))
    (played.place / "fails").touch()
    played.forget()
    with pytest.raises(NotReady, match="it ended after"):
        bring_up(played.keeper, played.description, played.launch("2-b"))
    assert not any("web-1" in line for line in played.told())
    assert played.told()[-1] == "stop --no-block gitdeploy-shop-prod-web-2.service"


def test_a_changed_address_gets_a_new_socket(played: Played, tmp_path: Path) -> None:
    """All of it is stopped first: systemd keeps the old address otherwise."""
    played.keeper.install()
    (tmp_path / "again").mkdir()
    toml = f"{TOML.replace('web.sock', '127.0.0.1:8000')}[chains.dev]\nservices = []\n"
    config = parse(toml.encode(), where="deploy.toml")
    (service,) = config.services_for("prod")
    changed = Description("shop", "prod", service, played.description.directory)
    keeper = Systemd(changed, played.env)
    assert not keeper.listens_as_described
    played.forget()
    assert keeper.install()
    names = ("-1.service", "-2.service", ".service", ".socket")
    units = " ".join(f"gitdeploy-shop-prod-web{name}" for name in names)
    assert played.told()[0] == f"stop {units}"
    assert keeper.listens_as_described


def test_uninstalled_nothing_is_left(played: Played) -> None:
    """Neither units nor scripts."""
    played.keeper.install()
    played.keeper.uninstall()
    assert list((played.home / ".config/systemd/user").iterdir()) == []
    left = [path for path in (played.place / "run").iterdir() if path.suffix != ".log"]
    assert left == []  # what it printed stays
    assert not played.keeper.installed


def test_there_is_a_systemd_only_where_it_answers(played: Played) -> None:
    """One that did not start the machine, or refuses us, is none."""
    assert systemd_runs(played.env, booted=played.place)
    assert not systemd_runs(played.env, booted=played.place / "nowhere")
    (played.place / "bin/systemctl").write_text("#!/bin/sh\nexit 1\n")
    assert not systemd_runs(played.env, booted=played.place)


def test_a_slot_s_script_serves_from_the_socket_that_systemd_hands_over(
    tmp_path: Path,
) -> None:
    """The real protocol, by systemd's own tool for it, and a real gunicorn."""
    tool = needs("systemd-socket-activate")
    files, run = gunicorn()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    config = parse(TOML.encode(), where="deploy.toml")
    (service,) = config.services_for("prod")
    description = Description("shop", "prod", service, tmp_path)
    environment = {"PATH": os.environ["PATH"], "GITDEPLOY_RELEASE": "7-by-systemd"}
    launch = Launch("7-by-systemd", tmp_path, tuple(run), environment)
    write_script(description, 1, launch)
    address = f"127.0.0.1:{free_port()}"
    shell = found("sh")
    assert shell
    with process.started(tool, "-l", address, shell, description.script(1)):

        def answers() -> bool:
            try:
                return ask(address) == "7-by-systemd"
            except OSError:
                return False

        until(answers, "gunicorn answers")
