"""What a real gitdeploy starts, told by Python itself (PEP 578): nothing is left out.

A hook of a server, or a verb on it, runs with an audit hook that writes down each
program: which, with which environment, and where.
"""

import json
from pathlib import Path
from typing import Final, NamedTuple

from hostile.scene import ROOT, Scene

from support.machine import program

HOOKS: Final = ("proc-receive", "post-receive")

_PLACE: Final = Path("/run/public")
_AUDIT: Final = """\
import json, os, sys
def _write(record, fd=os.open("/run/public/started", os.O_WRONLY | os.O_APPEND)):
    os.write(fd, json.dumps(record, default=os.fsdecode).encode() + b"\\n")
def _heard(event, words):
    if event not in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"):
        return
    frame, callers = sys._getframe(), []
    while frame:
        callers.append(frame.f_code.co_name)
        frame = frame.f_back
    if event == "subprocess.Popen":
        path, argv, cwd, env = words
    else:
        path, argv, env, cwd = words[0], words[1:2], (words[2:] or [None])[0], None
    _write({
        "event": event,
        "path": path,
        "argv": list(argv) if not isinstance(argv, str) else [argv],
        "cwd": os.getcwd() if cwd is None else cwd,
        "env": dict(os.environ if env is None else env),
        "callers": callers,
    })
sys.addaudithook(_heard)
"""
_VERB: Final = """\
import runpy, sys
sys.argv[0] = "gitdeploy"
exec(open("/run/public/audit.py").read())
runpy.run_module("gitdeploy", run_name="__main__")
"""


class Started(NamedTuple):
    """One program that gitdeploy started."""

    event: str
    path: str
    argv: list[str]
    cwd: str
    env: dict[str, str]
    callers: list[str]

    @property
    def is_command(self) -> bool:
        """Whether it is a command of deploy.toml, with what holds it."""
        return "start_command" in self.callers


def listen(scene: Scene) -> None:
    """Let the hooks of shop tell from now on what they start."""
    scene.machine.path(_PLACE / "audit.py").write_text(_AUDIT)
    told = scene.machine.path(_PLACE / "started")
    told.write_text("")
    told.chmod(0o666)
    for name in HOOKS:
        hook = scene.path(f"shop.git/hooks/{name}")
        first, rest = hook.read_text().split("\n", 1)
        audit = f'exec(open("{_PLACE}/audit.py").read())'
        hook.write_text(f"{first}\n{audit}\n{rest}")


def verb(scene: Scene, *words: str, path: str, cwd: Path = ROOT) -> None:
    """Run a verb as the apps' owner, with a PATH and from a place."""
    python = program().parent / "python3"
    who = ["setpriv", "--reuid=deploy", "--regid=deploy", "--init-groups"]
    env = ["env", "-i", f"--chdir={cwd}", f"PATH={path}", "HOME=/home/deploy"]
    done = scene.machine.run(*who, *env, python, "-Ic", _VERB, *words, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def heard(scene: Scene) -> list[Started]:
    """Return all that was started since we listen, in no order."""
    lines = scene.machine.path(_PLACE / "started").read_text().splitlines()
    return [Started(**json.loads(line)) for line in lines]
