"""access.toml: who may do what with which app; who is let in is `access`'s to say."""

import re
from fnmatch import fnmatchcase
from typing import Final, Literal, Self, TypeAlias, get_args

from msgspec import field

from gitdeploy.config.patterns import refuse_bad_order
from gitdeploy.config.reading import Table, read
from gitdeploy.config.values import BadValueError, shown

__all__ = [
    "ACTIONS",
    "Access",
    "Action",
    "Grant",
    "PersonName",
    "parse_access",
]

Action: TypeAlias = Literal[
    "read",
    "stage",
    "release",
    "rollback",
    "preview",
    "env",
    "override",
    "admin",
]
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
"""Everything that can be granted; `admin` holds all the others."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_APPS: Final = re.compile(r"[a-z0-9*?][a-z0-9._*?-]{0,99}")


class PersonName(str):
    """The name of a person or a group: what keys, rights and the history say."""

    __slots__ = ()

    @classmethod
    def read(cls, found: object) -> Self:
        """Return the name.

        Raises:
            BadValueError: It is not of 1 to 40 letters, digits, dots, dashes and
                underscores, or begins with another one than a letter or digit.
        """
        if not (isinstance(found, str) and _NAME.fullmatch(found)):
            should = "a name of at most 40 letters, digits, dots, dashes, underscores"
            raise BadValueError(should, shown(found))
        return cls(found)


class _Grantee(str):
    """A person, or a group with an @ before its name."""

    __slots__ = ()

    @classmethod
    def read(cls, found: object) -> Self:
        bare = found.removeprefix("@") if isinstance(found, str) else found
        PersonName.read(bare)
        return cls(found)


class _Apps(str):
    """The name of an app, or a pattern of such names."""

    __slots__ = ()

    @classmethod
    def read(cls, found: object) -> Self:
        if not (isinstance(found, str) and _APPS.fullmatch(found)):
            raise BadValueError('an app\'s name, or a pattern "blog-*"', shown(found))
        return cls(found)


class _Moment(str):
    """A moment as `clock.now` writes it: such texts are ordered as times are."""

    __slots__ = ()

    @classmethod
    def read(cls, found: object) -> Self:
        if not (isinstance(found, str) and _MOMENT.fullmatch(found)):
            raise BadValueError('a moment "2026-12-24T18:00:00Z"', shown(found))
        return cls(found)


class Grant(Table, frozen=True, kw_only=True):
    """[[grant]]: what some people may do with some apps."""

    to: tuple[_Grantee, ...]
    """People, and groups as "@team"."""
    may: tuple[Action, ...]
    """Of read, stage, release, rollback, preview, env, override, admin."""
    apps: tuple[_Apps, ...] = (_Apps("*"),)
    """Apps by name or pattern; default: all. In server.toml: that app alone."""
    refs: tuple[str, ...] = ("*",)
    """Branches and tags, by pattern, whose releases it is about; default: all. `!` in
    front takes away, of those that fit the last one counts."""
    since: _Moment | None = None
    """When it was given: an app by name that was made later has nothing of it."""

    def __post_init__(self) -> None:
        refuse_bad_order(self.refs, ".refs")

    def is_for(self, app: str, made: str) -> bool:
        """Return whether an app is meant, which was made at a moment.

        A pattern means whatever app there is; a name, the app that had it then.
        """
        named = app in self.apps
        if named and self.since is not None and self.since < made:
            named = False
        return named or any(
            fnmatchcase(app, pattern) for pattern in self.apps if pattern != app
        )


class Access(Table, frozen=True, kw_only=True):
    """access.toml as a whole; and [access] of server.toml."""

    groups: dict[PersonName, tuple[PersonName, ...]] = field(default_factory=dict)
    """People by the name of their group."""
    grant: tuple[Grant, ...] = ()
    """Who may do what; what nobody granted is refused."""

    def members(self, group: str) -> tuple[PersonName, ...]:
        """Return the people of a group; a group within it is no person."""
        others = self.groups.keys() - {group}
        people = self.groups.get(PersonName(group), ())
        return tuple(name for name in people if name not in others)

    @property
    def nested(self) -> list[tuple[str, str]]:
        """Each group that names another one, and which."""
        return [
            (group, name)
            for group, names in self.groups.items()
            for name in names
            if name in self.groups and name != group
        ]

    def __post_init__(self) -> None:
        """Refuse groups with odd names, and granted ones that do not exist."""
        for group in self.groups:  # msgspec takes a key as it is
            _check_group(group)
        for index, one in enumerate(self.grant):
            for place, name in enumerate(one.to):
                if name.startswith("@") and name[1:] not in self.groups:
                    at = f".grant[{index}].to[{place}]"
                    known = ", ".join(sorted(self.groups)) or "none"
                    raise BadValueError(f"a group of [groups] ({known})", name, at=at)


def _check_group(name: str) -> None:
    try:
        PersonName.read(name)
    except BadValueError as error:
        raise BadValueError(error.should, error.got, at=".groups") from error


def parse_access(data: bytes, *, where: str) -> Access:
    """Return what an access.toml says; an empty one lets nobody in.

    Args:
        data: The whole file; empty where there is none.
        where: What the file is called in errors, its path.

    Raises:
        ConfigError: It is not an access.toml; the message names the key path.
    """
    return read(data, Access, where=where)
