"""What the real hooks of a push import, told by Python itself (-X importtime)."""

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from support import process
from support.git import Push
from support.server import Server

HOOKS = ("proc-receive", "post-receive")
# `import time:   self [us] | cumulative | imported package`, indented by its depth
_LINE = re.compile(r"import time: +\d+ \| +\d+ \|( +)(\S+)")
_HEADER = "imported package"


@dataclass(frozen=True)
class Imports:
    """What one process imported."""

    importer: dict[str, str]
    """Every module, and which other one imported it first."""

    @property
    def ours(self) -> set[str]:
        """The modules of gitdeploy, without that name."""
        return {
            name.removeprefix("gitdeploy.")
            for name in self.importer
            if name.startswith("gitdeploy.")
        }

    @property
    def others(self) -> dict[str, str]:
        """The packages of everybody else, and which module imports each first."""
        found: dict[str, str] = {}
        for name, importer in self.importer.items():
            package = name.partition(".")[0]
            if package != "gitdeploy":
                found.setdefault(package, importer)
        return found


def tell_imports(server: Server) -> None:
    """Let the hooks of the app shop tell the pusher all that they import."""
    for hook in HOOKS:
        place = server.repo() / "hooks" / hook
        place.write_text(place.read_text().replace(" -I\n", " -IXimporttime\n", 1))


def told(push: Push) -> tuple[Imports, ...]:
    """Return what each hook of a push imported, one after the other."""
    hooks: list[list[str]] = []
    for line in push.remote_lines:
        if line.endswith(_HEADER):
            hooks.append([])
        elif hooks:
            hooks[-1].append(line)
    return tuple(_imports(lines) for lines in hooks)


def closure(modules: Iterable[str]) -> set[str]:
    """Return all packages that this Python imports for some modules, and by itself."""
    words = f"import {', '.join(modules)}"
    said = process.run(sys.executable, "-IXimporttime", "-c", words).stderr
    return {*_imports(said.splitlines()).others, *sys.builtin_module_names}


def _imports(lines: Iterable[str]) -> Imports:
    """Return what the lines tell: what is imported stands before who imports it."""
    matches = [match for line in lines if (match := _LINE.match(line))]
    importer: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for match in reversed(matches):
        depth, name = len(match[1]), match[2]
        while above and above[-1][0] >= depth:
            above.pop()
        importer[name] = above[-1][1] if above else "the hook"
        above.append((depth, name))
    return Imports(importer)
