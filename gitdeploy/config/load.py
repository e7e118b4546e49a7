"""deploy.toml: what it says, and what of it gitdeploy cannot do yet."""

from gitdeploy.config.reading import read
from gitdeploy.config.schema import Config

__all__ = ["parse", "unsupported"]


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

    Empty lists ask for nothing and are not named.
    """
    return ("refs.preview",) if config.refs.preview else ()
