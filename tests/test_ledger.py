"""The ledger remembers all of it or none of it, and gives no number out twice."""

import re
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ledgers import VERSION_1

from gitdeploy.chain import Chain
from gitdeploy.errors import StateError, SystemFailed
from gitdeploy.ledger import Ledger, database, dumps, loads, schema
from gitdeploy.ledger.database import Database
from gitdeploy.model import CHAINS, Entry, Freeze, RefUpdate

NOW, LATER = "2026-11-21T19:11:02Z", "2026-11-21T20:00:00Z"
A, B, C = "a" * 40, "b" * 40, "c" * 40
NOTHING = "0" * 40


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shop" / "ledger.db"


@pytest.fixture
def ledger(path):
    path.parent.mkdir()
    ledger = Ledger(path, create=True)
    yield ledger
    ledger.close()


def begun(ledger, content="x"):
    return ledger.releases.begin(content=content, created=NOW, suffix="20261121-abc")


def ready(ledger, content="x"):
    return ledger.releases.seal(begun(ledger, content), at=NOW)


def entries(*numbers, ref="refs/heads/main"):
    return tuple(Entry(number, A, ref, NOW) for number in numbers)


def changed(ledger, chain, why="test", at=NOW):
    """Change a chain as a deployment does."""
    event = ledger.deployments.begin("stage", by="ada", started=NOW, chain=chain.name)
    head = chain.head.release if chain.head else None
    ledger.deployments.intend(
        event.id, release=head, from_release=None, plan=dumps(chain, chain)
    )
    ledger.change(event.id, chain, at=at, why=why)
    return event


def told(ledger, ref, new, verdict, old=NOTHING):
    event = ledger.deployments.begin(
        "stage", by="ada", started=NOW, ref=ref, old=old, new=new
    )
    ledger.deployments.end(event.id, verdict)
    return event


# --- the file ---------------------------------------------------------------


def test_a_ledger_is_made_and_opened_again(ledger, path):
    release = ready(ledger)
    ledger.close()
    again = Ledger(path)
    assert again.releases.get(release.number) == release
    again.close()


def test_what_is_committed_survives_a_power_cut(ledger, path):
    file = sqlite3.connect(path)
    assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    file.close()
    (row,) = ledger._database.rows("PRAGMA synchronous")  # noqa: SLF001 - what no method shows
    assert row[0] == 2


def test_a_missing_ledger_is_not_made_by_opening_it(path):
    path.parent.mkdir()
    with pytest.raises(StateError, match="the ledger is missing") as no:
        Ledger(path)
    assert no.value.hint == "gitdeploy repair --from-links shop"
    assert not path.exists()


def test_a_ledger_of_a_newer_gitdeploy_is_refused_and_left(ledger, path):
    ledger.close()
    file = sqlite3.connect(path)
    file.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    file.close()
    with pytest.raises(StateError, match="newer gitdeploy") as no:
        Ledger(path)
    assert "upgrade" in no.value.hint


# What was done before the ledger had version 2: events with their plans, two refs
# that moved, one that was deleted, and outputs of a release that was pruned since.
EARLIER = """
INSERT INTO release (number, name, content, state, created)
VALUES (1, '1-x', 'x', 'pruned', 'then'), (2, '2-x', 'y', 'ready', 'then');
INSERT INTO chain VALUES ('dev', 0, 1, 2, NULL, 'refs/heads/main', 'then');
INSERT INTO step_output VALUES ('key', 1), ('key', 2);
INSERT INTO deployment (ref, new, verdict, state, plan, action, "by", started) VALUES
('refs/heads/main', 'aaa', 'deployed', 'ended', '[]', 'stage', 'ada', 'then'),
('refs/heads/main', 'bbb', 'unchanged', 'ended', '[]', 'stage', 'ada', 'then'),
('refs/heads/main', 'ccc', 'refused', 'ended', '', 'stage', 'ada', 'then'),
('refs/tags/v1', 'ddd', 'rolled back', 'ended', '[]', 'release', 'ada', 'then'),
('refs/tags/v2', 'eee', 'deployed', 'ended', '[]', 'release', 'ada', 'then'),
('refs/tags/v2', '000', 'accepted', 'ended', NULL, 'delete', 'ada', 'then'),
(NULL, NULL, 'rolled back', 'ended', '[]', 'rollback', 'ada', 'then'),
('refs/heads/main', 'fff', NULL, 'intended', '[1]', 'stage', 'ada', 'then');
"""


