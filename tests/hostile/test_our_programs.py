"""Programs of ours never see the pusher: no PATH, no preload, no place of theirs.

Fake programs lie wherever a pusher may write, and whatever names the variables have by
which programs are led astray lead there. Outside of the box each would leave a mark.
"""

import os
import shutil
from pathlib import Path
from typing import Final

import pytest
from support.audited import Started, heard, listen, verb
from support.git import Work

from hostile.scene import HOME, ROOT, Scene

NAMES: Final = (
    *("cp", "du", "env", "git", "gpg", "grep", "install", "perl", "prlimit", "python3"),
    *("setpriv", "sh", "ssh", "ssh-keygen", "systemctl", "true", "bwrap", "rm", "vi"),
)
MARK: Final = HOME / "gitdeploy/www/mark"
"""Where a fake tells that it ran: nothing is there inside of the box."""

PLANT: Final = f"""\
set -e
for place in "$HOME/bin" "$GITDEPLOY_RELEASE_DIR/bin" "$GITDEPLOY_SHARED_DIR/bin"; do
    /bin/mkdir -p "$place"
    for name in {" ".join(NAMES)}; do
        printf '#!/bin/sh\\necho "$0" >>{MARK}\\nexec /usr/bin/%s "$@"\\n' \\
            "$name" >"$place/$name"
        /bin/chmod 755 "$place/$name"
    done
done
printf 'system("echo perl >>{MARK}")' >"$HOME/evil.pl"
printf 'import os; os.system("echo python >>{MARK}")' >"$HOME/sitecustomize.py"
printf 'echo shell >>{MARK}\\n' >"$HOME/evil.sh"
printf '[core]\\n\\tfsmonitor = /bin/touch {MARK}\\n' >"$HOME/.gitconfig"
"""

CACHE: Final = ROOT / "shop/cache"
PATH: Final = f"{CACHE}/bin:{ROOT}/www/shop-dev-1/bin:bin:.:/usr/bin:/bin"
EVIL: Final = {
    "PATH": PATH,
    "HOME": CACHE,
    "TMPDIR": ROOT / "blog",
    "TMP": ROOT / "blog",
    "SHELL": CACHE / "bin/sh",
    "USER": "root",
    "LANG": "../../evil",
    "LC_ALL": "../../evil",
    "LOCPATH": CACHE,
    "GCONV_PATH": CACHE,
    "LD_PRELOAD": CACHE / "evil.so",
    "LD_LIBRARY_PATH": CACHE,
    "LD_AUDIT": CACHE / "evil.so",
    "GLIBC_TUNABLES": "glibc.malloc.check=3",
    "BASH_ENV": CACHE / "evil.sh",
    "ENV": CACHE / "evil.sh",
    "IFS": "/",
    "PYTHONPATH": CACHE,
    "PYTHONSTARTUP": CACHE / "sitecustomize.py",
    "PERL5OPT": f"-I{CACHE} -Mevil",
    "PERL5LIB": CACHE,
    "GREP_OPTIONS": f"-f {CACHE}/evil.sh",
    "GREP_COLORS": "mt=evil",
    "TAR_OPTIONS": "--to-command=evil",
    "SSH_ASKPASS": CACHE / "bin/ssh",
    "SSH_AUTH_SOCK": CACHE / "agent",
    "GNUPGHOME": CACHE,
    "XDG_CONFIG_HOME": CACHE,
    "XDG_RUNTIME_DIR": CACHE,
    "DBUS_SESSION_BUS_ADDRESS": "unix:path=/evil",
    "EDITOR": CACHE / "bin/vi",
    "VISUAL": CACHE / "bin/vi",
    "PAGER": CACHE / "bin/vi",
    "SYSTEMD_PAGER": CACHE / "bin/vi",
    "http_proxy": "http://127.0.0.1:1",
    "BLOCK_SIZE": "1T",
    "DU_BLOCK_SIZE": "1T",
    "POSIXLY_CORRECT": "1",
}
"""All that a pusher may say of the environment; GIT_ and GITDEPLOY_ it may not."""

TABLE: Final = "".join(f'"{name}" = "{value}"\n' for name, value in EVIL.items())

LIMITS: Final = "[limits]\ndisk_bytes = 1_000_000_000\n"
"""So that the quota is looked at."""

DEPS: Final = """
[[build.steps]]
name = "deps"
tool = "grep --version"
run = "mkdir -p out; echo $PWD >out/place; ln -sfn $PWD out/here"
inputs = ["lock"]
outputs = ["out"]
"""

CHECK: Final = """
[[checks]]
name = "it answers"
serve = "echo socket $SOCKET; exec /usr/bin/env -i PORT=$PORT {python} -I serve.py"
url = "/"
within = "20s"
[[checks]]
run = "true"
[[activate]]
run = "git --version"
"""

SERVES: Final = """\
import http.server, os
class Page(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2")
        self.end_headers(); self.wfile.write(b"ok")
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()
"""


