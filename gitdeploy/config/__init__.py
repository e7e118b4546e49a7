"""What deploy.toml and server.toml say, typed; who reads the bytes is not known here.

`schema` and `server` are the reference of every key; the annotated `deploy.toml`
at the top of this project shows them in use.
"""

from gitdeploy.config.load import parse, unsupported
from gitdeploy.config.schema import (
    DEFAULTS,
    Activation,
    Build,
    ChainOverride,
    Chains,
    Check,
    Checkout,
    Command,
    Config,
    Health,
    Refs,
    Releases,
    Shared,
    Step,
)
from gitdeploy.config.server import Limits, ServerConfig, Submodules, parse_server
from gitdeploy.config.values import Seconds, Size

__all__ = [
    "DEFAULTS",
    "Activation",
    "Build",
    "ChainOverride",
    "Chains",
    "Check",
    "Checkout",
    "Command",
    "Config",
    "Health",
    "Limits",
    "Refs",
    "Releases",
    "Seconds",
    "ServerConfig",
    "Shared",
    "Size",
    "Step",
    "Submodules",
    "parse",
    "parse_server",
    "unsupported",
]
