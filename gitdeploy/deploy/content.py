"""What identifies a release by its content, in words; only computed."""

import json
from typing import Final

from gitdeploy.config import Shared
from gitdeploy.model import CHAINS, ChainName

__all__ = ["chain_in", "content_of"]

_RECIPE: Final = 1
"""Counts up when the same commit would become a different directory."""


def content_of(tree: str | None, shared: Shared, chain: ChainName) -> str:
    """Return what identifies the release that a tree becomes on a chain.

    It is these very words: a hash of them would cost a push the import of OpenSSL.

    Args:
        tree: The commit's.
        shared: What is linked into it.
        chain: Matters where that is the chain's own.
    """
    own_shared = shared.scope == "chain" and (shared.files or shared.dirs)
    assets: list[str] = []  # nothing but the tree can be pushed yet
    return json.dumps([_RECIPE, tree, assets, chain if own_shared else "app"])


def chain_in(content: str) -> ChainName | None:
    """Return whose own shared files a release of that content has; None: the app's."""
    for chain in CHAINS:
        if content.endswith(f', "{chain}"]'):
            return chain
    return None