OF_OURS: Final = ("bwrap", "git")
"""What is started at least; to copy, to search and to measure, nothing is."""
ALLOWED: Final = {
    *("PATH", "HOME", "LANG", "LC_ALL", "USER", "SHELL", "TMPDIR"),
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_LITERAL_PATHSPECS"),
    *("GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL", "GIT_ATTR_NOSYSTEM"),
    *("GIT_NO_REPLACE_OBJECTS", "GIT_TERMINAL_PROMPT"),
    *("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"),
}


@pytest.fixture(scope="module")
def python() -> str:
    """A Python that is part of the system, for what is served."""
    path = shutil.which("python3", path="/usr/bin")
    if path is None:
        pytest.skip("the system has no Python of its own")
    return path


def planted(scene: Scene) -> Work:
    """Let mallory put programs wherever a step may write; return the clone."""
    scene.machine.run("rm", "-f", MARK)
    work = scene.clone("mallory")
    step = '[[build.steps]]\nname = "plant"\nrun = "sh plant"\n'
    push = scene.push(work, step, plant=PLANT)
    assert push.code == 0, push.output
    for place in (scene.path("shop/cache"), scene.path("shop/shared"), scene.live()):
        assert (place / "bin/grep").exists()
    return work


def unmarked(scene: Scene) -> None:
    """Say nothing if none of those programs ran outside of the box."""
    mark = scene.machine.path(MARK)
    assert not mark.exists(), mark.read_text()


def test_reuse_runs_nothing_of_the_pusher_s(attack: Scene) -> None:
    """It starts no program at all, whatever [build] env says."""
    work = planted(attack)
    with attack.nothing_else_changes():
        for page in ("1", "2"):
            push = attack.push(work, f"[build.env]\n{TABLE}{DEPS}", lock="1", page=page)
            assert push.code == 0, push.output
    assert "reused" in push.output
    assert (attack.live() / "out/place").read_text().startswith(str(ROOT))
    unmarked(attack)


def test_a_check_is_served_where_the_server_says(attack: Scene, python: str) -> None:
    """TMPDIR of a pusher made directories in another app."""
    work = attack.clone("mallory")
    toml = f"[build.env]\n{TABLE}{CHECK.format(python=python)}"
    with attack.nothing_else_changes():
        push = attack.push(work, toml, **{"serve.py": SERVES})
    assert push.code == 0, push.output
    log = attack.gitdeploy("logs", "shop").stdout
    (socket,) = (line for line in log.splitlines() if "socket /" in line)
    assert "socket /tmp/gitdeploy-" in socket


def test_not_even_the_server_s_own_path_leads_to_them(attack: Scene) -> None:
    """Somebody put the app's cache into it, and stands in the release."""
    planted(attack)
    attack.server_toml(LIMITS)
    listen(attack)
    verb(attack, "redeploy", "shop", "dev", path=PATH, cwd=ROOT / "www/shop-dev-1")
    verb(attack, "verify", "shop", path=PATH, cwd=ROOT / "www/shop-dev-1")
    unmarked(attack)
    started = heard(attack)
    assert {Path(one.path).name for one in started} >= {"git"}
    for one in started:
        check_ours(one)


def test_nothing_of_a_pusher_reaches_what_we_start(attack: Scene, python: str) -> None:
    """Each program, at each stage of a release's life: what it is, sees, and where."""
    work = planted(attack)
    attack.server_toml(LIMITS)
    listen(attack)
    toml = f"[build.env]\n{TABLE}{DEPS}{CHECK.format(python=python)}"
    for page in ("1", "2"):
        files = {"lock": "1", "page": page, "serve.py": SERVES}
        push = attack.push(work, toml, **files)
        assert push.code == 0, push.output
    push = attack.release(work, "v1")
    assert push.code == 0, push.output
    for words in (
        ("plan", "shop", "main"),
        ("verify", "shop"),
        ("redeploy", "shop", "prod"),
        ("rollback", "shop", "dev"),
        ("prune", "shop", "--keep", "0"),
        ("doctor", "shop", "--fix"),  # it finds the hooks changed
    ):
        verb(attack, *words, path="/usr/bin:/bin")
    unmarked(attack)
    started = heard(attack)
    assert {Path(one.path).name for one in started} >= {*OF_OURS}
    for one in started:
        check_ours(one)


def check_ours(one: Started) -> None:
    """Say nothing if a program was started with nothing in it of a pusher's."""
    assert one.event in ("subprocess.Popen", "os.exec"), one
    assert os.path.realpath(one.path).startswith("/usr/"), one
    assert one.argv[0] == one.path, one
    poison = [v for v in map(str, EVIL.values()) if len(v) > len("/usr/bin")]
    held = {
        name: value
        for name, value in one.env.items()
        if any(evil in value for evil in poison)
    }
    if one.is_command:
        assert all(name.startswith("GITDEPLOY_") for name in one.env), one
        return  # it begins as bwrap, which takes it from there
    assert not held, one
    assert {*one.env} <= ALLOWED, one
    assert one.cwd in ("/", str(ROOT / "shop.git")), one
    for place in one.env.get("PATH", "/usr/bin").split(os.pathsep):
        assert place.startswith(("/usr/", "/bin", "/sbin")), one
