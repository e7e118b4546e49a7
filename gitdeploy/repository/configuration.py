"""The repository's own settings; nobody's global or system-wide ones."""

from collections.abc import Mapping

from gitdeploy.repository.locks import Locks
from gitdeploy.system.process import CommandFailed

__all__ = ["Configuration"]


class Configuration(Locks):
    """The settings of a bare repository."""

    def setting(self, key: str) -> str | None:
        """Return one of the repository's own settings; None where it is not set."""
        return self._settings().get(key.lower())

    def configure(self, wanted: Mapping[str, str]) -> list[str]:
        """Make the repository's own settings as wanted; return what changed."""
        have = self._settings()
        changed = [
            key for key, value in wanted.items() if have.get(key.lower()) != value
        ]
        for key in changed:
            self.unlocked("config", "--local", "--replace-all", key, wanted[key])
        return changed

    def _settings(self) -> dict[str, str]:
        listing = self.git("config", "--local", "--list", "-z").decode()
        entries = (entry.partition("\n") for entry in listing.split("\0"))
        return {key: value for key, _, value in entries}

    def unset(self, key: str) -> bool:
        """Take a setting away; return whether it was there."""
        try:
            self.unlocked("config", "--local", "--unset-all", key)
        except CommandFailed:
            return False
        return True
