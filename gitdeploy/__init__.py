"""gitdeploy: one ordinary Linux server as a deployment target driven by git."""

__version__ = "0.1.0"
