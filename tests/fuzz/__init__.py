"""Readers of what strangers send, fed with anything; `targets` says what must hold."""
