"""What is done costs what it is about, not what was ever done before.

Short forms: each takes seconds. What is long is in `make bench`; see CONTRIBUTING.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import ledgers, process
from support.git import Work
from support.server import Server
from support.shop import staged

from gitdeploy.deploy import look
from gitdeploy.deploy.acceptance import Gate
from gitdeploy.deploy.app import App
from gitdeploy.deploy.plan import plan_of_ref
from gitdeploy.deploy.prune import prune, to_prune
from gitdeploy.deploy.push import Push, receive
from gitdeploy.deploy.recover import locked, missed
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.roll import release_staged, roll_back, roll_forward
from gitdeploy.door import surroundings
from gitdeploy.model import RefUpdate
from gitdeploy.system.client import Client

NOTHING = "0" * 40
# A walk along one of these is a walk along what is unfinished, or on the disk.
FEW = ("deployment_unfinished", "release_preparing", "release_to_keep_or_prune")


@pytest.fixture
def shop(server: Server, work: Work) -> Server:
    """Release 1 on both chains, release 2 staged."""
    return staged(server, work)


def opened(server: Server) -> App:
    return App.open(server.root, "shop", surroundings(os.environ), "ada")


class Everyday:
    """What is done to an app every day, in this process, one after the other."""

    def __init__(self, app: App, work: Work) -> None:
        self.app = app
        self.work = work
        self.report = Report(Client(None))

    def doings(self) -> Iterator[tuple[str, Callable[[], object]]]:
        yield from self.pushes()
        yield from self.looks()
        yield from self.verbs()

    def pushes(self) -> Iterator[tuple[str, Callable[[], object]]]:
        work, tag = self.work, "refs/tags/v2"
        old, new = work.head, work.commit("three", **{"index.html": "three"})
        main = RefUpdate("refs/heads/main", old, new)
        yield "push", lambda: self.push(main)
        yield "the hook after it", lambda: self.post_receive(main)
        yield "the hook without the gate", lambda: self.post_receive(main.reversed())
        yield "tag", lambda: self.push(RefUpdate(tag, NOTHING, new))
        back = RefUpdate(main.ref, new, work.revert())
        yield "push of a revert", lambda: self.push(back)
        four = work.commit("four", **{"index.html": "four"})
        never_staged = RefUpdate("refs/tags/v3", NOTHING, four)
        yield "tag of what was never staged", lambda: self.push(never_staged)
        yield "deletion of a tag", lambda: self.push(RefUpdate(tag, new, NOTHING))

    def looks(self) -> Iterator[tuple[str, Callable[[], object]]]:
        deployments = self.app.ledger.deployments
        yield "status", lambda: look.status(self.app)
        yield "plan", lambda: plan_of_ref(self.app, "main")
        yield "logs", lambda: deployments.latest_about(1)
        yield "repair", lambda: deployments.latest_of("refs/heads/main")
        yield "a step", lambda: self.app.ledger.releases.holding("0" * 64)
        yield "a donor", lambda: self.app.ledger.releases.newest_ready(1)

    def verbs(self) -> Iterator[tuple[str, Callable[[], object]]]:
        app, under_lock = self.app, self.under_lock
        yield "release", lambda: under_lock(release_staged, app, self.report)
        yield "rollback", lambda: under_lock(roll_back, app, "prod", self.report)
        yield "rollback of dev", lambda: under_lock(roll_back, app, "dev", self.report)
        yield "status after it", lambda: look.status(app)
        yield "rollforward", lambda: under_lock(roll_forward, app, "prod", self.report)
        yield "prune", lambda: under_lock(prune, app, keep=0, dry_run=False)
        app.ledger.deployments.begin("stage", by="eve", started="then", chain="dev")
        yield "recovery", lambda: under_lock(lambda: None)

    def push(self, update: RefUpdate) -> None:
        git, report = self.app.repository.git, self.report
        git("fetch", "--quiet", "--no-tags", str(self.work.path), "HEAD")
        gate = Gate(self.app.repository)
        (verdict,) = receive(self.app, Push((update,)), gate, report)
        assert verdict.accepted, verdict

    def post_receive(self, update: RefUpdate) -> None:
        self.app.ledger.deployments.judged(update)
        self.app.ledger.deployments.value_before(update)
        to_prune(self.app, None)

    def under_lock(self, deed: Callable[..., object], *args: Any, **more: Any) -> None:
        with locked(self.app, "test", wait_s=0, tell=print):
            deed(*args, **more)


def test_no_question_of_everyday_reads_all_that_ever_happened(
    shop: Server, work: Work
) -> None:
    """Each has an index; `releases` and `history` alone read what they print."""
    said: list[str] = []
    with opened(shop) as app:
        for _, deed in Everyday(app, work).doings():
            with ledgers.listening(app, said.append):
                deed()
        asked = {" ".join(sql.split()): None for sql in said}
        questions = [sql for sql in asked if re.match("SELECT|INSERT|UPDATE|DEL", sql)]
        slow = [(sql, how) for sql in questions for how in ledgers.plan(app, sql)]
    assert len(questions) > 50
    assert [(how, sql) for sql, how in slow if is_slow(how)] == []


def is_slow(how: str) -> bool:
    """Tell whether part of a plan reads, or sorts, all of a table that grows."""
    if "TEMP B-TREE" in how:
        return True
    tables = "release|deployment|step_output"
    scan = re.match(rf"SCAN ({tables})\b(?: USING (?:COVERING )?INDEX (\w+))?", how)
    return scan is not None and scan[2] not in FEW


def test_a_slow_question_is_told_from_a_quick_one(shop: Server) -> None:
    """The control: what the promise above forbids is found where it is."""
    with opened(shop) as app:
        for sql, slow in {
            "SELECT * FROM release": True,
            "SELECT * FROM release WHERE state <> 'pruned'": True,
            "SELECT max(id) FROM deployment GROUP BY ref": True,
            "SELECT * FROM release WHERE number = 1 ORDER BY created": False,
            "SELECT * FROM deployment WHERE ref = 'x' ORDER BY started": True,
            "SELECT * FROM release WHERE state = 'preparing'": False,
        }.items():
            assert any(map(is_slow, ledgers.plan(app, sql))) is slow, sql


def test_what_is_done_every_day_costs_the_same_after_50_000_deployments(
    server: Server, work: Work
) -> None:
    """SQLite's machine takes as many steps for it as on the first day."""
    server.setup("second")
    past = {"shop": (50, 500), "second": (5_000, 50_000)}
    steps = {}
    for app_name, (releases, deployments) in past.items():
        ledger = server.root / app_name / "ledger.db"
        ledgers.with_a_past(ledger, releases=releases, deployments=deployments)
        other = Work.create(work.path.with_name(app_name))
        other.connect(server.url(app_name))
        staged(server, other)
        steps[app_name] = counted(server, app_name, other)
    few, many = steps.values()
    assert few.keys() == many.keys()
    grown = {what: (few[what], many[what]) for what in few if many[what] > few[what]}
    assert grown == {}


