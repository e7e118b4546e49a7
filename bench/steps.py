"""What a push costs where each release needs its dependencies installed."""

import json
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path

from measure import BenchError, Sample, Unavailable, run
from pushes import Contest, push, servers
from results import Row
from rivals import KEEP, KEPT, GitDeploy, HandWritten, Rival, Server
from session import Route, Session, directory, turns
from sites import Site, make_site

FILES = 2_000
CASES = {
    "first": "first push",
    "same": "lock file unchanged",
    "lock": "lock file changed",
}


class Tool(ABC):
    """A package manager that a project is given a lock file for, and installed by."""

    name: str
    command: str
    inputs: tuple[str, ...]
    output: str
    proof: str
    """A path that is there when the command has done its work."""

    @abstractmethod
    def project(self, scratch: Path, env: Mapping[str, str]) -> dict[str, bytes]:
        """Return the project's files, its lock file made just now.

        Raises:
            BenchError: the registry cannot be reached, or the tool does not work.
        """

    @abstractmethod
    def changed(self, project: Mapping[str, bytes], number: int) -> dict[str, bytes]:
        """Return the files with a lock file that is different each time."""


class Npm(Tool):
    """A small web application with its bundler and its linter."""

    name = "npm ci"
    command = "npm ci --no-audit --no-fund"
    inputs = ("package.json", "package-lock.json")
    output = "node_modules"
    proof = "node_modules/express/package.json"
    wanted = ("express", "eslint", "webpack", "mocha", "@babel/preset-env")

    def project(self, scratch: Path, env: Mapping[str, str]) -> dict[str, bytes]:
        """Return package.json and package-lock.json."""
        manifest = {"name": "shop", "version": "1.0.0", "private": True}
        (scratch / "package.json").write_text(json.dumps(manifest))
        lock = ["npm", "install", "--package-lock-only", "--no-audit", "--no-fund"]
        run([*lock, *self.wanted], env, cwd=scratch)
        return {name: (scratch / name).read_bytes() for name in self.inputs}

    def changed(self, project: Mapping[str, bytes], number: int) -> dict[str, bytes]:
        """Return the same dependencies for another version of the project."""
        parsed = {name: json.loads(text) for name, text in project.items()}
        for manifest in parsed.values():
            manifest["version"] = f"1.0.{number}"
        parsed["package-lock.json"]["packages"][""]["version"] = f"1.0.{number}"
        return {name: json.dumps(text).encode() for name, text in parsed.items()}


class Pip(Tool):
    """A middling Python web application in a virtual environment."""

    name = "pip install"
    command = "python3 -m venv .venv && .venv/bin/pip install -q -r requirements.txt"
    inputs = ("requirements.txt",)
    output = ".venv"
    proof = ".venv/bin/django-admin"
    wanted = (
        "django",
        "djangorestframework",
        "sqlalchemy",
        "requests",
        "celery",
        "pillow",
    )

    def project(self, scratch: Path, env: Mapping[str, str]) -> dict[str, bytes]:
        """Return requirements.txt with every package pinned."""
        loose = "".join(f"{name}\n" for name in self.wanted)
        (scratch / "requirements.txt").write_text(loose)
        run(["sh", "-c", self.command], env, cwd=scratch)
        pinned = run([".venv/bin/pip", "freeze"], env, cwd=scratch)
        return {"requirements.txt": f"{pinned}\n".encode()}

    def changed(self, project: Mapping[str, bytes], number: int) -> dict[str, bytes]:
        """Return the same packages after a remark."""
        remark = f"# {number}\n".encode()
        return {name: remark + text for name, text in project.items()}


TOOLS: dict[str, Tool] = {"npm": Npm(), "pip": Pip()}
REUSES = ("copy", "share")
"""How an earlier release's outputs are taken: the default first."""
PROGRAMS = {"npm": "npm", "pip": "python3"}


