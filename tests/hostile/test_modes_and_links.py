"""Only the owner looks in: modes, owners, links out of a release, planted links."""

import os
import re
import shlex
import stat
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from support import process
from support.git import Work
from support.nginx import wait_for
from support.sshd import free_port
from support.tools import needs

from gitdeploy.modes import in_home
from hostile.scene import CANARY, REQUIRE, ROOT, Scene

README: Final = (Path(__file__).parents[2] / "README.md").read_text()
NGINX: Final = """
daemon off;
user www-data;
worker_processes 1;
pid /run/web/pid;
error_log /run/web/log;
events {{}}
http {{
    access_log off;
    client_body_temp_path /run/web/body;
    proxy_temp_path /run/web/proxy;
    fastcgi_temp_path /run/web/fastcgi;
    uwsgi_temp_path /run/web/uwsgi;
    scgi_temp_path /run/web/scgi;
    {server}
}}
"""
SHARED: Final = '[shared]\nfiles = [".env"]\ndirs = ["public/uploads"]\n'
LINK: Final = "mkdir -p public; ln -s ../../../../blog.git public/b.git"
NOBODY: Final = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def run(script: str, table: str = "build.steps") -> str:
    return f"[[{table}]]\nname = 'evil'\nrun = '''{script}'''\n"


# --- links --------------------------------------------------------------------------

OUT: Final = {
    "another app's repository": run(LINK),
    "by its absolute path": run(f"ln -s {ROOT}/blog.git b"),
    "the app's own secrets": run("ln -s ../../server.toml b"),
    "by way of a shared directory": SHARED
    + run("ln -s public/uploads/../../../server.toml b"),
    "the whole disk": run("ln -s / b"),
    "from a check": run(LINK, "checks"),
    "when it is live already": run(LINK, "activate"),
    "far down, with an odd name": run(
        'mkdir -p a/b/c; ln -s /etc "a/b/c/$(printf "x\\n")y"'
    ),
}


@pytest.mark.parametrize("case", OUT)
def test_a_link_that_leads_out_is_never_shown(attack: Scene, case: str) -> None:
    """Whichever command made it; what was live is live."""
    attack.gitdeploy("env", "shop", "set", "A=1")
    work = attack.clone("mallory")
    assert attack.push(work, page="good").code == 0
    with attack.nothing_else_changes():
        push = attack.push(work, OUT[case], page="evil")
    assert push.code == 1, push.output
    assert "lead out of the release" in push.output
    assert "[links] allowed" in push.output
    assert attack.served("dev")["page"] == b"good"


def test_links_that_belong_to_a_release_are_let_be(attack: Scene) -> None:
    """Of virtual environments, of packages, to what is shared; and what is allowed."""
    work = attack.clone("mallory")
    home = attack.path("/home/deploy/.pyenv/bin")
    home.mkdir(parents=True)
    usual = "mkdir -p v/bin; ln -s /usr/bin/env v/bin/python; ln -s v/bin w"
    absolute = 'ln -s "$GITDEPLOY_RELEASE_DIR/public/uploads" up'
    assert attack.push(work, SHARED + run(f"touch x; {usual}; {absolute}")).code == 1
    attack.gitdeploy("env", "shop", "set", "A=1")
    push = attack.push(work, SHARED + run(f"{usual}; {absolute}"))
    assert push.code == 0, push.output
    pyenv = run("ln -s /home/deploy/.pyenv/bin/python python")
    assert attack.push(work, pyenv).code == 1
    attack.server_toml(REQUIRE + '[links]\nallowed = ["~/.pyenv"]\n')
    push = attack.push(work, pyenv)
    assert push.code == 0, push.output


FORGET = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as ledger:
    ledger.execute("DELETE FROM setting WHERE name = 'links_seen_from'")
