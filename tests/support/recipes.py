"""The pages of docs/recipes, done as they say: files, servers, commands, claims."""

import getpass
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from support import process
from support.nginx import wait_for
from support.php import php_fpm
from support.sshd import free_port
from support.tools import cannot, needs

SOURCE = Path(__file__).resolve().parents[2]
PAGES = SOURCE / "docs" / "recipes"
PACKAGES = SOURCE / ".venv" / "packages"
BLOCK = re.compile(
    r"(?:^`([^`\n]+)`:\n\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
CLAIM = re.compile(r"[Nn]ow <(http://[^>]+)>\ssays\s`([^`]+)`")
PARTS = re.compile(f"{BLOCK.pattern}|{CLAIM.pattern}", re.MULTILINE | re.DOTALL)
NGINX = """
daemon off;
worker_processes 1;
pid {here}/nginx.pid;
error_log {here}/error.log;
events {{}}
http {{
    access_log off;
    default_type text/html;
    client_body_temp_path {here}/body;
    proxy_temp_path {here}/proxy;
    fastcgi_temp_path {here}/fastcgi;
    uwsgi_temp_path {here}/uwsgi;
    scgi_temp_path {here}/scgi;
    {servers}
}}
"""


@dataclass(frozen=True)
class Block:
    """A block of a page: a file if it has a name, else commands or a snippet."""

    name: str
    language: str
    text: str


@dataclass(frozen=True)
class Claim:
    """What a page says of an address."""

    url: str
    says: str


def parts(page: str) -> Iterator[Block | Claim]:
    """Return what a page of docs/recipes has to be done and seen, in its order."""
    for found in PARTS.finditer((PAGES / page).read_text()):
        name, language, text, url, says = found.groups()
        yield Claim(url, says) if url else Block(name or "", language, text)


class Machine:
    """A machine as the pages describe it, at another home and another port."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.work = home / "work" / "shop"
        self.patience_s = 0.0
        self._running = ExitStack()
        self._env = {"HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / ".gitconfig")}
        self._prepare()

    def follow(
        self,
        page: str,
        *,
        edit: Callable[[str], str] = str,
        at_each: Callable[[Claim], None] = lambda _: None,
    ) -> list[str]:
        """Do what a page says; return what its commands printed.

        Args:
            page: Its file's name.
            edit: Changes what servers are told.
            at_each: Called where an address says what the page says that it does.
        """
        steps = list(parts(page))
        servers = "".join(s.text for s in steps if _is(s, "nginx"))
        said = []
        for step in steps:
            if isinstance(step, Claim):
                answer = self._answer(step)
                assert step.says in answer, (step, answer, said)
                at_each(step)
            elif step.name.startswith("/"):
                self._pool(edit(step.text))
            elif step.name:
                self._write(step)
            elif step.language == "sh":
                if servers:
                    self.nginx(edit(servers))
                    servers = ""
                said.append(self.run(self.here(step.text)))
        return said

    def _answer(self, claim: Claim) -> str:
        """Return what an address says; an earlier service may still say the last."""
        end = time.monotonic() + self.patience_s
        while claim.says not in (answer := self.get(claim.url)):
            if time.monotonic() > end:
                break
            time.sleep(0.05)
        return answer

    def run(self, commands: str) -> str:
        """Run commands of a page where its app lies; return what they printed."""
        done = process.run(
            "sh",
            "-euc",
            f"exec 2>&1\n{commands}",
            cwd=self.work,
            env=self._env,
            check=False,
            timeout_s=120,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}"
        return done.stdout

    def get(self, url: str) -> str:
        """Return what an address of a page says; errors are answers, too."""
        there = urlsplit(url)
        here = f"http://127.0.0.1:{self.port}{there.path}"
        asked = urllib.request.Request(here, headers={"Host": there.netloc})
        try:
            with urllib.request.urlopen(asked, timeout=20) as answer:  # noqa: S310 - ours
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return f"{error.code}: {error.read().decode()}"

    def nginx(self, servers: str) -> None:
        """Serve what a page's snippet says, until the end of the test."""
        here = self.home / "nginx"
        here.mkdir()
        for params in ("fastcgi_params", "proxy_params"):
            found = Path("/etc/nginx", params)
            if found.exists():
                (here / params).write_text(found.read_text())
        config = here / "nginx.conf"
        text = NGINX.format(here=here, servers=self.here(servers))
        user = "user root;\n" if os.geteuid() == 0 else ""
        config.write_text(user + text)
        words = (needs("nginx"), "-e", str(here / "error.log"), "-c", str(config))
        self._running.enter_context(process.started(*words))
        wait_for(self.port)

    def here(self, text: str) -> str:
        """Return a page's text with this machine's paths, account and port."""
        user = getpass.getuser()
        for there, here in (
            ("/home/deploy", str(self.home)),
            ("/run/php", str(self.home)),
            ("127.0.0.1:80/", f"127.0.0.1:{self.port}/"),
            ("listen 80;", f"listen 127.0.0.1:{self.port};"),
            ("= deploy\n", f"= {user}\n"),
            ("= www-data\n", f"= {user}\n"),
        ):
            text = text.replace(there, here)
        return text

    @contextmanager
    def services(self, app: str) -> Iterator[None]:
        """Take away at the end of the body what `gitdeploy service install` made."""
        self.patience_s = 5.0
        try:
            yield
        finally:
            self.run(f"gitdeploy service uninstall {app}")

    def stop(self) -> None:
        """Stop all that was started."""
        self._running.close()

    def _write(self, block: Block) -> None:
        file = self.work / block.name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.here(block.text))
        if block.text.startswith("#!"):
            file.chmod(0o755)

    def _pool(self, pool: str) -> None:
        """Run PHP-FPM with a page's pool, until the end of the test."""
        config = self.home / "php-fpm.conf"
        log = self.home / "php-fpm.log"
        config.write_text(
            f"[global]\ndaemonize = no\nerror_log = {log}\n{self.here(pool)}"
        )
        as_root = ["--allow-to-run-as-root"] if os.geteuid() == 0 else []
        words = [php_fpm(), "--fpm-config", str(config), *as_root]
        self._running.enter_context(process.started(*words))

    def _prepare(self) -> None:
        """Make a home that knows git's remote and where packages come from."""
        programs = self.home / "bin"
        for directory in (self.work, programs):
            directory.mkdir(parents=True)
        python = Path(sys.executable)
        (programs / "python3").symlink_to(python.resolve())
        (programs / "gitdeploy").symlink_to(python.parent / "gitdeploy")
        self._env["PATH"] = f"{programs}:{os.environ['PATH']}"
        for home in (self.home, self._confined(programs)):
            (home / ".config/pip").mkdir(parents=True, exist_ok=True)
            (home / ".config/pip/pip.conf").write_text(
                f"[global]\nno-index = true\nfind-links = {PACKAGES}/wheels\n"
                "disable-pip-version-check = true\n"
            )
            (home / ".npmrc").write_text(
                f"cache={PACKAGES}/npm\noffline=true\nupdate-notifier=false\n"
            )
        self.run(
            "git config --global init.defaultBranch main\n"
            f'git config --global url."{self.home}/".insteadOf deploy@example.org:\n'
            "git init --quiet"
        )

    def _confined(self, programs: Path) -> Path:
        """Let confined steps see those packages; return what HOME is for them."""
        shop = self.home / "gitdeploy/shop"
        (shop / "cache").mkdir(parents=True, mode=0o700)
        seen = [str(path) for path in (PACKAGES, programs, sys.base_prefix)]
        writable = [f"{PACKAGES}/npm"]
        (shop / "server.toml").write_text(
            f"[steps]\nreadable = {json.dumps(seen)}\n"
            f"writable = {json.dumps(writable)}\n"
        )
        return shop / "cache"


@contextmanager
def machine(home: Path) -> Iterator[Machine]:
    """A machine to follow pages on; what runs on it ends with the body."""
    home.mkdir(mode=0o755, exist_ok=True)
    running = Machine(home)
    try:
        yield running
    finally:
        running.stop()


def needs_wheels() -> None:
    """Leave the test out where no wheels are there for the recipes."""
    if not list(PACKAGES.glob("wheels/*.whl")):
        cannot("the recipes' wheels are missing; `make test` fetches them")


def _is(step: Block | Claim, language: str) -> bool:
    return isinstance(step, Block) and step.language == language