def step_rows(session: Session, route: Route, name: str, reuse: str) -> Iterator[Row]:
    """Yield the rows of one tool, its outputs reused in that way.

    Raises:
        Unavailable: it is not installed, or its registry cannot be reached.
    """
    tool = TOOLS[name]
    if not shutil.which(PROGRAMS[name]):
        raise Unavailable(f"no {PROGRAMS[name]} on this machine")
    with directory(session.home, f"{name}-step") as here:
        session.progress.say(f"{tool.name}: making a lock file")
        project = _project(tool, here, session.env)
        rivals = _rivals(tool)
        others = _files(tool, project, reuse)
        site = make_site(here / "work.git", FILES, session.env, others)
        contest = Contest(session, site, route, rivals)
        for case, samples in _measured(contest, tool, project).items():
            yield Row("steps", route.name, FILES, f"{name}-{reuse}-{case}", samples)


def _rivals(tool: Tool) -> dict[str, Rival]:
    return {"gitdeploy": GitDeploy(), "hook": HandWritten(step=tool.command)}


def _files(tool: Tool, project: Mapping[str, bytes], reuse: str) -> dict[str, bytes]:
    step = {
        "name": "dependencies",
        "run": tool.command,
        "inputs": list(tool.inputs),
        "outputs": [tool.output],
        "reuse": reuse,
    }
    lines = (f"{key} = {json.dumps(value)}\n" for key, value in step.items())
    text = f"{KEEP}\n[[build.steps]]\n{''.join(lines)}"
    return {
        **project,
        "deploy.toml": text.encode(),
        ".gitignore": b"/*modules\n/.venv\n",
    }


def _project(tool: Tool, here: Path, env: Mapping[str, str]) -> dict[str, bytes]:
    scratch = here / "scratch"
    scratch.mkdir()
    try:
        project = tool.project(scratch, env)
        run(["sh", "-c", tool.command], env, cwd=scratch)
    except BenchError as error:
        print(error, file=sys.stderr)
        raise Unavailable(f"{tool.name} does not work here") from error
    return project


def _measured(
    contest: Contest, tool: Tool, project: Mapping[str, bytes]
) -> dict[str, dict[str, list[Sample]]]:
    samples: dict[str, dict[str, list[Sample]]] = {
        case: {rival: [] for rival in (*contest.rivals, "alone")} for case in CASES
    }
    site, runs = contest.site, contest.session.runs
    with servers(contest) as lasting:
        _push_all(contest, tool, lasting, 0)  # fills the tool's cache
        for number in range(runs):
            contest.say(f"{tool.name}: first push, run {number + 1} of {runs}")
            with servers(contest) as fresh:
                _collect(samples["first"], _push_all(contest, tool, fresh, number))
        for _ in range(KEPT):
            site.edit(1)
            _push_all(contest, tool, lasting, 0)
        for number in range(runs):
            contest.say(f"{tool.name}: other pushes, run {number + 1} of {runs}")
            site.edit(1)
            _collect(samples["same"], _push_all(contest, tool, lasting, number))
            site.commit("Another lock file", (), tool.changed(project, number + 1))
            _collect(samples["lock"], _push_all(contest, tool, lasting, number))
            samples["lock"]["alone"].append(_alone(contest, tool, site))
    return samples


def _push_all(
    contest: Contest, tool: Tool, to: dict[str, Server], number: int
) -> dict[str, Sample]:
    found = {}
    for rival in turns(list(contest.rivals), number):
        found[rival] = push(contest, to[rival], "main", thorough=True)
        shown = to[rival].branch_shows
        if shown is None or not (shown / tool.proof).exists():
            raise BenchError(f"{rival}: {tool.proof} is not there")
    return found


def _collect(into: dict[str, list[Sample]], found: dict[str, Sample]) -> None:
    for rival, sample in found.items():
        into[rival].append(sample)


def _alone(contest: Contest, tool: Tool, site: Site) -> Sample:
    """Return what the command itself costs in a directory with the same files."""
    with directory(contest.home, "alone") as here:
        for name in tool.inputs:
            (here / name).write_text(site.git("show", f"main:{name}") + "\n")
        command = f'cd "{here}" && {tool.command}'
        return contest.session.timed(["sh", "-c", command], contest.session.env)