"""


def test_a_link_made_behind_our_back_is_not_promoted_and_the_doctor_tells(
    attack: Scene,
) -> None:
    """In a release from before links were looked at."""
    work = attack.clone("mallory")
    assert attack.push(work, run("touch made")).code == 0
    attack.live().resolve()
    (release,) = attack.path("shop/releases").glob("1-*")
    os.symlink("../../../blog.git", release / "b.git")
    attack.machine.run(sys.executable, "-c", FORGET, ROOT / "shop/ledger.db")
    push = attack.release(work, "v1")
    assert push.code == 1, push.output
    assert "'b.git' -> '../../../blog.git'" in push.output.replace("\nremote:", "")
    told = attack.gitdeploy("release", "shop", check=False)
    assert told.returncode == 1, told.stdout
    assert attack.served() == {}
    (found,) = attack.findings()
    assert found["name"] == "link-leads-out"


def test_names_of_ours_are_refused_in_one_line(attack: Scene) -> None:
    for name in (".gitdeploy-checkout", ".gitdeploy-outputs", ".gitdeploy.new"):
        push = attack.push(attack.clone("mallory"), **{f"d/{name}/x": "1"})
        assert push.code == 1
        assert f"'{name}' cannot be deployed" in push.output, push.output
    push = attack.push(attack.clone("mallory"), **{"..env.new": "1"})
    assert "'..env.new' cannot be deployed" in push.output, push.output
    shared = '[shared]\nfiles = [".env"]\ndirs = ["..env.new"]\n'
    push = attack.push(attack.clone("mallory"), shared)
    assert "names that are ours" in push.output, push.output


# --- modes --------------------------------------------------------------------------


def lively(attack: Scene) -> Work:
    """Let as much as possible be made that an app has."""
    attack.gitdeploy("env", "shop", "set", "A=secret-of-shop")
    work = attack.clone("mallory")
    toml = SHARED + (
        "[[build.steps]]\nrun = 'mkdir -p public; cp page public/index.html'\n"
        "[[build.steps]]\nrun = 'cp page o'\n"
        "inputs = ['page']\noutputs = ['o']\n"
    )
    for text in "123":
        push = attack.push(work, toml, page=text)
        assert push.code == 0, push.output
    assert attack.release(work, "v1").code == 0
    attack.gitdeploy("maintenance", "shop", "on")
    attack.gitdeploy("maintenance", "shop", "off")
    attack.gitdeploy("prune", "shop", "--keep", "0")
    attack.ssh("otto", "cancel shop")
    (uploads := attack.path("shop/shared/public/uploads")).mkdir(exist_ok=True)
    (uploads / "photo").write_text("photo")
    attack.machine.run("chown", "-R", "deploy:deploy", ROOT / "shop/shared")
    return work


def test_everything_that_is_made_is_its_owners_alone(attack: Scene) -> None:
    """By the table, whatever the umask; and a user beside can neither read nor hold."""
    lively(attack)
    home = attack.path("shop")
    for path in (home, *home.iterdir()):
        name = "" if path == home else path.name
        rule = in_home(name, is_directory=path.is_dir())
        assert stat.S_IMODE(path.lstat().st_mode) == rule.made, path
    assert stat.S_IMODE(attack.path("shop.git").stat().st_mode) == 0o700
    assert attack.path("access.toml").stat().st_mode & 0o077 == 0
    run_ = attack.machine.run
    names = ["server.toml", "ledger.db", "lock", "logs", "queue", "shared/.env"]
    names += ["manifests", "outputs", "../shop.git", "../access.toml", ""]
    for name in names:
        for words in (("ls", f"{ROOT}/shop/{name}/"), ("cat", f"{ROOT}/shop/{name}")):
            assert run_(*NOBODY, *words, check=False).returncode, words
    held = run_(*NOBODY, "flock", "-n", ROOT / "shop/lock", "true", check=False)
    assert "Permission denied" in held.stderr
    assert attack.findings() == []


def test_an_older_installation_is_told_and_mended(attack: Scene) -> None:
    """Everything was readable; some of it was made worse by hand."""
    lively(attack)
    home, repository = attack.path("shop"), attack.path("shop.git")
    loose = {home: 0o755, repository: 0o755, repository / "hooks": 0o777}
    loose |= {attack.path(""): 0o777, attack.path("www"): 0o777}
    loose |= {attack.path("access.toml"): 0o666, home / "server.toml": 0o666}
    loose |= {path: 0o755 if path.is_dir() else 0o644 for path in home.iterdir()}
    loose |= {home / "server.toml": 0o666}
    for path, mode in loose.items():
        path.chmod(mode)
    key = attack.path("/home/deploy/.ssh/authorized_keys")
    key.chmod(0o644)
    os.symlink(key.name, attack.path("shop/queue2"))
    os.symlink("/home/deploy/.ssh/authorized_keys", attack.path("shop/notes"))
    told = {found["what"].split()[0] for found in attack.findings()}
    for place in ("", "/www", "/shop", "/shop.git", "/shop.git/hooks", "/access.toml"):
        assert f"{ROOT}{place}" in told
    for place in ("server.toml", "lock", "ledger.db", "logs"):
        assert f"{ROOT}/shop/{place}" in told
    attack.gitdeploy("setup", "shop")
    assert attack.findings() == []
    assert stat.S_IMODE(key.stat().st_mode) == 0o644
    assert {p for p in loose if p.stat().st_mode & 0o022} == set()
    (home / "logs").chmod(0o2750)  # a group, by somebody's will
    attack.gitdeploy("setup", "shop")
    assert stat.S_IMODE((home / "logs").stat().st_mode) == 0o2750


# --- the web server -------------------------------------------------------------------


@contextmanager
def web(attack: Scene, server: str) -> Iterator[str]:
    """nginx as www-data, with a server of README's as it stands there; its URL."""
    port = free_port()
    listening = server.replace(
        "server_name shop.example.org;", f"listen 127.0.0.1:{port};"
    )
    assert listening != server
    attack.machine.run("rm", "-rf", "/run/web")
    attack.machine.run("install", "-d", "-o", "www-data", "/run/web")
    attack.machine.path("/run/web/conf").write_text(NGINX.format(server=listening))
    words = (needs("nginx"), "-e", "/run/web/log", "-c", "/run/web/conf")
    with process.started(*attack.machine.argv(*words)):
        wait_for(port)
        yield f"http://127.0.0.1:{port}/"


