"""A fresh server: what is planned, by tables; and a machine of its own, for real."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from support import process
from support.git import Work
from support.machine import Machine, machine, program
from support.sshd import HOST
from support.tools import found, needs

from gitdeploy.errors import SystemFailed
from gitdeploy.server import (
    Command,
    Directory,
    File,
    No,
    Plan,
    Wanted,
    carry_out,
    planned,
    texts,
)
from gitdeploy.server.parts import Account, Facts, Seen
from gitdeploy.system.surroundings import Surroundings

CONTRIB = Path(__file__).resolve().parent.parent / "contrib"
TEMPLATE = (CONTRIB / "gitdeploy-repair.service").read_text()
HOME, ROOT = Path("/home/deploy"), Path("/home/deploy/gitdeploy")
DEPLOY = Wanted("deploy")
FRESH = Facts(
    root=ROOT,
    program=Path("/usr/local/share/gitdeploy/bin/gitdeploy"),
    template=TEMPLATE,
    seen={Path("/"): Seen(0, 0o755), Path("/home"): Seen(0, 0o755)},
)
ACCOUNT = Account(1000, "deploy", HOME, "/bin/sh")
MADE = {
    HOME: Seen(1000, 0o711),
    ROOT: Seen(1000, 0o755),
    HOME / ".ssh": Seen(1000, 0o700),
}
READY = replace(
    FRESH,
    account=ACCOUNT,
    seen={**FRESH.seen, **MADE},
    texts={
        texts.SNIPPET: texts.snippet("deploy"),
        texts.UNIT: texts.unit(TEMPLATE, "deploy", ROOT, FRESH.program),
        texts.LOGROTATE: texts.logrotate("deploy", "deploy", ROOT),
    },
    enabled=True,
)


def changed(facts: Facts, **seen: Seen | None) -> Facts:
    """Return facts with other things at the places of the user."""
    places = {"home": HOME, "root": ROOT, "ssh": HOME / ".ssh"}
    now = {**facts.seen, **{places[name]: what for name, what in seen.items()}}
    return replace(facts, seen={path: one for path, one in now.items() if one})


def left(plan: Plan | No) -> list[str]:
    """Return what is to be made, a word each."""
    assert isinstance(plan, Plan), plan
    return [
        part.what if isinstance(part, Command) else str(part.path) for part in plan.left
    ]


ALL = [
    "the user deploy",
    "/home/deploy/gitdeploy",
    "/home/deploy/.ssh",
    "/etc/ssh/sshd_config.d/gitdeploy.conf",
    "sshd reads it",
    "/etc/systemd/system/gitdeploy-repair.service",
    "systemd reads it",
    "it runs at every start",
    "/etc/logrotate.d/gitdeploy",
]

PLANS = {
    "fresh": (FRESH, ALL),
    "ready": (READY, []),
    "no systemd": (
        replace(FRESH, systemd=False),
        [one for one in ALL if one.startswith("/") or "user" in one],
    ),
    "packages": (
        replace(READY, missing=("git", "bubblewrap")),
        ["Debian's packages: git bubblewrap"],
    ),
    "the user was there": (
        replace(FRESH, account=ACCOUNT, seen={**FRESH.seen, HOME: MADE[HOME]}),
        ALL[1:],
    ),
    "an older snippet": (
        replace(
            READY,
            texts={
                **READY.texts,
                texts.SNIPPET: texts.snippet("deploy").replace("32", "8"),
            },
        ),
        ["/etc/ssh/sshd_config.d/gitdeploy.conf", "sshd reads it"],
    ),
    "another program": (
        replace(READY, program=Path("/opt/gitdeploy/bin/gitdeploy")),
        ["/etc/systemd/system/gitdeploy-repair.service", "systemd reads it"],
    ),
    "not enabled": (replace(READY, enabled=False), ["it runs at every start"]),
    "keys that others may write": (
        changed(READY, ssh=Seen(1000, 0o775)),
        ["/home/deploy/.ssh"],
    ),
    "a stricter root": (changed(READY, root=Seen(1000, 0o750)), []),
}


@pytest.mark.parametrize(("facts", "parts"), PLANS.values(), ids=PLANS)
def test_what_is_not_there_is_planned_and_nothing_else(facts, parts):
    assert left(planned(facts, DEPLOY)) == parts


REFUSALS = {
    "root would deploy": (
        replace(READY, account=Account(0, "root", HOME, "/bin/sh")),
        "is root",
    ),
    "a home without its user": (
        changed(FRESH, home=MADE[HOME]),
        "/home/deploy is there, but no user",
    ),
    "a program that the user cannot run": (
        replace(FRESH, program_says="Permission denied"),
        "deploy cannot run /usr/local/share/gitdeploy/bin/gitdeploy: Permission denied",
    ),
    "a broken sshd_config": (
        replace(FRESH, sshd_says="line 3: Bad"),
        "is wrong as it is: line 3: Bad",
    ),
    "no apt-get": (replace(FRESH, missing=("git",), has_apt=False), "no apt-get: git"),
    "a file where the root shall be": (
        changed(READY, root=Seen(1000, 0o644, is_directory=False)),
        "/home/deploy/gitdeploy is there and is no directory",
    ),
    "somebody else's directory": (
        changed(READY, root=Seen(0, 0o755, is_empty=True)),
        "is not deploy's",
    ),
    **{
        f"somebody else's {path.name}": (
            replace(FRESH, texts={path: text}),
            f"{path} is there and was not written by",
        )
        for path, text in (
            (texts.SNIPPET, "Match User deploy\n"),
            (texts.UNIT, TEMPLATE),
            (texts.LOGROTATE, ""),
            (texts.SNIPPET, texts.snippet("ada")),
        )
    },
}


@pytest.mark.parametrize(("facts", "why"), REFUSALS.values(), ids=REFUSALS)
def test_what_speaks_against_it_stops_all_of_it(facts, why):
    no = planned(facts, DEPLOY)
    assert isinstance(no, No)
    assert why in no.message
    assert no.hint


NOTES = {
    "all is well": (READY, ""),
    "sshd_config reads no snippets": (
        replace(READY, includes_snippets=False),
        "Include /etc/ssh/sshd_config.d/*.conf",
    ),
    "no systemd": (
        replace(FRESH, systemd=False),
        "systemctl enable gitdeploy-repair.service",
    ),
    "a closed home": (
        changed(READY, home=Seen(1000, 0o700)),
        "chmod o+x /home/deploy",
    ),
    "no shell": (
        replace(READY, account=Account(1000, "deploy", HOME, "/usr/sbin/nologin")),
        "usermod -s /bin/sh deploy",
    ),
}


@pytest.mark.parametrize(("facts", "note"), NOTES.values(), ids=NOTES)
def test_what_a_person_has_to_do_is_told(facts, note):
    plan = planned(facts, DEPLOY)
    assert isinstance(plan, Plan)
    assert note in "\n".join(plan.notes)
    assert bool(plan.notes) is bool(note)


def test_without_packages_what_is_needed_is_refused_and_the_rest_told():
    wanted = Wanted("deploy", packages=False)
    plan = planned(replace(READY, missing=("bubblewrap",)), wanted)
    assert isinstance(plan, Plan)
    assert (plan.left, plan.notes) == (
        (),
        ("worth having:  apt-get install bubblewrap",),
    )
    no = planned(replace(READY, missing=("git", "bubblewrap")), wanted)
    assert isinstance(no, No)
    assert no.hint == "apt-get install git"


def test_a_root_elsewhere_is_made_by_root_and_taken_over_only_where_it_is_empty():
    facts = replace(READY, root=Path("/srv/deploy"))
    for seen, wanted in (
        (None, ["/srv/deploy"]),
        (Seen(0, 0o755, is_empty=True), ["/srv/deploy"]),
        (Seen(1000, 0o755), []),
    ):
        here = {facts.root: seen} if seen else {}
        plan = planned(replace(facts, seen={**facts.seen, **here}), DEPLOY)
        assert isinstance(plan, Plan)
        made = [part for part in plan.left if isinstance(part, Directory)]
        assert [str(part.path) for part in made] == wanted
        assert not any(part.in_home for part in made)
    full = {**facts.seen, facts.root: Seen(0, 0o755)}
    assert isinstance(planned(replace(facts, seen=full), DEPLOY), No)


def test_the_unit_is_the_one_of_contrib_for_this_user_and_place():
    unit = texts.unit(TEMPLATE, "ada", Path("/srv/apps"), Path("/opt/gitdeploy"))
    assert texts.is_ours(unit, "ada")
    assert "deploy/" not in unit.replace("gitdeploy/", "")
    ours = unit.partition("\n\n")[2].splitlines()
    theirs = TEMPLATE.partition("\n\n")[2].splitlines()
    assert [line for line in ours if line not in theirs] == [
        "RequiresMountsFor=/srv/apps",
        "User=ada",
        "Environment=GITDEPLOY_ROOT=/srv/apps",
        "ExecStart=/opt/gitdeploy repair --no-deploy",
    ]
    assert len(ours) == len(theirs)


def test_every_file_says_that_it_is_ours():
    plan = planned(FRESH, DEPLOY)
    assert isinstance(plan, Plan)
    files = [part for part in plan.parts if isinstance(part, File)]
    assert [part.check for part in files] == ["sshd", "", "logrotate"]
    for part in files:
        assert texts.is_ours(part.text, "deploy")
        assert not texts.is_ours(part.text, "ada")


def test_packages_are_installed_by_apt_get(tmp_path: Path):
    """Nothing is asked, nothing else comes along, and a failure says why."""
    plan = planned(replace(READY, missing=("git", "bubblewrap")), DEPLOY)
    assert isinstance(plan, Plan)
    (part,) = plan.left
    apt, log = tmp_path / "apt-get", tmp_path / "log"
    apt.write_text(f'#!/bin/sh\necho "$*" >>{log}\n[ "$2" != fail ] || exit 100\n')
    apt.chmod(0o755)
    env = Surroundings(
        f"{tmp_path}:/usr/bin:/bin", "/root", "C", "root", "/bin/sh", str(tmp_path)
    ).environment()
    carry_out(part, env)
    assert log.read_text().splitlines() == [
        "-q update",
        "-q -y --no-install-recommends install git bubblewrap",
    ]
    failing = Command("all", (("apt-get", "-q", "fail"),))
    with pytest.raises(SystemFailed, match="apt-get exited with 100"):
        carry_out(failing, env)


# --- for real -------------------------------------------------------------------------

INSTALL = ("server", "install", "--no-packages")
ANYBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
PLACES = ("/etc", "/home", "/srv", "/run/private")


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path / "machine") as one:
        yield one


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("ready")) as one:
        one.gitdeploy(*INSTALL)
        yield one


def stand_in(one: Machine, name: str, script: str) -> None:
    """Let a program of this machine be another one."""
    one.path(f"/srv/{name}").write_text(f"#!/bin/sh\n{script}")
    one.run("chmod", "755", f"/srv/{name}")
    one.run("mount", "--bind", f"/srv/{name}", needs(name))


def mode(one: Machine, path: str) -> str:
    return one.run("stat", "--format=%a %U:%G", path).stdout.strip()


def test_dry_run_prints_all_of_it_and_changes_nothing(fresh: Machine):
    before = fresh.files(*PLACES)
    said = fresh.gitdeploy(*INSTALL, "--dry-run").stdout
    assert "    Match User deploy\n        PasswordAuthentication no\n" in said
    assert f"    ExecStart={program()} repair --no-deploy\n" in said
    assert "/home/deploy/gitdeploy/*/run/*.log {" in said
    assert "useradd --create-home" in said
    assert fresh.files(*PLACES) == before
    same = fresh.run(*ANYBODY, program(), *INSTALL, "--dry-run").stdout
    assert same.startswith(said.partition("\nnote")[0])
    assert fresh.files(*PLACES) == before


def test_a_package_that_is_missing_is_installed_first(fresh: Machine):
    """By a stand-in for apt-get, which shows again what was hidden."""
    gone = needs("logrotate")
    fresh.run("mount", "--bind", "/dev/null", gone)
    stand_in(
        fresh,
        "apt-get",
        f'echo "$*" >>/srv/said\n[ "$2" = update ] || umount {gone}\n',
    )
    first, *_ = fresh.gitdeploy("server", "install").stdout.splitlines()
    assert first.startswith("made        Debian's packages: ")
    assert "logrotate" in first
    assert "logrotate" in fresh.path("/srv/said").read_text()
    assert "logrotate" not in fresh.gitdeploy("server", "install").stdout


def test_systemd_is_told_and_told_once(fresh: Machine):
    """By a stand-in for systemctl, which makes the link that `enable` makes."""
    wants = texts.UNIT.parent / "multi-user.target.wants"
    fresh.run("mkdir", "-p", "/run/systemd/system", wants)
    stand_in(
        fresh,
        "systemctl",
        f'echo "$*" >>/srv/said\n[ "$1" != enable ] || ln -s {texts.UNIT} {wants}/\n',
    )
    said = fresh.gitdeploy(*INSTALL).stdout
    assert "note" not in said
    assert fresh.path("/srv/said").read_text().splitlines() == [
        "try-reload-or-restart ssh",
        "daemon-reload",
        "enable gitdeploy-repair.service",
    ]
    before = fresh.files(*PLACES)
    assert fresh.gitdeploy(*INSTALL).stdout.startswith("nothing to do")
    assert fresh.files(*PLACES) == before


def test_a_fresh_server_is_set_up_and_the_second_time_nothing_changes(fresh: Machine):
    said = fresh.gitdeploy(*INSTALL).stdout
    assert "made        the user deploy\n" in said
    assert "wrote       /etc/ssh/sshd_config.d/gitdeploy.conf" in said
    assert "setup shop" in said
    assert "key add ada" in said
    assert "access grant ada admin" in said
    for path, wanted in {
        "/home/deploy": "711 deploy:deploy",
        "/home/deploy/gitdeploy": "711 deploy:deploy",
        "/home/deploy/.ssh": "700 deploy:deploy",
        str(texts.SNIPPET): "644 root:root",
        str(texts.UNIT): "644 root:root",
        str(texts.LOGROTATE): "644 root:root",
    }.items():
        assert mode(fresh, path) == wanted, path
    account = fresh.run("getent", "shadow", "deploy").stdout
    assert account.startswith("deploy:*:")
    fresh.run("sshd", "-t")
    before = fresh.files(*PLACES)
    again = fresh.gitdeploy(*INSTALL).stdout
    assert again.startswith("nothing to do: this server is ready for deploy\n")
    assert fresh.files(*PLACES) == before
    shape = json.loads(fresh.gitdeploy(*INSTALL, "--json").stdout)
    assert {part["was_there"] for part in shape["parts"]} == {True}
    assert fresh.files(*PLACES) == before


def test_sshd_holds_the_user_to_it_and_nobody_else(ready: Machine):
    def effective(user: str) -> set[str]:
        asked = f"user={user},host=localhost,addr=127.0.0.1"
        return set(ready.run("sshd", "-T", "-C", asked).stdout.splitlines())

    for line in texts.snippet("deploy").splitlines():
        option = line.strip().lower()
        if line.startswith("    ") and not option.startswith(("#", "acceptenv")):
            assert option in effective("deploy")
    with_it = effective("root")
    ready.run("mv", texts.SNIPPET, "/run/private/aside")
    try:
        assert effective("root") == with_it
    finally:
        ready.run("mv", "/run/private/aside", texts.SNIPPET)


def test_people_push_over_the_sshd_of_a_server_set_up_so(
    ready: Machine, tmp_path: Path
):
    """With its own sshd_config, by the commands that it prints at its end."""
    key = tmp_path / "ada"
    process.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    let_in(ready, tmp_path / "ada.pub")
    with ready.sshd(tmp_path / "log") as port:
        ssh = client(ready, port, key)
        url = f"ssh://deploy@{HOST}:{port}"
        work = Work.create(tmp_path / "work")
        work.connect(f"{url}/shop", ssh_command=shlex.join(ssh))
        work.commit("one", page="one")
        push = work.push("main")
        assert push.code == 0, push.output
        assert "shop-dev-1" in process.run(*ssh, url, "status shop").stdout
        shell = process.run(*ssh, url, "id", check=False)
        assert (shell.returncode, shell.stdout) == (1, "")
        assert "cannot be run here" in shell.stderr
        other = "-oPreferredAuthentications=password,keyboard-interactive"
        barred = process.run(*ssh, other, url, "status shop", check=False)
        assert "Permission denied (publickey)" in barred.stderr
    www = "/home/deploy/gitdeploy/www/shop-staging/page"
    assert ready.run(*ANYBODY, "cat", www).stdout == "one"


def let_in(one: Machine, public: Path) -> None:
    """Set shop up and let ada in, as `server install` says."""
    one.run("cp", public, "/run/private/ada.pub")
    lines = one.gitdeploy(*INSTALL).stdout.splitlines()
    commands = [line.split(None, 1)[1] for line in lines if line.startswith("next ")]
    assert len(commands) == 3
    for command in commands:
        one.run("sh", "-c", command)


def client(one: Machine, port: int, key: Path) -> list[str]:
    """Return the ssh client that knows the machine and has a key."""
    kind, host_key, *_ = (
        one.path("/etc/ssh/ssh_host_ed25519_key.pub").read_text().split()
    )
    known = key.with_name("known_hosts")
    known.write_text(f"[{HOST}]:{port} {kind} {host_key}\n")
    options = {
        "BatchMode": "yes",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "IdentityFile": key,
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": known,
    }
    return ["ssh", "-F", "none", *(f"-o{name}={is_}" for name, is_ in options.items())]


def test_a_broken_sshd_config_is_refused_and_nothing_is_left_behind(fresh: Machine):
    config = fresh.path("/etc/ssh/sshd_config")
    config.write_text(f"{config.read_text()}\nNoSuchOption yes\n")
    before = fresh.files(*PLACES)
    done = fresh.gitdeploy(*INSTALL, check=False)
    assert done.returncode == 1
    assert "sshd's configuration is wrong as it is" in done.stderr
    assert "NoSuchOption" in done.stderr
    assert fresh.files(*PLACES) == before


def test_a_sshd_config_that_reads_no_snippets_is_told_of(fresh: Machine):
    config = fresh.path("/etc/ssh/sshd_config")
    kept = [line for line in config.read_text().splitlines() if "Include" not in line]
    config.write_text("\n".join([*kept, ""]))
    said = fresh.gitdeploy(*INSTALL).stdout
    assert "write at its top:  Include /etc/ssh/sshd_config.d/*.conf" in said


def test_a_snippet_that_sshd_does_not_like_is_taken_back(fresh: Machine):
    """An sshd that knows one of its options no more; what was there before stays."""
    fresh.run("cp", needs("sshd"), "/run/private/sshd")
    stand_in(
        fresh,
        "sshd",
        f"[ ! -e {texts.SNIPPET} ] || {{ echo Bad option >&2; exit 255; }}\n"
        'exec /run/private/sshd "$@"\n',
    )
    done = fresh.gitdeploy(*INSTALL, check=False)
    assert done.returncode == 1
    assert "was taken back, as sshd says: Bad option" in done.stderr
    assert not fresh.path(texts.SNIPPET).exists()


@pytest.mark.parametrize("path", [texts.SNIPPET, texts.UNIT, texts.LOGROTATE])
def test_a_file_of_somebody_else_is_never_overwritten(fresh: Machine, path: Path):
    fresh.path(path).write_text("# mine\n")
    before = fresh.files(*PLACES)
    done = fresh.gitdeploy(*INSTALL, check=False)
    assert done.returncode == 1
    assert f"{path} is there and was not written by" in done.stderr
    assert fresh.files(*PLACES) == before


def test_only_root_sets_a_server_up(fresh: Machine):
    before = fresh.files(*PLACES)
    done = fresh.run(*ANYBODY, program(), *INSTALL, check=False)
    assert done.returncode == 1
    assert "hint: sudo gitdeploy server install" in done.stderr
    assert fresh.files(*PLACES) == before


def test_an_existing_user_and_a_root_elsewhere_are_fine(fresh: Machine):
    fresh.run("useradd", "--create-home", "--key", "HOME_MODE=0700", "ada")
    words = ("--user", "ada", "--root", "/srv/sites/all")
    said = fresh.gitdeploy(*INSTALL, *words).stdout
    assert "made        the user" not in said
    assert "setup shop --root /srv/sites/all" in said
    assert mode(fresh, "/srv/sites/all") == "711 ada:ada"
    assert mode(fresh, "/srv/sites") == "755 root:root"
    assert mode(fresh, "/home/ada") == "700 ada:ada"
    assert "/srv/sites/all/*/run/*.log" in fresh.path(texts.LOGROTATE).read_text()
    assert fresh.gitdeploy(*INSTALL, *words).stdout.startswith("nothing to do")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--user", "Ada Lovelace"), "--user: should be made of a-z"),
        (("--user", "root"), "root is root"),
        (("--root", "/srv/with blank"), "--root: should be an absolute path"),
        (("--root", "/srv/%h"), "--root: should be an absolute path"),
    ],
)
def test_names_that_not_all_programs_read_alike_are_refused(
    ready: Machine, words: tuple[str, ...], said: str
):
    done = ready.gitdeploy(*INSTALL, "--dry-run", *words, check=False)
    assert done.returncode in (1, 2)
    assert said in done.stderr


def test_what_services_print_is_rotated(ready: Machine, tmp_path: Path):
    """By logrotate itself, as the user, under a service that goes on writing."""
    if not found("logrotate"):
        pytest.skip("LEFT OUT: logrotate is missing; `make test` as root installs it")
    run = "/home/deploy/gitdeploy/blog/run"
    who = ("setpriv", "--reuid=deploy", "--regid=deploy", "--init-groups")
    ready.run(*who, "mkdir", "-p", run)
    ready.run(*who, "truncate", "--size=21M", f"{run}/prod-web.1.log")
    ready.run(*who, "truncate", "--size=19M", f"{run}/prod-web.2.log")
    state = tmp_path / "state"
    ready.run("logrotate", "--state", state, texts.LOGROTATE)
    sizes = {path.name: path.stat().st_size for path in ready.path(run).iterdir()}
    assert sizes == {
        "prod-web.1.log": 0,
        "prod-web.1.log.1": 21 * 2**20,
        "prod-web.2.log": 19 * 2**20,
    }
    assert mode(ready, f"{run}/prod-web.1.log.1").endswith("deploy:deploy")
