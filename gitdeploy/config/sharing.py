"""[sharing] of server.toml: whether releases may have the very same files."""

from gitdeploy.config.reading import Table

__all__ = ["Sharing"]


class Sharing(Table, frozen=True, kw_only=True):
    """[sharing]: what deploy.toml may ask for where commands could write.

    A command that writes into a file with two names writes into both releases, prod's
    too. What was written is looked for only after build steps and checks, and found
    only if it shows in the file's size, time or mode.
    """

    hard_links: bool = False
    """Whether `[checkout] share = "always"` is heeded; default no."""
    outputs: bool = False
    """Whether `reuse = "share"` makes hard links; default no."""