def get(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - ours
            return str(response.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return str(error.code)


def test_the_web_server_of_readme_serves_the_site_and_no_more(attack: Scene) -> None:
    """Releases and uploads through the links; no secret, also by a planted link."""
    (server,) = re.findall(r"```nginx\n(server \{.*?)```", README, re.DOTALL)
    lively(attack)
    release = attack.live("prod").parent / os.readlink(attack.live("prod"))
    public = Path(os.path.normpath(release)) / "public"
    for name in (".env", ".git/config", "deploy.toml", "server.toml", "a/.htpasswd"):
        (public / name).parent.mkdir(exist_ok=True)
        (public / name).write_text("private")
    (public / ".well-known").mkdir()
    (public / ".well-known/acme").write_text("acme")
    os.symlink("../../../../blog.git", public / "git")
    os.symlink("../../..", public / "app")
    os.symlink("../../../../blog/shared", public / "blog")
    os.symlink("/etc/passwd", attack.path("shop/shared/public/uploads/link"))
    off = "disable_symlinks on from=$document_root/uploads;"
    server = server.replace("location", f"location /uploads/ {{ {off} }}\nlocation", 1)
    with web(attack, server) as url:
        assert get(url) == "3"
        assert get(f"{url}uploads/photo") == "photo"
        assert get(f"{url}uploads/link") == "403"  # as docs/security.md says
        assert get(f"{url}.well-known/acme") == "acme"
        for name in (
            ".env",
            ".git/config",
            "deploy.toml",
            "server.toml",
            "a/.htpasswd",
        ):
            assert get(f"{url}{name}") == "404", name
        for name in ("git/HEAD", "git/config", "app/ledger.db", "app/lock"):
            assert get(f"{url}{name}") in ("403", "404"), name
        assert get(f"{url}app/shared/%2eenv") == "404"
        assert CANARY not in get(f"{url}blog/env")


def test_every_example_refuses_what_nobody_should_read() -> None:
    """Each server with files of a release, before the line that runs PHP."""
    pages = [README, *(p.read_text() for p in _pages())]
    servers = [
        block
        for page in pages
        for block in re.findall(r"```nginx\n(.*?)```", page, re.DOTALL)
    ]
    roots = 0
    for server in (
        one for block in servers for one in re.split(r"\n(?=server \{)", block)
    ):
        if re.search(r"^\s+root \S+/www/\S+;", server, re.MULTILINE):
            if "set $maintenance" in server:
                continue
            roots += 1
            refusing = server.index(
                r"location ~ /\.(?!well-known/)|/(deploy|server)\.toml$"
            )
            assert refusing < server.find(r"\.php$") or r"\.php$" not in server
    assert roots >= 7


def _pages() -> list[Path]:
    docs = Path(__file__).parents[2] / "docs"
    return [*docs.glob("*.md"), *docs.glob("recipes/*.md")]


# --- owners -----------------------------------------------------------------------

VERBS: Final = (
    *("status shop", "releases shop", "history shop", "logs shop", "plan shop main"),
    *("verify shop", "rollback shop dev", "rollforward shop dev", "release shop"),
    *("redeploy shop dev", "lock shop", "unlock shop", "maintenance shop on"),
    *("maintenance shop off", "env shop set B=2", "env shop list", "pin shop 2"),
    *("prune shop --keep 0", "doctor shop", "doctor --fix", "repair", "setup shop"),
    *("setup third", "access grant ada stage", "access list", "cancel shop"),
    *("service status shop", "notify shop --test", "deploy shop /usr/share dev"),
)


def test_root_becomes_whoever_owns_the_root_for_every_verb(attack: Scene) -> None:
    """Its commands run as that user, and nothing of root's is left among the files."""
    work = lively(attack)
    step = run("id -un > who; echo $HOME > home")
    work.git("config", "core.sshCommand", shlex.join(attack.client("mallory")))
    push = attack.push(work, step, page="4")
    assert push.code == 0, push.output
    for verb in VERBS:
        word, *rest = verb.split()
        done = attack.machine.gitdeploy(word, *rest, f"--root={ROOT}", check=False)
        assert "a bug" not in done.stderr, done.stderr
        assert done.returncode in (0, 1, 2, 4, 5), (verb, done.stderr)
        assert strangers(attack) == [], verb
        if verb == "redeploy shop dev":
            assert done.returncode == 0, done.stderr
            assert attack.served("dev")["who"] == b"deploy\n"
    assert attack.path("third/ledger.db").exists()
    done = attack.machine.run(
        *("env", f"GITDEPLOY_ROOT={ROOT}", "depl-help-release", "shop"), check=False
    )
    assert strangers(attack) == []


def test_root_does_not_push_into_another_users_app(attack: Scene) -> None:
    """What its git receives would be root's."""
    lively(attack)
    there = attack.path("/run/private/work")
    uid = attack.path("shop").stat().st_uid
    for words in (
        ("git", "init", "-q", "/run/private/work"),
        ("git", "-C", "/run/private/work", "config", "user.email", "root@localhost"),
        ("git", "-C", "/run/private/work", "config", "user.name", "root"),
        ("git", "-C", "/run/private/work", "commit", "-q", "--allow-empty", "-mx"),
    ):
        attack.machine.run(*words)
    assert there.is_dir()
    push = ("git", "-C", "/run/private/work", "push", f"{ROOT}/shop.git", "HEAD:new")
    done = attack.machine.run("env", f"SUDO_UID={uid}", *push, check=False)
    attack.machine.run("rm", "-rf", "/run/private/work")
    assert done.returncode == 1, done.stderr
    assert "belongs to deploy, and this is root" in " ".join(
        done.stderr.replace("remote:", "").split()
    )
    assert not attack.path("shop.git/refs/heads/new").exists()
    assert strangers(attack) == []


def test_one_users_app_in_anothers_root_is_refused(attack: Scene) -> None:
    """Also where root looks at an app whose root is root's."""
    attack.machine.run("chown", "root:root", ROOT)
    done = attack.machine.gitdeploy("status", "shop", f"--root={ROOT}", check=False)
    assert done.returncode == 1
    assert "belongs to deploy, and this is root" in done.stderr
    assert "sudo -u deploy gitdeploy" in done.stderr
    assert attack.gitdeploy("status", "shop").returncode == 0  # root's root is fine
    attack.machine.run("chown", "daemon:daemon", ROOT)
    attack.machine.run("chmod", "755", ROOT)
    done = attack.gitdeploy("status", "shop", check=False)
    assert "belongs to daemon, and this is deploy" in done.stderr


def test_what_is_roots_in_an_ordinary_users_tree_is_told_with_what_mends_it(
    attack: Scene,
) -> None:
    """And what cannot be mended without root is not promised again."""
    lively(attack)
    (gone,) = attack.path("shop/releases").glob("1-*") or [None]
    release = attack.path("shop/releases") / gone.name if gone else None
    assert release is not None
    attack.machine.run(
        "chown", "-R", "root:root", ROOT / "shop/releases" / release.name
    )
    attack.machine.run("chown", "root:root", ROOT / "shop/logs")
    for _ in range(2):
        found = attack.findings("--fix")
        assert found, "root's files are no finding"
        for one in found:
            assert not one["fixable"], one
            unseen = one["name"] == "cannot-look"
            assert unseen or one["mend"].startswith("chown -R deploy: "), one
    for one in filter(lambda one: one["mend"], found):
        attack.machine.run("sh", "-c", one["mend"])
    assert attack.findings("--fix") == []


def strangers(attack: Scene) -> list[str]:
    """Return what below ROOT is not the owner's."""
    uid = attack.path("").stat().st_uid
    found = []
    for folder, folders, names in os.walk(attack.path("")):
        for name in (*folders, *names):
            path = os.path.join(folder, name)
            if os.lstat(path).st_uid != uid:
                found.append(path)
    return found


# --- a lost ledger ----------------------------------------------------------------


def test_a_planted_link_is_not_taken_for_a_release(attack: Scene) -> None:
    """Neither etc nor what is above; what was deployed by its path, if they say so."""
    lively(attack)
    site = attack.path("/home/deploy/site")
    attack.machine.run("install", "-d", "-o", "deploy", "/home/deploy/site")
    (site / "page").write_text("by hand")
    attack.gitdeploy("deploy", "shop", "/home/deploy/site", "dev")
    for path in attack.path("shop").glob("ledger.db*"):
        path.unlink()
    link = attack.path("www/shop-prod-2")
    for planted in ("/etc", str(ROOT), "../shop/shared", "../shop/releases/.."):
        link.unlink()
        link.symlink_to(planted)
        again = (
            f"--adopt={planted}" if planted != "/etc" else "--adopt=/home/deploy/site"
        )
        done = attack.gitdeploy("repair", "shop", "--from-links", again, check=False)
        assert done.returncode == 4, done.stdout
        assert "which is no release of shop" in done.stderr
        assert not attack.path("shop/ledger.db").exists()
    link.unlink()
    link.symlink_to("../shop/empty")
    done = attack.gitdeploy("repair", "shop", "--from-links", check=False)
    assert "--adopt /home/deploy/site" in done.stderr
    attack.gitdeploy("repair", "shop", "--from-links", "--adopt", "/home/deploy/site")
    assert os.readlink(attack.live()) == "/home/deploy/site"
