"""The files in contrib are what their page says."""

import shutil
import sys
from configparser import ConfigParser
from pathlib import Path

from support import process

from gitdeploy.cli.main import VERBS

CONTRIB = Path(__file__).resolve().parent.parent / "contrib"
UNIT = CONTRIB / "gitdeploy-repair.service"


def test_every_file_stands_on_the_page() -> None:
    """Nothing lies there that nobody explains."""
    page = (CONTRIB / "README.md").read_text()
    for file in CONTRIB.iterdir():
        assert file.name == "README.md" or file.name in page


def test_the_unit_starts_a_verb_that_exists_as_nobody_privileged() -> None:
    """For all apps, after the disks are there, and never in the way of sshd."""
    unit = _unit()
    program, *words = unit["Service"]["ExecStart"].split()
    assert Path(program).name == "gitdeploy"
    assert words == ["repair", "--no-deploy"]
    assert "repair" in VERBS["Keep"]
    assert unit["Service"]["User"] == "deploy"
    assert unit["Service"]["Type"] == "oneshot"
    assert "local-fs.target" in unit["Unit"]["After"]
    assert "nginx.service" in unit["Unit"]["Before"]
    assert "ssh" not in unit["Unit"]["Before"]
    root = unit["Service"]["Environment"].removeprefix("GITDEPLOY_ROOT=")
    assert unit["Unit"]["RequiresMountsFor"] == root


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    """Where there is a systemd to ask; its program is one that this machine has."""
    program = shutil.which("systemd-analyze")
    if program is None:
        return
    copy = tmp_path / UNIT.name
    installed = _unit()["Service"]["ExecStart"].split()[0]
    copy.write_text(UNIT.read_text().replace(installed, sys.executable))
    done = process.run(program, "verify", "--man=no", copy, check=False)
    said = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert said == []


def _unit() -> ConfigParser:
    unit = ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT.read_text())
    return unit