def counted(server: Server, app_name: str, work: Work) -> dict[str, int]:
    """Return how many steps of SQLite's machine each doing takes."""
    steps: dict[str, int] = {}
    with App.open(server.root, app_name, surroundings(os.environ), "ada") as app:
        for what, deed in Everyday(app, work).doings():
            seen: list[None] = []
            with ledgers.counting(app, lambda seen=seen: seen.append(None)):
                deed()
            steps[what] = len(seen)
    return steps


# Names in an order of their own: git sorts bytes, and `/` comes after `-` and `.`.
NAMES = "a a-b a.b b/c b-c b0 B é ü/x ff 漢 😀 deploy deployer"


def test_as_many_refs_as_there_are_are_compared_as_one_text(shop: Server) -> None:
    """What git lists and what the ledger lists agree to the byte, in every order."""
    names = [f"refs/{kind}/{n}" for kind in ("tags", "a", "z") for n in NAMES.split()]
    with opened(shop) as app:
        head = app.repository.refs()["refs/heads/main"]
        updates = [RefUpdate(name, NOTHING, head) for name in names]
        app.repository.move(updates, why="test")
        assert missed(app) == sorted(updates, key=lambda update: update.ref)
        for update in updates:
            accepted(app, update)
        assert missed(app) == []
        assert app.repository.are(
            app.ledger.deployments.last_listing(), besides="refs/deploy/"
        )
        for name in ("refs/a/a", "refs/deployer", "refs/tags/ü/x", "refs/z/😀"):
            if name in names:
                unseen = RefUpdate(name, head, NOTHING)
            else:
                unseen = RefUpdate(name, NOTHING, head)
            app.repository.move([unseen], why="test")
            assert missed(app) == [unseen]
            app.repository.move([unseen.reversed()], why="test")
        assert missed(app) == []


def accepted(app: App, update: RefUpdate) -> None:
    """Write an event that accepted an update into the ledger."""
    event = app.ledger.deployments.begin(
        "store", by="ada", started="then", ref=update.ref, new=update.new
    )
    app.ledger.deployments.end(event.id, "accepted")


# --- memory -----------------------------------------------------------------

# Prints the most memory, in MiB, of any of the processes that a push consists of.
MOST = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
print(done.stderr)
"""


def test_a_large_file_takes_no_more_memory_than_a_small_one(
    server: Server, work: Work
) -> None:
    """Every git on the way lets it through in pieces, and so do we."""
    small = pushed(work, 1)
    assert pushed(work, 300) < small + 100
    release = server.link("shop-staging")
    assert release is not None
    assert (release / "large").stat().st_size == 300 * 2**20


def pushed(work: Work, size_mib: int) -> int:
    """Push a file of that size; return how much memory that took, in MiB."""
    for setting in ("core.bigFileThreshold=1m", "core.looseCompression=1"):
        work.git("config", *setting.split("="))  # the pusher's git is not what counts
    os.truncate(work.write("large", ""), size_mib * 2**20)
    work.commit("large")
    words = (sys.executable, "-c", MOST, "git", "push", "server", "main")
    done = process.run(*words, cwd=work.path)
    code, most_mib = done.stdout.splitlines()[0].split()
    assert code == "0", done.stdout
    return int(most_mib)