def written_by_version_1(path):
    path.parent.mkdir(exist_ok=True)
    for old in path.parent.glob("ledger.db*"):
        old.unlink()
    with closing(sqlite3.connect(path)) as file:
        file.executescript(VERSION_1 + EARLIER)


def written_by_version_2(path):
    written_by_version_1(path)
    with closing(sqlite3.connect(path)) as file:
        file.executescript(f"{schema.FROM_VERSION_1}{schema.INDICES}")
        file.execute("PRAGMA user_version = 2")


def written_by_version_3(path):
    written_by_version_2(path)
    with closing(sqlite3.connect(path)) as file:
        file.executescript(f"{schema.FROM_VERSION_2}{schema.INDICES}")
        for column in ("key", "overrode", "signer", "certificate"):
            file.execute(f"ALTER TABLE deployment DROP COLUMN {column}")
        file.execute("PRAGMA user_version = 3")


def written_by_version_4(path):
    written_by_version_3(path)
    with closing(sqlite3.connect(path)) as file:
        file.executescript(schema.FROM_VERSION_3)
        file.execute("PRAGMA user_version = 4")


EARLIER_VERSIONS = pytest.mark.parametrize(
    "written",
    [
        written_by_version_1,
        written_by_version_2,
        written_by_version_3,
        written_by_version_4,
    ],
)


def schema_of(path):
    """Return every table and index, by name, however it is laid out."""
    with closing(sqlite3.connect(path)) as file:
        rows = file.execute("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL")
        plain = {n: re.sub(r"--.*|\s", "", sql) for n, sql in rows}
        return plain, file.execute("PRAGMA user_version").fetchone()


@EARLIER_VERSIONS
def test_a_ledger_of_an_earlier_version_knows_all_that_it_knew(path, written):
    written(path)
    ledger = Ledger(path)
    deployments = ledger.deployments
    assert deployments.last_values() == {
        "refs/heads/main": "bbb",
        "refs/tags/v1": "ddd",
    }
    (unfinished,) = deployments.unfinished()
    assert deployments.plan(unfinished.id) == "[1]"
    assert [deployments.plan(e.id) for e in deployments.history(9)[1:]] == [None] * 7
    assert [release.number for release in ledger.releases.holding("key")] == [2]
    assert [e.release for e in ledger.chains.read("dev").entries] == [2]
    assert ledger.damage() == []
    ledger.close()


@EARLIER_VERSIONS
def test_a_ledger_of_an_earlier_version_becomes_what_a_new_one_is(
    path, tmp_path, written
):
    written(path)
    Ledger(path).close()
    Ledger(tmp_path / "new.db", create=True).close()
    assert schema_of(path) == schema_of(tmp_path / "new.db")


