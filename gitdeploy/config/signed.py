"""What has to be signed before it goes onto a chain, and by whom."""

from typing import Literal, TypeAlias

from gitdeploy.config.patterns import refuse_bad_order
from gitdeploy.config.reading import Table
from gitdeploy.model import ChainName

__all__ = ["Signed", "Wanted"]

Wanted: TypeAlias = Literal["no", "tags", "commits"]


class Signed(Table, frozen=True, kw_only=True):
    """[signed]: what of a push has to be signed; default: nothing."""

    dev: Literal["no", "commits"] = "no"
    """For the dev chain: commits, the one that a stage branch is moved to."""
    prod: Wanted = "no"
    """For the prod chain: tags, or the commits that they stand for."""
    signers: tuple[str, ...] = ("*",)
    """Whose signatures count for this app, by pattern; default: all that are known."""

    def __post_init__(self) -> None:
        refuse_bad_order(self.signers, ".signers")

    def of(self, chain: ChainName) -> Wanted:
        """Return what a chain wants signed."""
        return self.prod if chain == "prod" else self.dev
