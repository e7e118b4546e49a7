"""The words of the domain as frozen values; nothing here acts or imports a room."""

from typing import Final, Literal, TypeAlias

from msgspec import Struct

ChainName: TypeAlias = Literal["dev", "prod"]
CHAINS: Final[tuple[ChainName, ...]] = ("dev", "prod")

ReleaseState: TypeAlias = Literal["preparing", "ready", "failed", "pruned"]

VerdictWord: TypeAlias = Literal[
    "deployed",  # the release is at the head of its chain
    "rolled back",  # an earlier release is at the head again
    "rolled forward",  # a roll back was undone
    "unchanged",  # what was pushed is live already
    "accepted",  # the ref moved; refs of this kind deploy nothing
    "superseded",  # a newer push of the ref decides
    "refused",  # the rule book said no; the ref did not move
    "failed",  # the release could not be made or shown; the ref did not move
    "cancelled",  # somebody stopped it, or nobody waited any more; as before
    "abandoned",  # the process died before the ref moved
]

ACCEPTED: Final[tuple[VerdictWord, ...]] = (
    "deployed",
    "rolled back",
    "rolled forward",
    "unchanged",
    "accepted",
)
"""The verdicts after which a ref is where the pusher wanted it."""


class RefUpdate(Struct, frozen=True):
    """One line of a push: a ref, what it was and what it shall be."""

    ref: str
    """Full name, `refs/heads/main`; bytes that are not UTF-8 as surrogates."""
    old: str
    """Full object id; all zeros where the ref is created."""
    new: str
    """Full object id; all zeros where the ref is deleted."""

    @property
    def creates(self) -> bool:
        """Whether the ref did not exist before."""
        return not self.old.strip("0")

    @property
    def deletes(self) -> bool:
        """Whether the ref shall not exist afterwards."""
        return not self.new.strip("0")

    @property
    def short(self) -> str:
        """The name people use: `main`, `v1.2`."""
        return short_ref(self.ref)

    def reversed(self) -> "RefUpdate":
        """Return the update that puts the ref back."""
        return RefUpdate(self.ref, self.new, self.old)


class Release(Struct, frozen=True):
    """One directory made from one commit, or any directory linked as it is."""

    number: int
    """Counts up from 1 within the app; never used twice."""
    name: str
    """`7-20261121T191102Z-ab12cd3`: number, UTC time, short commit."""
    commit: str | None
    """Full commit id; None for a directory that did not come from git."""
    tree: str | None
    content: str
    """Content id; two releases with the same one are interchangeable."""
    state: ReleaseState
    created: str
    """ISO 8601, UTC."""
    ready: str | None = None
    """When it was sealed; None unless it was ever ready."""
    path: str | None = None
    """Absolute, for a directory that is not ours; None: `releases/NAME`."""
    left_at: str | None = None
    """When it left both chains by a roll back; None while it is on one."""
    left_why: str | None = None
    failed_why: str | None = None
    files: int | None = None
    size_bytes: int | None = None
    """Of the files checked out, before any step ran."""
    pinned: bool = False
    """Never pruned."""
    bad_at: str | None = None
    """When it was found not to work, live; None: it never was, or works by now."""
    bad_why: str | None = None


class Entry(Struct, frozen=True):
    """A release's place on a chain: what put it there."""

    release: int
    """The release's number."""
    commit: str | None
    """The commit that is live by it; may be a later one with the same tree."""
    ref: str | None
    """The ref that put it there; None for an action on the server."""
    since: str
    """ISO 8601, UTC: when it last became the head."""


class Certificate(Struct, frozen=True):
    """What a pusher signed as a whole: which refs to move where (git push --signed)."""

    object: str
    """Its object id."""
    signer: str
    """Who, and by which key."""


class Deployment(Struct, frozen=True):
    """One event of the app's history: what was asked, by whom, what came of it."""

    id: int
    action: str
    """stage, release, rollback, rollforward, deploy, delete, store, refuse …"""
    chain: ChainName | None
    ref: str | None
    old: str | None
    new: str | None
    release: int | None
    """The release that became the head, or that failed to."""
    release_name: str | None
    from_release: int | None
    """The head before."""
    state: str
    """See `states.DEPLOYMENT`."""
    verdict: VerdictWord | None
    """None while it runs."""
    reason: str | None
    by: str
    started: str
    """ISO 8601, UTC."""
    seconds: float | None
    timings: str | None
    """JSON: a list of [word, seconds], one for each stage of the work."""
    public_seconds: float | None = None
    """How long a release was shown that was found not to work; None for others."""
    key: str | None = None
    """Fingerprint of the ssh key it was asked with; None: on the server itself."""
    overrode: str | None = None
    """The lock that did not hold it, by `-o override`; None: there was none."""
    signer: str | None = None
    """Who signed the tag or commit, and by which key; None: nobody was asked for it."""
    certificate: Certificate | None = None
    """The certificate it was pushed with; None: with none that counts."""


class Watch(Struct, frozen=True):
    """A release that is asked on after its verdict, whether it still works."""

    chain: ChainName
    release: int
    since: str
    """ISO 8601, UTC: when it became the head."""
    until: str
    """ISO 8601, UTC."""


class Freeze(Struct, frozen=True):
    """A lock that a person put on an app: pushes are refused until it is taken off."""

    reason: str
    by: str
    since: str
    chain: ChainName | None = None
    """The one chain that it holds; None: both."""
    until: str | None = None
    """ISO 8601, UTC: when it ends by itself; None: never."""

    def holds(self, chain: ChainName) -> bool:
        """Return whether nothing may be moved on that chain."""
        return self.chain in (None, chain)

    @property
    def words(self) -> str:
        """What those who are stopped by it read."""
        until = f" until {self.until}" if self.until else ""
        what = f"{self.chain} is locked" if self.chain else "locked"
        return f"{what} by {self.by} since {self.since}{until}: {self.reason}"


class Verdict(Struct, frozen=True):
    """What the pusher is told about one ref."""

    update: RefUpdate
    word: VerdictWord
    reason: str = ""
    """Why not, one line, fit for git's status line; empty where the ref moved."""
    hint: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the ref is where the pusher wanted it."""
        return self.word in ACCEPTED


def short_ref(ref: str) -> str:
    """Return a ref's name as people write it, `refs/heads/main` as `main`."""
    for prefix in ("refs/heads/", "refs/tags/"):
        if ref.startswith(prefix):
            return ref.removeprefix(prefix)
    return ref
