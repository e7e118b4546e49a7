"""The rule book: what each update of a push means."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.access import rights_of
from gitdeploy.config import RefBounds, Refs
from gitdeploy.config.access import Access, Grant
from gitdeploy.decide import (
    RESERVED,
    RULES,
    Accept,
    Change,
    Content,
    Decision,
    Deploy,
    Facts,
    RefKind,
    Refuse,
    RollBack,
    Unchanged,
    chain_of,
    classify,
    conflicts,
    decide,
    describe,
    order,
    reached,
)
from gitdeploy.model import Freeze, RefUpdate

NOTHING, ONE, TWO = "0" * 40, "1" * 40, "2" * 40

VALUES = {
    Change.CREATED: (NOTHING, TWO),
    Change.MOVED: (ONE, TWO),
    Change.DELETED: (ONE, NOTHING),
}
REFS = {
    RefKind.STAGE: "refs/heads/main",
    RefKind.RELEASE: "refs/tags/v1",
    RefKind.PREVIEW: "refs/heads/topic",
    RefKind.STORED: "refs/heads/notes",
    RefKind.OTHER: "refs/heads/notes",
    RefKind.RESERVED: "refs/deploy/prod/1",
}
FREEZE = Freeze("audit", "ada", "2026-01-01T00:00:00Z")

created, moved, deleted = Change
stage, release, preview, stored, other, reserved = RefKind
head, deeper, ready, new = Content


def facts(
    kind: RefKind, change: Change, content: Content | None = None, **known: Any
) -> Facts:
    """Facts about an update, as `gather` would find them unless `known` differs."""
    old, pushed = VALUES[change]
    gone = change is deleted
    position = {head: 1, deeper: 3}.get(content)
    ordinary = {
        "update": RefUpdate(REFS[kind], old, pushed),
        "object_type": None if gone else "commit",
        "commit": None if gone else pushed,
        "refs": Refs(),
        "position": position,
        "behind": 4,
    }
    return Facts(kind=kind, content=content, **{**ordinary, **known})


def update(ref: str) -> RefUpdate:
    return RefUpdate(ref, NOTHING, TWO)


def case(sentence, *values):
    return pytest.param(*values, id=sentence)


@dataclass(frozen=True)
class No:
    """Any refusal that says these words, in its reason or its hint."""

    words: str
    hint: str = ""

    def __eq__(self, decision: object) -> bool:
        return (
            isinstance(decision, Refuse)
            and self.words in decision.reason
            and self.hint in decision.hint
        )

    __hash__ = None  # type: ignore[assignment]


MOVABLE = Refs(move_tags=True)


@pytest.mark.parametrize(
    ("known", "meaning"),
    [
        # --- stage branches
        case(
            "a new stage branch with new content is built and staged",
            facts(stage, created, new),
            Deploy("dev", build=True),
        ),
        case(
            "a moved stage branch with new content is built and staged",
            facts(stage, moved, new),
            Deploy("dev", build=True),
        ),
        case(
            "a new stage branch with content ready elsewhere stages it unbuilt",
            facts(stage, created, ready),
            Deploy("dev", build=False),
        ),
        case(
            "a moved stage branch with content ready elsewhere stages it unbuilt",
            facts(stage, moved, ready),
            Deploy("dev", build=False),
        ),
        case(
            "a new stage branch with the content that is live changes nothing",
            facts(stage, created, head),
            Unchanged("dev"),
        ),
        case(
            "a moved stage branch with the content that is live changes nothing",
            facts(stage, moved, head),
            Unchanged("dev"),
        ),
        case(
            "a new stage branch with content deeper in dev rolls dev back to it",
            facts(stage, created, deeper),
            RollBack("dev", 2),
        ),
        case(
            "a revert of the head rolls dev back by one",
            facts(stage, moved, deeper, position=2),
            RollBack("dev", 1),
        ),
        case(
            "a stage branch is not deleted",
            facts(stage, deleted),
            No("main is staged from; a stage branch is not deleted", "[refs] stage"),
        ),
        case(
            "a stage branch is not deleted even where it put the head there",
            facts(stage, deleted, live_by_this_ref=True),
            No("a stage branch is not deleted"),
        ),
        # --- release tags
        case(
            "a tag on new content is built and released",
            facts(release, created, new),
            Deploy("prod", build=True),
        ),
        case(
            "a tag on what is staged releases that very build",
            facts(release, created, ready),
            Deploy("prod", build=False),
        ),
        case(
            "a tag on what is live on prod changes nothing",
            facts(release, created, head),
            Unchanged("prod"),
        ),
        case(
            "a tag on content deeper in prod rolls prod back to it",
            facts(release, created, deeper, position=4),
            RollBack("prod", 3),
        ),
        case(
            "an annotated tag releases as a light one does",
            facts(release, created, new, object_type="tag"),
            Deploy("prod", build=True),
        ),
        case(
            "deleting the tag that is live rolls prod back by one",
            facts(release, deleted, live_by_this_ref=True),
            RollBack("prod", 1),
        ),
        case(
            "deleting the tag that is live needs a release behind it",
            facts(release, deleted, live_by_this_ref=True, behind=0),
            No("v1 is live on prod and no release is behind it", "another tag"),
        ),
        case(
            "deleting a tag that is not live is accepted and deploys nothing",
            facts(release, deleted),
            Accept("tag deleted; nothing is deployed or rolled back"),
        ),
        case(
            "a release tag is not moved",
            facts(release, moved, new),
            No("tag v1 exists; a release tag is not moved", "move_tags = true"),
        ),
        case(
            "a release tag is not moved even to what is live",
            facts(release, moved, head),
            No("a release tag is not moved"),
        ),
        case(
            "a tag that may be moved releases new content",
            facts(release, moved, new, refs=MOVABLE),
            Deploy("prod", build=True),
        ),
        case(
            "a tag that may be moved releases what is ready unbuilt",
            facts(release, moved, ready, refs=MOVABLE),
            Deploy("prod", build=False),
        ),
        case(
            "a tag that may be moved rolls prod back to what is deeper",
            facts(release, moved, deeper, refs=MOVABLE),
            RollBack("prod", 2),
        ),
        case(
            "a tag that may be moved to what is live changes nothing",
            facts(release, moved, head, refs=MOVABLE),
            Unchanged("prod"),
        ),
        # --- rebuild
        *(
            case(
                f"rebuild makes a new release of what {content.value}",
                facts(stage, moved, content, rebuild=True),
                Deploy("dev", build=True),
            )
            for content in Content
        ),
        case(
            "rebuild makes a new release of a tag on what is live",
            facts(release, created, head, rebuild=True),
            Deploy("prod", build=True),
        ),
        case(
            "rebuild does not move a tag that must not move",
            facts(release, moved, new, rebuild=True),
            No("a release tag is not moved"),
        ),
        case(
            "rebuild means nothing to the deletion of a tag",
            facts(release, deleted, live_by_this_ref=True, rebuild=True),
            RollBack("prod", 1),
        ),
        # --- refs that deploy nothing
        *(
            case(
                f"a preview branch {change.value} is refused until there are previews",
                facts(preview, change),
                No("not supported yet"),
            )
            for change in Change
        ),
        *(
            case(
                f"a stored ref {change.value} is accepted and not deployed",
                facts(stored, change),
                Accept('stored; not deployed ([refs] other = "store")'),
            )
            for change in Change
        ),
        *(
            case(
                f"any other ref {change.value} is refused, naming the refs that deploy",
                facts(other, change),
                No(
                    "notes deploys nothing here",
                    "branches main, master stage; tags * release",
                ),
            )
            for change in Change
        ),
        case(
            "where no ref deploys, the refusal says so",
            facts(other, created, refs=Refs(stage=(), release=())),
            No("deploys nothing", "no ref deploys"),
        ),
        *(
            case(
                f"a ref below refs/deploy {change.value} is the server's",
                facts(reserved, change),
                No("refs/deploy/* is written by the server only"),
            )
            for change in Change
        ),
        # --- what is no commit
        case(
            "a tag on a blob is refused",
            facts(release, created, object_type="blob", commit=None),
            No("v1 is a blob, not a commit"),
        ),
        case(
            "a tag on a tree is refused",
            facts(release, created, object_type="tree", commit=None),
            No("v1 is a tree, not a commit"),
        ),
        case(
            "an annotated tag on no commit is refused",
            facts(release, created, object_type="tag", commit=None),
            No("v1 is a tag, not a commit"),
        ),
        case(
            "even a stored ref holds commits only",
            facts(stored, created, object_type="blob", commit=None),
            No("notes is a blob, not a commit"),
        ),
        case(
            "an object that is missing is refused",
            facts(stage, moved, object_type="missing", commit=None),
            No("not a commit"),
        ),
        case(
            "an annotated tag is no branch's value",
            facts(stage, moved, new, object_type="tag"),
            No(
                "main is a branch, and what was pushed is an annotated tag",
                "git push server TAG^{commit}:refs/heads/main",
            ),
        ),
        # --- names
        *(
            case(
                f"a ref whose name holds {what} is refused, escaped",
                facts(stage, created, new, update=update(f"refs/heads/ma{sign}in")),
                No(rf"the name of 'refs/heads/ma{escaped}in' cannot be shown"),
            )
            for what, sign, escaped in [
                ("an escape character", "\x1b", r"\x1b"),
                ("a byte that is not UTF-8", "\udcff", r"\udcff"),
                ("what reorders text", "\u202e", r"\u202e"),
                ("a space without width", "\u200b", r"\u200b"),
            ]
        ),
    ],
)
def test_what_a_push_means(known, meaning):
    assert meaning == decide(known)


# --- totality -------------------------------------------------------------------


@st.composite
def any_facts(draw):
    """Everything `gather` can say, whatever makes sense of it or not."""
    kind, change = draw(st.sampled_from(RefKind)), draw(st.sampled_from(Change))
    content = None
    if change is not deleted and chain_of(kind):
        content = draw(st.sampled_from(Content))
    type_ = draw(st.sampled_from(["commit", "tag", "tree", "blob", "missing"]))
    commit = {"commit": TWO, "tag": draw(st.sampled_from([TWO, None]))}.get(type_)
    return facts(
        kind,
        change,
        content,
        object_type=None if change is deleted else type_,
        commit=None if change is deleted else commit,
        refs=Refs(
            stage=draw(st.sampled_from([(), ("main",)])),
            release=draw(st.sampled_from([(), ("*",)])),
            move_tags=draw(st.booleans()),
        ),
        position={head: 1, deeper: draw(st.integers(2, 9))}.get(content),
        live_by_this_ref=draw(st.booleans()),
        behind=draw(st.integers(0, 3)),
        rebuild=draw(st.booleans()),
        freeze=draw(st.sampled_from([None, FREEZE])),
    )


@given(any_facts())
def test_every_update_has_a_meaning_that_can_be_said(known):
    decision = decide(known)
    assert isinstance(decision, Decision)
    assert describe(decision).startswith("would ")
    assert reached(decision) in {None, chain_of(known.kind)}


@given(any_facts())
def test_a_roll_back_goes_somewhere_and_never_to_the_head(known):
    match decide(known):
        case RollBack(_, steps):
            assert steps >= 1
            assert known.change is not deleted or known.behind >= steps


@given(any_facts())
def test_what_says_no_touches_no_chain(known):
    assert isinstance(decide(known), Refuse | Accept) == (
        reached(decide(known)) is None
    )


def test_the_rule_book_has_a_rule_for_each_kind_and_change():
    assert set(RULES) == {(kind, change) for kind in RefKind for change in Change}


# --- freeze ---------------------------------------------------------------------


@given(any_facts())
def test_a_frozen_app_moves_no_ref_that_deploys(known):
    """Moved, deleted or stored over: whatever a chain goes by stays where it is."""
    frozen = decide(facts_with(known, freeze=FREEZE))
    free = decide(facts_with(known, freeze=None))
    if known.held_by and not isinstance(free, Refuse):
        assert frozen == Refuse("locked by ada since 2026-01-01T00:00:00Z: audit")
    else:
        assert frozen == free


def facts_with(known: Facts, **other: object) -> Facts:
    values = {name: getattr(known, name) for name in Facts.__slots__}
    return Facts(**{**values, **other})


def test_what_is_live_cannot_be_pushed_to_a_frozen_app_either():
    """Its ref would move: what is live is a commit of a ref that nobody locked."""
    no = decide(facts(stage, moved, head, freeze=FREEZE))
    assert no == Refuse("locked by ada since 2026-01-01T00:00:00Z: audit")


# --- what the server knows ---------------------------------------------------------

STORES = Refs(stage=(), release=(), other="store")
ADA = rights_of(
    "ada", "shop", [("x", Access(grant=(Grant(to=("ada",), may=("stage",)),)))]
)
BEN = rights_of(
    "ben", "shop", [("x", Access(grant=(Grant(to=("ben",), may=("release",)),)))]
)
TAG = RefUpdate("refs/tags/v1", ONE, TWO)
NO_TAG_FOR_ADA = "not allowed: ada lacks release (has: stage)"


@pytest.mark.parametrize("change", Change)
@pytest.mark.parametrize("kind", [release, stored, other])
@pytest.mark.parametrize("last", [None, "prod"])
def test_a_tag_takes_the_right_to_release_whatever_deploy_toml_says(kind, change, last):
    tag = RefUpdate("refs/tags/v1", *VALUES[change])
    content = new if kind is release and change is not deleted else None
    known = {"update": tag, "refs": STORES, "last": last, "rights": ADA}
    no = decide(facts(kind, change, content, **known))
    assert isinstance(no, Refuse)
    assert (no.reason, no.lacking) == (NO_TAG_FOR_ADA, True)


@pytest.mark.parametrize(
    ("known", "meaning"),
    [
        case(
            "a stage branch is deleted by what it was, not by the commit it is at",
            facts(stored, deleted, refs=STORES, last="dev", rights=ADA),
            No("notes is staged from; a stage branch is not deleted"),
        ),
        case(
            "a stage branch that nobody stages from any more can be deleted",
            facts(stored, deleted, refs=STORES, last="dev", still_followed=False),
            Accept("branch deleted; nothing is staged from it any more"),
        ),
        case(
            "a branch that was staged from takes the right to stage",
            facts(stored, moved, refs=STORES, last="dev", rights=BEN),
            No("not allowed: ben lacks stage (has: release)"),
        ),
        case(
            "storing over a branch that was staged from is held by the lock of dev",
            facts(stored, moved, refs=STORES, last="dev", freeze=FREEZE),
            No("locked by ada"),
        ),
        case(
            "and by its windows",
            facts(stored, moved, refs=STORES, last="dev", closed="dev is closed"),
            No("dev is closed"),
        ),
        case(
            "and by its signatures",
            facts(
                stored,
                moved,
                refs=STORES,
                last="dev",
                signed="commits",
                unsigned="commit 2 is not signed",
            ),
            No("commit 2 is not signed"),
        ),
        case(
            "what never deployed is held by no lock",
            facts(stored, moved, refs=STORES, freeze=FREEZE),
            Accept('stored; not deployed ([refs] other = "store")'),
        ),
        case(
            "storing over a release tag moves it",
            facts(stored, moved, update=TAG, refs=STORES, last="prod", rights=BEN),
            No("tag v1 exists; a release tag is not moved", "move_tags = true"),
        ),
        case(
            "a release tag is deleted by what it was: prod goes back with it",
            facts(
                stored,
                deleted,
                update=RefUpdate("refs/tags/v1", TWO, NOTHING),
                refs=STORES,
                last="prod",
                live_by_this_ref=True,
                rights=BEN,
            ),
            RollBack("prod", 1),
        ),
        case(
            "deleting a tag that is not live is held by the lock of prod",
            facts(release, deleted, freeze=FREEZE),
            No("locked by ada"),
        ),
        case(
            "a signed tag is not replaced by an unsigned one that is only stored",
            facts(
                stored,
                moved,
                update=TAG,
                refs=Refs(stage=(), release=(), other="store", move_tags=True),
                last="prod",
                signed="tags",
                unsigned="v1 is not signed",
            ),
            No("v1 is not signed"),
        ),
        case(
            "a server that moves no tags wins over deploy.toml, and says so",
            facts(release, moved, new, refs=MOVABLE, bounds=RefBounds(move_tags=False)),
            No("(server.toml, [refs])", "release under a new tag"),
        ),
    ],
)
def test_an_existing_ref_is_what_it_was_and_what_it_is_the_stricter(known, meaning):
    assert meaning == decide(known)


BOUNDED = RefBounds(stage=("main",), release=("v*",), other="refuse")


@pytest.mark.parametrize(
    ("ref", "bounds", "kind"),
    [
        ("refs/heads/main", BOUNDED, stage),
        ("refs/heads/topic", BOUNDED, other),
        ("refs/tags/v1", BOUNDED, release),
        ("refs/tags/beta", BOUNDED, other),
        ("refs/notes/x", BOUNDED, other),
        ("refs/heads/topic", RefBounds(stage=("main",)), stored),
        ("refs/deploy/x", RefBounds(), reserved),
    ],
)
def test_a_ref_deploys_where_deploy_toml_and_server_toml_let_it(ref, bounds, kind):
    everything = Refs(stage=("*",), release=("*",), other="store")
    assert classify(ref, everything, bounds) is kind


def test_what_the_server_forbids_is_said_to_be_forbidden_by_the_server():
    update = RefUpdate("refs/heads/topic", NOTHING, TWO)
    refs = Refs(stage=("topic",))
    no = decide(facts(other, created, update=update, refs=refs, bounds=BOUNDED))
    assert no == Refuse(
        "topic deploys nothing here",
        "branches main stage; tags v* release (server.toml, [refs])",
    )


# --- classify -------------------------------------------------------------------

LARGE = Refs(
    stage=("main", "stage/*"), release=("v*", "[0-9]*"), preview=("try-?", "main")
)


@pytest.mark.parametrize(
    ("ref", "refs", "kind"),
    [
        case("main stages unless told otherwise", "refs/heads/main", Refs(), stage),
        case("master stages as well", "refs/heads/master", Refs(), stage),
        case("any other branch does nothing", "refs/heads/topic", Refs(), other),
        case(
            "every tag releases unless told otherwise", "refs/tags/x", Refs(), release
        ),
        case("a tag of many parts releases too", "refs/tags/a/b", Refs(), release),
        case("a pattern's star matches slashes", "refs/heads/stage/a/b", LARGE, stage),
        case(
            "a pattern matches the whole name", "refs/heads/maintenance", LARGE, other
        ),
        case("a pattern matches case by case", "refs/heads/Main", LARGE, other),
        case("a tag that no pattern matches is other", "refs/tags/beta", LARGE, other),
        case("a set of signs is a pattern", "refs/tags/2026", LARGE, release),
        case("one sign is matched by one", "refs/heads/try-1", LARGE, preview),
        case("two signs are not", "refs/heads/try-12", LARGE, other),
        case("stage goes before preview", "refs/heads/main", LARGE, stage),
        case("a tag named main is no branch", "refs/tags/main", LARGE, other),
        case(
            "a ref named like a branch's tail is none", "refs/notes/main", LARGE, other
        ),
        case("neither branch nor tag", "refs/notes/x", Refs(), other),
        case("nothing behind the prefix", "main", Refs(), other),
        case(
            "other refs are stored on demand",
            "refs/heads/x",
            Refs(other="store"),
            stored,
        ),
        case("so are notes", "refs/notes/x", Refs(other="store"), stored),
        case(
            "what deploys is not stored", "refs/tags/v1", Refs(other="store"), release
        ),
        case("the server's refs", "refs/deploy/dev/1", Refs(), reserved),
        case(
            "the server's refs are never stored",
            "refs/deploy/x",
            Refs(other="store"),
            reserved,
        ),
        case("a branch named deploy is a branch", "refs/heads/deploy/x", Refs(), other),
    ],
)
def test_what_a_ref_is(ref, refs, kind):
    assert classify(ref, refs) is kind


@given(st.text(), st.sampled_from(["refuse", "store"]))
def test_whatever_is_below_refs_deploy_is_the_server_s(name, unknown):
    """No pattern reaches what only the server writes."""
    all_refs = Refs(stage=("*",), release=("*",), preview=("*",), other=unknown)
    assert classify(RESERVED + name, all_refs) is reserved


def test_only_branches_that_stage_and_tags_that_release_reach_a_chain():
    reaching = {kind: chain_of(kind) for kind in RefKind if chain_of(kind)}
    assert reaching == {stage: "dev", release: "prod"}


# --- the updates of one push ----------------------------------------------------

MAIN, MASTER = update("refs/heads/main"), update("refs/heads/master")
V1, V2 = update("refs/tags/v1"), update("refs/tags/v2")
GONE = RefUpdate("refs/tags/v0", ONE, NOTHING)


def test_thirty_tags_are_refused_with_the_one_to_push_instead():
    tags = [update(f"refs/tags/v{n}") for n in range(30)]
    refused = conflicts({tag: Deploy("prod", build=True) for tag in tags})
    assert list(refused) == tags
    assert set(refused.values()) == {
        Refuse("30 refs of this push reach prod; push one", "git push server v29")
    }


def test_what_to_push_instead_is_never_a_tag_that_is_gone():
    refused = conflicts({V1: Deploy("prod", build=True), GONE: RollBack("prod", 1)})
    assert refused[V1].hint in {"git push server v1", "git push server :v0"}


@pytest.mark.parametrize(
    ("decisions", "refused"),
    [
        case("nothing conflicts with nothing", {}, []),
        case("one ref does not conflict with itself", {V1: Unchanged("prod")}, []),
        case(
            "a branch and a tag do not conflict",
            {MAIN: Deploy("dev", build=True), V1: Deploy("prod", build=True)},
            [],
        ),
        case(
            "two stage branches conflict",
            {MAIN: Deploy("dev", build=True), MASTER: Unchanged("dev")},
            [MAIN, MASTER],
        ),
        case(
            "a deletion that rolls back conflicts with a tag",
            {GONE: RollBack("prod", 1), V1: Deploy("prod", build=False)},
            [GONE, V1],
        ),
        case(
            "a deletion that does nothing conflicts with no tag",
            {GONE: Accept("gone"), V1: Deploy("prod", build=False)},
            [],
        ),
        case(
            "what is refused anyway conflicts with nothing",
            {V1: Refuse("no"), V2: Deploy("prod", build=True)},
            [],
        ),
        case(
            "two tags on what is live conflict although nothing would change",
            {V1: Unchanged("prod"), V2: Unchanged("prod")},
            [V1, V2],
        ),
        case(
            "a conflict on prod leaves dev alone",
            {
                MAIN: Deploy("dev", build=True),
                V1: Deploy("prod", build=True),
                V2: RollBack("prod", 1),
            },
            [V1, V2],
        ),
    ],
)
def test_two_refs_of_a_push_never_reach_one_chain(decisions, refused):
    assert list(conflicts(decisions)) == refused


def gone(name):
    return RefUpdate(f"refs/tags/{name}", ONE, NOTHING)


@pytest.mark.parametrize(
    ("released", "deleted", "refused"),
    [
        case("the live one alone", "v3 v2 v1", ["v3"], []),
        case("one that is not live", "v3 v2 v1", ["v2", "v1"], []),
        case("the live one and the next", "v3 v2 v1", ["v2", "v3"], ["v3", "v2"]),
        case("all", "v3 v2 v1", ["v1", "v2", "v3"], ["v3", "v2", "v1"]),
        case("the live one and one further down", "v3 v2 v1", ["v1", "v3"], []),
        case("one that stands twice", "v3 v3 v2", ["v3"], []),
        case(
            "one that stands twice and the next", "v3 v3 v2", ["v3", "v2"], ["v3", "v2"]
        ),
        case("nothing is released", "", ["v3", "v2"], []),
    ],
)
def test_tags_whose_deletion_would_each_roll_back_conflict(released, deleted, refused):
    """Whatever their names: prod is moved once, or not at all."""
    standing = [f"refs/tags/{name}" for name in released.split()]
    decisions = {
        gone(name): (
            RollBack("prod", 1)
            if standing[:1] == [f"refs/tags/{name}"]
            else Accept("tag deleted")
        )
        for name in deleted
    }
    found = conflicts(decisions, standing)
    assert [update.short for update in found] == refused
    for no in found.values():
        assert no.hint == f"git push server :{refused[0]}"


def test_a_deletion_that_is_refused_moves_nothing():
    decisions = {gone("v3"): RollBack("prod", 1), gone("v2"): Refuse("locked")}
    assert conflicts(decisions, ["refs/tags/v3", "refs/tags/v2"]) == {}


def test_branches_come_first_then_tags_then_the_rest_each_as_pushed():
    notes, deploy = update("refs/notes/x"), update("refs/deploy/x")
    pushed = [notes, V2, MASTER, deploy, V1, MAIN]
    assert order(pushed) == [MASTER, MAIN, V2, V1, notes, deploy]


@given(st.permutations([MAIN, MASTER, V1, V2, GONE, update("refs/notes/x")]))
def test_the_order_loses_nothing_and_is_final(pushed):
    ordered = order(pushed)
    assert sorted(ordered, key=repr) == sorted(pushed, key=repr)
    assert order(ordered) == ordered


# --- words ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decision", "sentence"),
    [
        (
            Deploy("dev", build=True),
            "would prepare a release and put it at the head of dev",
        ),
        (
            Deploy("prod", build=False),
            "would put a ready release at the head of prod, no build",
        ),
        (RollBack("prod", 2), "would roll prod back by 2, no build"),
        (Unchanged("dev"), "would change nothing: this content is live on dev"),
        (Accept("stored"), "would accept: stored"),
        (Refuse("it is a blob", "push a commit"), "would refuse: it is a blob"),
    ],
)
def test_a_plan_is_a_sentence_about_the_future(decision, sentence):
    assert describe(decision) == sentence


# --- signatures -------------------------------------------------------------------

UNSIGNED = {"unsigned": "it is not signed"}
BY_TAG = {"signed": "tags", **UNSIGNED}
BY_COMMIT = {"signed": "commits", **UNSIGNED}
NO_TAG = Refuse("it is not signed", "git tag -f -s v1 'v1^{commit}'")
NO_COMMIT = Refuse("it is not signed", "git commit --amend --no-edit -S")


@pytest.mark.parametrize(
    ("known", "meaning"),
    [
        case("new content", facts(release, created, new, **BY_TAG), NO_TAG),
        case("a ready release", facts(release, created, ready, **BY_TAG), NO_TAG),
        case("a roll back", facts(release, created, deeper, **BY_TAG), NO_TAG),
        case("what is live", facts(release, created, head, **BY_TAG), NO_TAG),
        case(
            "a rebuild", facts(release, created, head, rebuild=True, **BY_TAG), NO_TAG
        ),
        case(
            "a tag that moves",
            facts(release, moved, new, refs=MOVABLE, **BY_TAG),
            NO_TAG,
        ),
        case(
            "not even by overriding",
            facts(release, created, new, override=True, **BY_TAG),
            NO_TAG,
        ),
        case("a stage branch", facts(stage, moved, new, **BY_COMMIT), NO_COMMIT),
        case(
            "what no signature could help",
            facts(release, created, new, signing_helps=False, **BY_TAG),
            No("it is not signed", "ask whoever keeps this server"),
        ),
        case("a commit's tag", facts(release, created, new, **BY_COMMIT), NO_COMMIT),
        case(
            "what is no commit is that first",
            facts(release, created, new, commit=None, object_type="blob", **BY_TAG),
            No("is a blob, not a commit"),
        ),
        case(
            "a right that lacks is that first",
            facts(release, created, new, rights=rights_of("eve", "shop", []), **BY_TAG),
            No("not allowed: eve has no right to this app"),
        ),
        case(
            "a signature goes before a lock",
            facts(release, created, new, freeze=FREEZE, **BY_TAG),
            NO_TAG,
        ),
        case(
            "a signature that holds is nothing to say",
            facts(release, created, new, signed="tags"),
            Deploy("prod", build=True),
        ),
        case(
            "a deletion is of nothing that could be signed",
            facts(release, deleted, live_by_this_ref=True, signed="tags"),
            RollBack("prod", 1),
        ),
    ],
)
def test_what_is_not_signed_as_its_chain_wants_it_is_refused(known, meaning):
    assert meaning == decide(known)


# --- rights and locks -------------------------------------------------------------

STAGER = rights_of(
    "ada",
    "shop",
    [("access.toml", Access(grant=(Grant(to=("ada",), may=("stage",)),)))],
)
PROD_LOCK = Freeze(
    "audit", "ada", "2026-01-01T00:00:00Z", "prod", "2026-01-02T00:00:00Z"
)
OVERRIDER = rights_of(
    "ada",
    "shop",
    [("access.toml", Access(grant=(Grant(to=("ada",), may=("stage", "override")),)))],
)

RIGHTS = [
    (facts(stage, moved, new, rights=STAGER), Deploy("dev", build=True)),
    (facts(stage, moved, deeper, position=2, rights=STAGER), RollBack("dev", 1)),
    (facts(stage, moved, head, rights=STAGER), Unchanged("dev")),
    (facts(release, created, new, rights=STAGER), "ada lacks release (has: stage)"),
    (facts(release, created, head, rights=STAGER), "ada lacks release (has: stage)"),
    (facts(release, deleted, rights=STAGER), "ada lacks release (has: stage)"),
    (facts(stage, moved, new, freeze=PROD_LOCK), Deploy("dev", build=True)),
    (
        facts(release, created, new, freeze=PROD_LOCK),
        "prod is locked by ada since 2026-01-01T00:00:00Z until 2026-01-02T00",
    ),
    (
        facts(release, created, new, freeze=PROD_LOCK, override=True),
        Deploy("prod", build=True),
    ),
    (
        facts(stage, moved, new, freeze=FREEZE, override=True, rights=STAGER),
        "not allowed: ada lacks override (has: stage)",
    ),
    (
        facts(stage, moved, new, freeze=FREEZE, override=True, rights=OVERRIDER),
        Deploy("dev", build=True),
    ),
    (
        facts(stage, moved, new, freeze=FREEZE, rights=OVERRIDER),
        "locked by ada since 2026-01-01T00:00:00Z: audit",
    ),
]


@pytest.mark.parametrize(("known", "expected"), RIGHTS)
def test_a_push_is_let_do_what_was_granted_and_is_not_locked(known, expected):
    decision = decide(known)
    if isinstance(expected, str):
        assert isinstance(decision, Refuse)
        assert expected in decision.reason
    else:
        assert decision == expected


@pytest.mark.parametrize(
    ("name", "got"),
    [
        ("refs/heads/" + "a" * 244, ""),
        ("refs/heads/" + "a" * 245, "256 bytes"),
        ("refs/heads/" + "é" * 123, "257 bytes"),
        ("refs/tags/" + "/".join("a" * 14), ""),
        ("refs/tags/" + "/".join("a" * 15), "17 parts"),
        ("refs/heads/" + "/".join("a" * 1900), "1902 parts"),
    ],
)
@pytest.mark.parametrize("kind", [stage, stored, other, release])
def test_a_name_of_a_ref_is_bounded_before_anything_else(
    kind: RefKind, name: str, got: str
) -> None:
    """Whatever is made of such a ref; one that is there may be deleted."""
    decision = decide(facts(kind, created, new, update=update(name)))
    is_long = isinstance(decision, Refuse) and "the limit is 255" in decision.reason
    assert is_long == bool(got)
    if is_long:
        assert f"has {got};" in decision.reason
    gone = RefUpdate(name, ONE, NOTHING)
    assert "limit" not in str(decide(facts(kind, deleted, update=gone)))
