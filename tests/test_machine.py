"""Any history of pushes and commands, against a model that knows only lists.

Real git pushes over a path into a real app; after every step the links, the ledger,
`status` and `refs/deploy/*` must say what the model says. GITDEPLOY_LONG=1 looks
longer, and at other histories each time.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from support.git import Push, Work
from support.server import Server

from gitdeploy.chain import Chain
from gitdeploy.deploy import look, roll
from gitdeploy.deploy.app import App
from gitdeploy.deploy.prune import prune
from gitdeploy.deploy.recover import locked
from gitdeploy.deploy.report import Report
from gitdeploy.door import surroundings
from gitdeploy.errors import NothingThere
from gitdeploy.model import Entry
from gitdeploy.system.client import Client

LONG = os.environ.get("GITDEPLOY_LONG") == "1"
LINKS = 3
MAIN = "refs/heads/main"
CHAINS = ("dev", "prod")

# Nothing is pruned but by the rule that prunes.
GOOD = "[releases]\nkeep = 1000\n"
BAD = GOOD + '[[build.steps]]\nrun = "exit 1"\n'

moves = st.tuples(
    st.sampled_from(["rollback", "rollforward", "release"]),
    st.sampled_from(CHAINS),
    st.integers(1, 2),
)
pages = st.sampled_from("abcd")  # few, so that content comes again


# --- the model ------------------------------------------------------------------


class Placed(NamedTuple):
    """A tree on a chain, and the ref that put it there."""

    tree: str
    ref: str | None


class Lists:
    """What one chain should be: a list, and the lists that roll backs took off."""

    def __init__(self) -> None:
        self.entries: list[Placed] = []
        self.undone: list[list[Placed]] = []

    @property
    def trees(self) -> list[str]:
        return [placed.tree for placed in self.entries]

    @property
    def shown(self) -> list[str | None]:
        return [*self.trees, *[None] * LINKS][:LINKS]

    def head_is_by(self, ref: str) -> bool:
        return bool(self.entries) and self.entries[0].ref == ref

    def put(self, placed: Placed) -> str:
        if self.trees[:1] == [placed.tree]:
            return "unchanged"
        self.entries.insert(0, placed)
        self.undone.clear()
        return "deployed"

    def push(self, placed: Placed) -> str:
        if placed.tree not in self.trees[1:] or self.trees[0] == placed.tree:
            return self.put(placed)
        self.roll_back(self.trees.index(placed.tree))
        self.entries[0] = placed
        return "rolled back"

    def roll_back(self, steps: int) -> str:
        self.undone.insert(0, self.entries[:steps])
        del self.entries[:steps]
        return "rolled back"

    def roll_forward(self) -> str:
        self.entries[:0] = self.undone.pop(0)
        return "rolled forward"

    def forget(self, gone: set[str]) -> None:
        groups = [self.entries, *self.undone]
        kept = [[placed for placed in g if placed.tree not in gone] for g in groups]
        self.entries, self.undone = kept[0], [group for group in kept[1:] if group]


class Model:
    """What the server should hold."""

    def __init__(self) -> None:
        self.chains = {name: Lists() for name in CHAINS}
        self.ready: list[str] = []
        """Trees that were built, oldest first."""
        self.refs: dict[str, str] = {}
        """Every ref that was accepted, and the object id it holds."""

    @property
    def free(self) -> list[str]:
        """Trees that were built and that no link shows, oldest first."""
        shown = {tree for lists in self.chains.values() for tree in lists.shown}
        return [tree for tree in self.ready if tree not in shown]

    def push(self, ref: str, oid: str, tree: str) -> str:
        chain = self.chains["dev" if ref == MAIN else "prod"]
        self.refs[ref] = oid
        if tree not in self.ready:
            self.ready.append(tree)
        return chain.push(Placed(tree, ref))

    def prune(self, keep: int) -> None:
        gone = set(self.free[: max(len(self.free) - keep, 0)])
        self.ready = [tree for tree in self.ready if tree not in gone]
        for lists in self.chains.values():
            lists.forget(gone)


# --- the machine ----------------------------------------------------------------


class Machine(RuleBasedStateMachine):
    """A developer with a clone, a person on the server, and the model."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="gitdeploy-machine-"))
        self.server = Server(self.place / "server")
        self.server.setup("shop")
        self.work = Work.create(self.place / "work")
        self.work.connect(self.server.url())
        self.model = Model()
        self.tags = 0
        self.commits: list[str] = []
        """Those whose build does not fail."""
        self.trees: dict[str, str] = {}
        """The tree of each commit."""
        self.files: dict[str, dict[str, bytes]] = {}
        """The files of each tree."""
        self._commit(page="a", **{"deploy.toml": GOOD})

    def teardown(self) -> None:
        try:
            with self._app() as app:
                assert self.server.status() == look.status(app)
        finally:
            shutil.rmtree(self.place)

    @initialize(number=st.integers(0, 3))
    def begin_with_some_releases(self, number: int) -> None:
        """Otherwise half of every history would be spent on getting anywhere."""
        for page in "abc"[:number]:
            self.push_main_and_a_tag_together(page)

    # --- pushes -------------------------------------------------------------------

    @rule(page=pages, name=st.sampled_from(["page", "other"]))
    def commit_and_push(self, page: str, name: str) -> None:
        self._commit(**{name: page})
        self._push_main()

    @rule()
    def push_main_as_it_is(self) -> None:
        self._push_main("--force")

    @precondition(lambda self: self._head_can_be_reverted())
    @rule()
    def revert_and_push(self) -> None:
        self.work.revert()
        self._remember()
        self._push_main("--force")

    @precondition(lambda self: len(self.commits) > 1)
    @rule(data=st.data())
    def force_push_an_earlier_commit(self, data: st.DataObject) -> None:
        commit = data.draw(st.sampled_from(self.commits))
        self.work.git("reset", "--quiet", "--hard", commit)
        self._push_main("--force")

    @rule(annotated=st.booleans())
    def tag_and_push(self, *, annotated: bool) -> None:
        name = self._tag(annotated=annotated)
        tree = self.trees[self.work.head]
        oid = self.work.oid(f"refs/tags/{name}")
        self._accepted(self.work.push(name))
        self._told(self.model.push(f"refs/tags/{name}", oid, tree))

    @rule(page=pages)
    def push_main_and_a_tag_together(self, page: str) -> None:
        commit = self._commit(page=page)
        name = self._tag(annotated=False)
        self._accepted(self.work.push("--force", "main", name))
        if self.model.refs.get(MAIN) != commit:
            self.model.push(MAIN, commit, self.trees[commit])
        tag = f"refs/tags/{name}"
        self._told(self.model.push(tag, commit, self.trees[commit]))

    @precondition(lambda self: self._pushed_tags())
    @rule(data=st.data())
    def delete_a_tag_and_push_that(self, data: st.DataObject) -> None:
        tag = data.draw(st.sampled_from(self._pushed_tags()))
        pushed, prod = self.work.push(f":{tag}"), self.model.chains["prod"]
        if not prod.head_is_by(tag):
            self._accepted(pushed)
            del self.model.refs[tag]
        elif len(prod.entries) > 1:
            self._accepted(pushed)
            del self.model.refs[tag]
            self._told(prod.roll_back(1))
        else:
            self._refused(pushed, tag, "no release is behind it")

    @rule(ref=st.sampled_from(["refs/heads/topic", "refs/notes/x", "refs/deploy/x"]))
    def push_to_a_ref_that_does_not_deploy(self, ref: str) -> None:
        pushed = self.work.push(f"HEAD:{ref}")
        self._refused(pushed, ref, "hidden" if "deploy/" in ref else "deploys nothing")

    @rule(page=pages, tagged=st.booleans())
    def push_a_build_that_fails_then_amend_it(self, page: str, *, tagged: bool) -> None:
        self.work.commit("broken", **{"page": page, "deploy.toml": BAD})
        if tagged:
            name = self._tag(annotated=False)
            self._refused(self.work.push(name), name, "failed: exit 1")
        else:
            self._refused(self.work.push("--force", "main"), MAIN, "failed: exit 1")
        self.work.write("deploy.toml", GOOD)
        self.work.git(
            "commit", "--quiet", "--all", "--amend", "--allow-empty", "--no-edit"
        )
        self._remember()

    # --- on the server ------------------------------------------------------------

    @rule(moves=st.lists(moves, min_size=1, max_size=6))
    def act_on_the_server(self, moves: list[tuple[str, str, int]]) -> None:
        """Several at once, since each costs little beside a push."""
        for word, name, steps in moves:
            match word:
                case "rollback":
                    self._roll_back(name, steps)
                case "rollforward":
                    self._roll_forward(name)
                case "release":
                    self._release()

    def _roll_back(self, name: str, steps: int) -> None:
        lists = self.model.chains[name]
        there = steps < len(lists.entries)
        self._act(
            lambda app: roll.roll_back(app, name, Report(Client(None)), steps=steps),
            (lambda: lists.roll_back(steps)) if there else None,
        )

    def _roll_forward(self, name: str) -> None:
        lists = self.model.chains[name]
        self._act(
            lambda app: roll.roll_forward(app, name, Report(Client(None))),
            lists.roll_forward if lists.undone else None,
        )

    def _release(self) -> None:
        dev, prod = self.model.chains["dev"], self.model.chains["prod"]
        self._act(
            lambda app: roll.release_staged(app, Report(Client(None))),
            (lambda: prod.put(Placed(dev.trees[0], None))) if dev.trees else None,
        )

    @precondition(lambda self: self.model.free)
    @rule(keep=st.integers(0, 1))
    def prune(self, keep: int) -> None:
        with self._app() as app, locked(app, "prune", wait_s=9, tell=pytest.fail):
            prune(app, keep=keep, dry_run=False)
        self.model.prune(keep)

    # --- promises -----------------------------------------------------------------

    @invariant()
    def every_link_shows_what_the_model_says(self) -> None:
        links = self.server.links()  # each resolves, or this raises
        nothing = self.server.root / "shop" / "empty"
        for name, lists in self.model.chains.items():
            for position, tree in enumerate(lists.shown, start=1):
                directory = links.pop(f"shop-{name}-{position}")
                assert files_of(directory) == (self.files[tree] if tree else {})
                assert (directory == nothing) == (tree is None)
        heads = {name: self.server.link(f"shop-{name}-1") for name in CHAINS}
        assert links == {"shop": heads["prod"], "shop-staging": heads["dev"]}

    @invariant()
    def the_ledger_and_status_say_the_same(self) -> None:
        with self._app() as app:
            for name, lists in self.model.chains.items():
                chain = app.ledger.chains.read(name)
                assert placed_on(app, chain) == [lists.entries, *lists.undone]
            ready = [r for r in app.ledger.releases.on_disk() if r.state == "ready"]
            assert sorted(release.tree for release in ready) == sorted(self.model.ready)
            seen = look.status(app)
        self._status_agrees(seen)

    @invariant()
    def refs_hold_what_was_accepted_and_tell_what_is_live(self) -> None:
        refs = self.server.refs()
        live = {ref: refs.pop(ref) for ref in list(refs) if ref.startswith("refs/dep")}
        assert refs == self.model.refs
        assert {ref: self.trees[commit] for ref, commit in live.items()} == {
            f"refs/deploy/{name}/{position}": tree
            for name, lists in self.model.chains.items()
            for position, tree in enumerate(lists.shown, start=1)
            if tree
        }
        with self._app() as app:
            shown = look.status(app)["chains"]
        assert live == {
            f"refs/deploy/{name}/{seen['position']}": seen["commit"]
            for name, positions in shown.items()
            for seen in positions
            if seen["commit"]
        }

    def _status_agrees(self, seen: dict[str, Any]) -> None:
        assert not seen["pending"]
        assert seen["running"] is None
        for name, positions in seen["chains"].items():
            for place in positions:
                path = Path(place["path"] or self.server.root / "shop" / "empty")
                assert self.server.link(place["link"]) == path
                assert place["link"] == f"shop-{name}-{place['position']}"

    # --- the developer ------------------------------------------------------------

    def _commit(self, **files: str) -> str:
        self.work.commit("change", **files)
        return self._remember()

    def _remember(self) -> str:
        """Note what is checked out, as the tests see it, not as gitdeploy does."""
        commit, tree = self.work.head, self.work.oid("HEAD^{tree}")
        self.commits.append(commit)
        self.trees[commit] = tree
        self.files[tree] = files_of(self.work.path)
        return commit

    def _tag(self, *, annotated: bool) -> str:
        self.tags += 1
        self.work.tag(f"v{self.tags}", annotated=annotated)
        return f"v{self.tags}"

    def _push_main(self, *force: str) -> None:
        """Push what is checked out; git says nothing to the server if it has it."""
        head = self.work.head
        self._accepted(self.work.push(*force, "main"))
        if self.model.refs.get(MAIN) != head:
            self._told(self.model.push(MAIN, head, self.trees[head]))

    def _head_can_be_reverted(self) -> bool:
        parents = self.work.git("rev-parse", "HEAD^@").stdout.split()
        head = self.work.head
        return bool(parents) and self.trees[parents[0]] != self.trees[head]

    def _pushed_tags(self) -> list[str]:
        return sorted(ref for ref in self.model.refs if ref.startswith("refs/tags/"))

    def _accepted(self, pushed: Push) -> None:
        assert pushed.code == 0, pushed.output

    def _refused(self, pushed: Push, ref: str, reason: str) -> None:
        assert pushed.code == 1, pushed.output
        assert pushed.status(ref).flag == "!"
        assert reason in pushed.status(ref).reason

    def _told(self, verdict: str) -> None:
        """Compare the latest event's verdict with the model's."""
        with self._app() as app:
            (event,) = app.ledger.deployments.history(1)
        assert event.verdict == verdict

    # --- the person on the server -------------------------------------------------

    def _act(
        self,
        verb: Callable[[App], roll.Outcome],
        expected: Callable[[], str] | None,
    ) -> None:
        """Do what the command line does; None: there should be nothing to do it to."""
        with self._app() as app, locked(app, "test", wait_s=9, tell=pytest.fail):
            if expected is None:
                with pytest.raises(NothingThere):
                    verb(app)
            else:
                assert verb(app).word == expected()

    def _app(self) -> App:
        return App.open(self.server.root, "shop", surroundings(os.environ), "ada")


def files_of(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }


def placed_on(app: App, chain: Chain) -> list[list[Placed]]:
    def placed(entry: Entry) -> Placed:
        return Placed(app.ledger.releases.get(entry.release).tree, entry.ref)

    return [[placed(entry) for entry in g] for g in (chain.entries, *chain.undone)]


class TestMachine(Machine.TestCase):
    """Any history ends where the model says."""

    settings = settings(
        max_examples=100 if LONG else 12,
        stateful_step_count=50 if LONG else 16,
        derandomize=not LONG,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
