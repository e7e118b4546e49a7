"""What every child of ours gets of the environment; imports nothing that starts one."""

from msgspec import Struct

__all__ = ["Surroundings"]


class Surroundings(Struct, frozen=True):
    """What the door took from the environment; nobody below it looks there."""

    path: str
    home: str
    lang: str
    user: str
    shell: str
    tmpdir: str
    keys: str = ""
    """The authorized_keys file that a key came from; empty: nobody said which."""

    def environment(self) -> dict[str, str]:
        """Return the variables every child gets, and no others."""
        return {
            "PATH": self.path,
            "HOME": self.home,
            "LANG": self.lang,
            "USER": self.user,
            "SHELL": self.shell,
            "TMPDIR": self.tmpdir,
        }