@EARLIER_VERSIONS
def test_a_change_of_version_that_dies_is_made_by_whoever_comes_next(
    path, monkeypatch, written
):
    """Nobody ever sees half of it: it is one transaction."""
    real, times = Database.execute, 0
    while True:
        written(path)
        before, left = schema_of(path), times

        def dying(self, sql, *values):
            nonlocal left
            if sql.strip() and self.path == path and "PRAGMA s" not in sql:
                left -= 1
                if left == -1:
                    raise KeyboardInterrupt
            return real(self, sql, *values)

        with monkeypatch.context() as patch:
            patch.setattr(Database, "execute", dying)
            try:
                Ledger(path).close()
            except KeyboardInterrupt:
                times += 1
            else:
                break
        assert schema_of(path) == before
        ledger = Ledger(path)
        assert len(ledger.deployments.last_values()) == 2
        ledger.close()
    assert times > (15 if written is written_by_version_1 else 5)


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"this is not a database, though it has a name" * 10,
        lambda data: b"\0" * 100 + data[100:],
        lambda data: data[:16] + b"\xff" * (len(data) - 16),
    ],
    ids=["other content", "no header", "only a header"],
)
def test_a_damaged_file_is_told_with_the_way_out(ledger, path, damage, create):
    ready(ledger)
    ledger.close()
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(StateError, match=str(path)) as no:
        Ledger(path, create=create)
    assert no.value.hint.startswith(f"mv {path} ")
    assert "gitdeploy repair --from-links" in no.value.hint


def test_damage_that_is_found_while_reading_is_told_as_such(ledger, path):
    for _ in range(200):
        begun(ledger)
    ledger.close()
    page = 4096
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        for at in range(page, size, page):
            file.seek(at)
            file.write(b"\xff" * page)
    ledger = Ledger(path)
    with pytest.raises(StateError):
        ledger.releases.newest(10)
    ledger.close()


def test_a_ledger_that_cannot_be_written_is_told_as_such(ledger, path, monkeypatch):
    monkeypatch.setattr(database, "_BUSY_S", 0.01)
    busy = Ledger(path)
    with ledger.transaction(), pytest.raises(SystemFailed, match="locked"):
        begun(busy)
    busy.close()


def test_two_who_make_a_ledger_at_once_both_have_it(path, monkeypatch):
    path.parent.mkdir()
    transaction = Database.transaction

    def overtaken(one):
        monkeypatch.undo()
        Ledger(path, create=True).close()
        return transaction(one)

    monkeypatch.setattr(Database, "transaction", overtaken)
    Ledger(path, create=True).close()


# --- releases ---------------------------------------------------------------


def test_numbers_count_up_and_name_the_release(ledger):
    names = [begun(ledger).name for _ in range(3)]
    assert names == ["1-20261121-abc", "2-20261121-abc", "3-20261121-abc"]


def test_no_number_is_given_out_again_after_pruning_and_opening_again(ledger, path):
    releases = [ready(ledger) for _ in range(3)]
    for release in releases:
        ledger.releases.prune(release)
    ledger.close()
    again = Ledger(path)
    assert begun(again).number == 4
    again.close()


def test_no_number_is_given_out_that_was_to_be_skipped(ledger, path):
    ledger.releases.skip_numbers(41)
    ledger.close()
    again = Ledger(path)
    assert begun(again).number == 42
    again.close()


def test_a_number_that_was_rolled_back_left_no_trace(ledger):
    def begin_and_die():
        with ledger.transaction():
            begun(ledger)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin_and_die()
    assert ledger.releases.newest(10) == []


@pytest.mark.parametrize(
    ("before", "event"),
    [
        ("ready", "seal"),
        ("ready", "fail"),
        ("failed", "seal"),
        ("failed", "fail"),
        ("pruned", "prune"),
        ("pruned", "seal"),
        ("preparing", "prune"),
    ],
)
def test_a_release_only_moves_along_its_states(ledger, before, event):
    release = begun(ledger)
    if before in ("ready", "pruned"):
        release = ledger.releases.seal(release, at=NOW)
    if before == "failed":
        ledger.releases.fail(release, "why")
    if before == "pruned":
        ledger.releases.prune(release)
    release = ledger.releases.get(release.number)
    moves = {
        "seal": lambda: ledger.releases.seal(release, at=NOW),
        "fail": lambda: ledger.releases.fail(release, "why"),
        "prune": lambda: ledger.releases.prune(release),
    }
    with pytest.raises(StateError, match=f"{event} cannot happen in state {before}"):
        moves[event]()
    assert ledger.releases.get(release.number) == release


