"""What deploy.toml and server.toml say, typed; who reads the bytes is not known here.

`schema` and `server` are the reference of every key; the annotated `deploy.toml`
at the top of this project shows them in use.
"""

from gitdeploy.config.commands import Activation, Command, Run, Step
from gitdeploy.config.confining import Steps
from gitdeploy.config.load import parse, unsupported
from gitdeploy.config.notify import Notify, Webhook
from gitdeploy.config.probing import Answer, Check, Health
from gitdeploy.config.refs import UNBOUNDED, RefBounds
from gitdeploy.config.schema import (
    DEFAULTS,
    Build,
    ChainOverride,
    Chains,
    Checkout,
    Config,
    Refs,
    Releases,
    Service,
    Shared,
)
from gitdeploy.config.server import Limits, ServerConfig, Submodules, parse_server
from gitdeploy.config.sharing import Sharing
from gitdeploy.config.values import Seconds, Size

__all__ = [
    "DEFAULTS",
    "UNBOUNDED",
    "Activation",
    "Answer",
    "Build",
    "ChainOverride",
    "Chains",
    "Check",
    "Checkout",
    "Command",
    "Config",
    "Health",
    "Limits",
    "Notify",
    "RefBounds",
    "Refs",
    "Releases",
    "Run",
    "Seconds",
    "ServerConfig",
    "Service",
    "Shared",
    "Sharing",
    "Size",
    "Step",
    "Steps",
    "Submodules",
    "Webhook",
    "parse",
    "parse_server",
    "unsupported",
]
