"""deploy.toml: what it says, and what of it gitdeploy cannot do yet."""

from typing import Final

from gitdeploy.config.reading import read
from gitdeploy.config.schema import ChainOverride, Config

__all__ = ["parse", "unsupported"]

_LATER: Final = ("checks", "activate", "deactivate", "health")


def parse(data: bytes, *, where: str) -> Config:
    """Return what a deploy.toml says; what it leaves out has its default.

    Args:
        data: The whole file.
        where: What the file is called in errors, `deploy.toml at ab12cd34ef`.

    Raises:
        ConfigError: It is not a deploy.toml; the message names the key path.
    """
    return read(data, Config, where=where)


def unsupported(config: Config) -> tuple[str, ...]:
    """Return the key paths used that gitdeploy does not support yet.

    They are in the order of deploy.toml, those of `[chains]` last; empty lists
    ask for nothing and are not named.
    """
    preview = ("refs.preview",) if config.refs.preview else ()
    return (
        *preview,
        *_later("", config),
        *_later("chains.dev.", config.chains.dev),
        *_later("chains.prod.", config.chains.prod),
    )


def _later(prefix: str, table: Config | ChainOverride) -> list[str]:
    return [f"{prefix}{key}" for key in _LATER if getattr(table, key)]