def test_releases_are_found_by_number_name_and_content(ledger):
    first, second, other = ready(ledger), ready(ledger), ready(ledger, "y")
    failed = begun(ledger)
    ledger.releases.fail(failed, "why")
    assert ledger.releases.find("2") == second
    assert ledger.releases.find(other.name) == other
    assert ledger.releases.find("nobody") is None
    assert ledger.releases.find("99") is None
    assert ledger.releases.ready_with("x") == [second, first]
    assert [r.number for r in ledger.releases.newest(2)] == [4, 3]
    assert [r.number for r in ledger.releases.on_disk()] == [1, 2, 3, 4]
    ledger.releases.prune(first)
    assert [r.number for r in ledger.releases.on_disk()] == [2, 3, 4]
    assert ledger.releases.ready_with("x") == [second]


def test_a_release_keeps_what_it_was_sealed_with(ledger):
    sealed = ledger.releases.seal(
        begun(ledger), at=LATER, files=3, size_bytes=2**40, path="/srv/x"
    )
    assert (sealed.state, sealed.ready, sealed.files) == ("ready", LATER, 3)
    assert (sealed.size_bytes, sealed.path) == (2**40, "/srv/x")
    ledger.releases.pin(sealed.number, pinned=True)
    assert ledger.releases.get(sealed.number).pinned is True
    ledger.releases.pin(sealed.number, pinned=False)
    assert ledger.releases.get(sealed.number) == sealed


# --- transactions -----------------------------------------------------------


def test_an_error_takes_everything_of_a_transaction_back(ledger):
    ready(ledger)
    before = ledger.chains.read("dev")

    def change_and_die():
        with ledger.transaction():
            ledger.chains.write(Chain("dev", entries(1)))
            ledger.set_setting("links", "5")
            ledger.set_freeze(Freeze("why", "ada", NOW))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change_and_die()
    assert ledger.chains.read("dev") == before
    assert ledger.setting("links") is None
    assert ledger.freeze is None
    ledger.set_setting("links", "3")  # it takes changes again
    assert ledger.setting("links") == "3"


def test_nobody_sees_half_a_transaction(ledger, path):
    ready(ledger)
    reader = Ledger(path)
    with ledger.transaction():
        ledger.chains.write(Chain("dev", entries(1)))
        assert reader.chains.read("dev").entries == ()
    assert reader.chains.read("dev").entries == entries(1)
    reader.close()


def test_a_chain_names_only_releases_that_exist(ledger):
    with pytest.raises(sqlite3.IntegrityError), ledger.transaction():
        ledger.chains.write(Chain("dev", entries(99)))
    assert ledger.chains.read("dev").entries == ()


# --- a change of the chain --------------------------------------------------


def test_a_change_is_the_chain_and_its_event_together(ledger):
    ready(ledger)
    event = changed(ledger, Chain("dev", entries(1)))
    assert ledger.chains.read("dev").entries == entries(1)
    assert ledger.deployments.get(event.id).state == "changed"


def test_a_change_whose_event_cannot_be_is_none_at_all(ledger):
    ready(ledger)
    event = changed(ledger, Chain("dev", entries(1)))
    ledger.deployments.end(event.id, "deployed")
    with pytest.raises(StateError, match="change cannot happen in state ended"):
        ledger.change(event.id, Chain("dev"), at=NOW, why="again")
    assert ledger.chains.read("dev").entries == entries(1)
    assert ledger.releases.get(1).left_at is None


def test_what_leaves_a_chain_says_when_and_why_until_it_comes_back(ledger):
    ready(ledger), ready(ledger)
    chain = Chain("dev", entries(2, 1))
    changed(ledger, chain)
    back = chain.roll_back(1, LATER)
    changed(ledger, back, why="rollback by ada", at=LATER)
    left = ledger.releases.get(2)
    assert (left.left_at, left.left_why) == (LATER, "rollback by ada")
    assert ledger.releases.get(1).left_at is None
    changed(ledger, back.roll_forward(LATER))
    assert ledger.releases.get(2).left_at is None
    assert ledger.releases.get(2).left_why is None


