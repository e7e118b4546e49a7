"""One update on its way to a verdict: what is known, intended and done so far."""

from typing import Self

from msgspec import Struct, field

from gitdeploy.chain import Chain
from gitdeploy.config import Config
from gitdeploy.decide import Accept, Decision, Deploy, Refuse, RollBack, Unchanged
from gitdeploy.deploy.facts import Source, content_id
from gitdeploy.errors import Cancelled, ReleaseFailed, Withdrawn
from gitdeploy.ledger import dumps
from gitdeploy.model import (
    ChainName,
    Deployment,
    Entry,
    RefUpdate,
    Release,
    Verdict,
    VerdictWord,
)
from gitdeploy.system.clock import Stopwatch

__all__ = ["Attempt", "Wanted", "verdict_on"]


def verdict_on(error: ReleaseFailed) -> VerdictWord:
    """Return what is said of an attempt that failed like that."""
    if isinstance(error, Cancelled) or (
        isinstance(error, Withdrawn) and error.cancelled
    ):
        return "cancelled"
    return "failed"


class Wanted(Struct, frozen=True):
    """The release that shall be made."""

    content: str
    commit: str
    tree: str
    config: Config
    chain: ChainName
    ref: str
    anew: bool = False
    """Whether every step runs, also where its outputs are known."""
    unchecked: bool = False
    """Whether the pusher wants no checks."""

    @classmethod
    def of(
        cls,
        source: Source,
        chain: ChainName,
        *,
        anew: bool = False,
        unchecked: bool = False,
    ) -> Self:
        """Return what a source, which has a commit, becomes on a chain."""
        assert source.commit is not None
        assert source.tree is not None
        return cls(
            content_id(source, chain),
            source.commit,
            source.tree,
            source.config,
            chain,
            source.update.ref,
            anew,
            unchecked,
        )


class Attempt(Struct):
    """One update on its way to a verdict."""

    source: Source
    decision: Decision
    event: Deployment
    """Its row in the ledger."""
    watch: Stopwatch = field(default_factory=Stopwatch)
    before: Chain | None = None
    """The chain it reaches, as it was; None where it reaches none."""
    after: Chain | None = None
    """The chain as it shall be."""
    release: Release | None = None
    """What becomes the head, or what failed to become a release."""
    built: bool = False
    """Whether the release was prepared for this update."""
    failure: ReleaseFailed | None = None
    timings: tuple[tuple[str, float], ...] = ()
    """Each timed stage of its preparation, with its seconds."""
    put_back: str | None = None
    """What its ref holds again, where it had moved and was put back."""
    verdict: Verdict | None = None

    @property
    def update(self) -> RefUpdate:
        """What was pushed."""
        return self.source.update

    @property
    def plan(self) -> str:
        """What its intent has to remember; empty where no chain is reached."""
        if self.before is None or self.after is None:
            return ""
        return dumps(self.before, self.after)

    @property
    def is_unfinished(self) -> bool:
        """Whether it could not be undone: whoever comes next goes on with it."""
        return isinstance(self.failure, Withdrawn) and self.failure.unfinished

    def end(self, word: VerdictWord, reason: str = "", hint: str = "") -> None:
        """Give the verdict."""
        self.verdict = Verdict(self.update, word, reason, hint)

    def fail(self, error: ReleaseFailed) -> None:
        """Give the verdict on what failed, or was cancelled before it was done."""
        self.failure = error
        self.end(verdict_on(error), error.message, error.hint)

    def ended_with(self, word: VerdictWord) -> bool:
        """Return whether that is the verdict."""
        return self.verdict is not None and self.verdict.word == word

    def chain_after(self, chain: Chain, now: str) -> Chain:
        """Return the chain as the decision wants it."""
        commit, ref = self.source.commit, self.update.ref
        match self.decision:
            case Deploy():
                assert self.release is not None
                return chain.push(Entry(self.release.number, commit, ref, now))
            case RollBack(steps=steps) if self.update.deletes:
                return chain.roll_back(steps, now)
            case RollBack(steps=steps):
                return chain.roll_back(steps, now).with_head(commit=commit, ref=ref)
            case Unchanged() if chain.head and chain.head.ref == ref:
                return chain.with_head(commit=commit, ref=ref)
            case Unchanged() | Accept() | Refuse():
                return chain
