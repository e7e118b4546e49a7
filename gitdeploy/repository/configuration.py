"""The repository's own settings; nobody's global or system-wide ones."""

from collections.abc import Mapping

from gitdeploy.repository.locks import Locks

__all__ = ["Configuration", "differing"]


class Configuration(Locks):
    """The settings of a bare repository."""

    def setting(self, key: str) -> str | None:
        """Return one of the repository's own settings; None where it is not set."""
        return self.settings().get(key.lower())

    def settings(self) -> dict[str, str]:
        """Return all of the repository's own settings, names in lower case."""
        listing = self.git("config", "--local", "--list", "-z").decode()
        entries = (entry.partition("\n") for entry in listing.split("\0"))
        return {key: value for key, _, value in entries}

    def configure(self, wanted: Mapping[str, str]) -> list[str]:
        """Make the repository's own settings as wanted; return what changed.

        Changes: the file, once, durably; git by itself syncs nothing of it.
        """
        changed = differing(self.settings(), wanted)
        if changed:
            with self.rewriting("config") as config:
                for key in changed:
                    words = ("--replace-all", key, wanted[key])
                    self.unlocked("config", "--file", str(config), *words)
        return changed

    def unset(self, key: str) -> bool:
        """Take a setting away; return whether it was there."""
        if self.setting(key) is None:
            return False
        with self.rewriting("config") as config:
            self.unlocked("config", "--file", str(config), "--unset-all", key)
        return True


def differing(have: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """Return which of some settings, as `settings` has them, are not as wanted."""
    return [key for key, value in wanted.items() if have.get(key.lower()) != value]