def test_all_that_a_roll_forward_brings_back_is_on_the_chain_again(ledger):
    for _ in range(3):
        ready(ledger)
    chain = Chain("dev", entries(3, 2, 1))
    changed(ledger, chain)
    back = chain.roll_back(2, LATER)
    changed(ledger, back)
    changed(ledger, back.roll_forward(LATER))
    assert [ledger.releases.get(n).left_at for n in (3, 2, 1)] == [None] * 3


def test_what_leaves_one_chain_and_is_on_the_other_is_not_left(ledger):
    ready(ledger), ready(ledger)
    chain = Chain("prod", entries(2, 1))
    changed(ledger, Chain("dev", entries(2, 1)))
    changed(ledger, chain)
    changed(ledger, chain.roll_back(1, LATER))
    assert ledger.releases.get(2).left_at is None


# --- settings and the freeze ------------------------------------------------


def test_a_setting_is_remembered_and_replaced(ledger):
    assert ledger.setting("target") is None
    ledger.set_setting("target", "www")
    ledger.set_setting("target", "../elsewhere")
    assert ledger.setting("target") == "../elsewhere"


def test_a_freeze_is_put_on_replaced_and_taken_off(ledger):
    assert ledger.freeze is None
    for freeze in (Freeze("release", "ada", NOW), Freeze("holiday", "bob", LATER)):
        ledger.set_freeze(freeze)
        assert ledger.freeze == freeze
    ledger.set_freeze(None)
    ledger.set_freeze(None)
    assert ledger.freeze is None


# --- history ----------------------------------------------------------------


def test_history_is_the_latest_first_whatever_the_clock_said(ledger):
    begin = ledger.deployments.begin
    ids = [begin("stage", by="ada", started=at).id for at in (LATER, NOW, LATER)]
    assert [event.id for event in ledger.deployments.history(10)] == ids[::-1]
    assert [event.id for event in ledger.deployments.history(2)] == ids[:0:-1]


def test_an_event_keeps_what_it_was_told_and_its_release_s_name(ledger):
    release = ready(ledger)
    event = ledger.deployments.begin(
        "stage", by="ada", started=NOW, chain="dev", ref="refs/heads/x", old=A, new=B
    )
    ledger.deployments.end(
        event.id,
        "failed",
        reason="because",
        seconds=1.5,
        timings=[("checkout", 0.1)],
        release=release.number,
    )
    kept = ledger.deployments.get(event.id)
    assert (kept.ref, kept.old, kept.new, kept.by) == ("refs/heads/x", A, B, "ada")
    assert (kept.verdict, kept.reason, kept.seconds) == ("failed", "because", 1.5)
    assert (kept.release, kept.release_name) == (release.number, release.name)
    assert kept.timings == '[["checkout", 0.1]]'


def test_events_without_a_verdict_are_unfinished_the_oldest_first(ledger):
    release = ready(ledger)
    events = [ledger.deployments.begin("stage", by="a", started=NOW) for _ in range(4)]
    for event in events[1:]:
        ledger.deployments.intend(
            event.id, release=release.number, from_release=None, plan="{}"
        )
    for event in events[2:]:
        ledger.deployments.changed(event.id)
    ledger.deployments.end(events[3].id, "deployed")
    unfinished = ledger.deployments.unfinished()
    assert [event.id for event in unfinished] == [event.id for event in events[:3]]
    assert [event.state for event in unfinished] == ["begun", "intended", "changed"]
    assert ledger.deployments.plan(events[1].id) == "{}"


def test_an_event_has_one_verdict(ledger):
    event = told(ledger, "refs/heads/main", A, "refused")
    with pytest.raises(StateError, match="end cannot happen in state ended"):
        ledger.deployments.end(event.id, "deployed")
    with pytest.raises(StateError, match="no deployment 99"):
        ledger.deployments.end(99, "deployed")


@pytest.mark.parametrize(
    ("verdict", "counts"),
    [
        ("deployed", True),
        ("rolled back", True),
        ("unchanged", True),
        ("accepted", True),
        ("refused", False),
        ("failed", False),
        ("superseded", False),
        ("abandoned", False),
    ],
)
def test_only_a_verdict_that_let_the_ref_move_counts_for_its_value(
    ledger, verdict, counts
):
    told(ledger, "refs/heads/main", A, "deployed")
    told(ledger, "refs/heads/main", B, verdict)
    update = RefUpdate("refs/heads/main", NOTHING, B)
    assert ledger.deployments.judged(update) is counts
    assert ledger.deployments.last_values() == {"refs/heads/main": B if counts else A}


def test_the_latest_value_counts_ref_by_ref(ledger):
    assert ledger.deployments.last_values() == {}
    for ref, value in (("r/a", A), ("r/b", B), ("r/a", C), ("r/b", B), ("r/a", A)):
        told(ledger, ref, value, "deployed")
    assert ledger.deployments.last_values() == {"r/a": A, "r/b": B}


def test_an_update_stays_judged_until_its_ref_is_back_where_it_began(ledger):
    """The next push may be judged before git runs the hook after this one."""
    first = RefUpdate("r/a", NOTHING, A)
    judged = ledger.deployments.judged
    assert not judged(first)
    told(ledger, "r/a", A, "deployed")
    told(ledger, "r/a", B, "deployed", old=A)
    assert judged(first)
    assert judged(RefUpdate("r/a", A, B))
    assert not judged(RefUpdate("r/a", NOTHING, B))
    assert not judged(RefUpdate("r/b", NOTHING, A))
    told(ledger, "r/a", A, "rolled back", old=B)
    assert judged(first)
    assert judged(RefUpdate("r/a", B, A))
    assert not judged(RefUpdate("r/a", A, B))
    told(ledger, "r/a", NOTHING, "accepted", old=A)
    assert not judged(first)


def test_an_action_on_the_server_changes_no_ref_s_value(ledger):
    told(ledger, "refs/heads/main", A, "deployed")
    changed(ledger, Chain("dev"))
    assert ledger.deployments.last_values() == {"refs/heads/main": A}


def test_a_ref_and_a_reason_of_odd_bytes_are_kept(ledger):
    event = told(ledger, "refs/heads/caf\udce9", A, "refused")
    assert ledger.deployments.get(event.id).ref == r"refs/heads/caf\xe9"


# --- chains -----------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
GROUPS = st.lists(
    st.builds(
        Entry,
        st.integers(1, 5),
        st.none() | st.just(A),
        st.none() | TEXT,
        TEXT,
    ),
    max_size=4,
).map(tuple)
STORED = st.builds(
    Chain,
    st.sampled_from(CHAINS),
    GROUPS,
    st.lists(GROUPS.filter(bool), max_size=3).map(tuple),
)


@pytest.fixture(scope="module")
def five(tmp_path_factory):
    """A ledger of five releases, for many chains one after another."""
    ledger = Ledger(tmp_path_factory.mktemp("five") / "ledger.db", create=True)
    for _ in range(5):
        ready(ledger)
    yield ledger
    ledger.close()


@settings(deadline=None)  # it syncs
@given(STORED)
def test_a_chain_is_read_as_it_was_written_with_what_was_undone(five, chain):
    with five.transaction():
        five.chains.write(chain)
    assert five.chains.read(chain.name) == chain


@settings(deadline=None, max_examples=30)
@given(STORED, STORED)
def test_writing_one_chain_leaves_the_other(five, one, other):
    with five.transaction():
        five.chains.write(Chain("dev", one.entries, one.undone))
        five.chains.write(Chain("prod", other.entries, other.undone))
    assert five.chains.read("dev").entries == one.entries
    assert five.chains.read("prod").undone == other.undone


@given(STORED, STORED)
def test_a_chain_survives_being_an_intent(chain, other):
    assert loads(dumps(chain, other)) == (chain, other)
