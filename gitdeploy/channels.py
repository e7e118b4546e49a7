"""Where notices go: what apprise knows, and a signed webhook of our own.

A channel says why it could not deliver, and never tells a secret.
"""

import hashlib
import hmac
import json
import re
import time
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from msgspec import Struct

from gitdeploy.config import Notify, Webhook
from gitdeploy.system.terminal import fit, printable

__all__ = ["Channel", "Notice", "channels_of", "tame"]

_WARNING: Final = 30  # of logging, which only a notice needs
_WHY: Final = 160
_OK: Final = range(200, 300)
_TITLE: Final = 200
_BODY: Final = 4000
_FIELD: Final = 2000
_NOTHING: Final = "\u200b"  # the zero width space
_ACTS: Final = re.compile(
    r"[@<\[\]`*~|]"  # mentions, tags, links and pictures, code, spoilers
    r"|^[#>-](?=\s)|:(?=//)"  # headings, quotes, lists; addresses
    r"|(?<=\w)\.(?=[^\W\d])"  # what a client would take for a host
    r"|(?<=\w):(?=[^\W\d])",  # pictures by name, and tel:, javascript:
    re.MULTILINE,
)


class Notice(Struct, frozen=True):
    """What is told."""

    title: str
    body: str
    record: dict[str, Any]
    """The same, for programs."""


def tame(text: str) -> str:
    """Return a text that reads the same, and that no client acts upon.

    People, groups and everybody are not called, nothing is a link, a picture or a
    heading: after each mark that could begin one stands a space without a width.
    """
    return _ACTS.sub(lambda mark: mark[0] + _NOTHING, text)


class Channel(Protocol):
    """Somebody to be told."""

    @property
    def name(self) -> str:
        """What people know it by: no secret is in it."""

    def send(self, notice: Notice) -> str:
        """Deliver a notice, once; return why that failed, or nothing."""


def channels_of(notify: Notify) -> list[Channel]:
    """Return everybody who is to be told."""
    found: list[Channel] = [_Apprise(url) for url in notify.urls]
    return [*found, _Signed(notify.webhook)] if notify.webhook else found


class _Apprise(Struct, frozen=True):
    """One address that apprise knows (https://github.com/caronc/apprise/wiki)."""

    url: str

    @property
    def name(self) -> str:
        words = urlsplit(self.url)
        at = words.hostname if words.scheme in ("mailto", "mailtos") else None
        return f"{words.scheme}://{at or '…'}"

    def send(self, notice: Notice) -> str:
        import apprise

        asset = apprise.AppriseAsset(
            app_id="gitdeploy",
            app_desc="gitdeploy",
            storage_mode=apprise.PersistentStoreMode.MEMORY,
        )
        with apprise.LogCapture(level=_WARNING) as said:  # type: ignore[no-untyped-call]  # as it is
            known = apprise.Apprise(asset=asset)
            if not known.add(self.url):
                return "apprise knows no such address"
            if known.notify(
                title=tame(fit(printable(notice.title), _TITLE)),
                body="\n".join(map(tame, _lines(notice.body))),
                body_format=apprise.NotifyFormat.TEXT,
            ):
                return ""
            why = said.getvalue().strip().splitlines()
        return _without(self.url, why[-1] if why else "it could not be delivered")


class _Signed(Struct, frozen=True):
    """An address that gets JSON, signed so that it can know from whom."""

    hook: Webhook

    @property
    def name(self) -> str:
        words = urlsplit(self.hook.url)
        return f"webhook {words.scheme}://{words.hostname}"

    def send(self, notice: Notice) -> str:
        import requests

        body = json.dumps(_bounded(notice.record)).encode()
        try:
            with requests.post(
                self.hook.url,
                data=body,
                headers=_headers(self.hook, body),
                timeout=float(self.hook.timeout_s),
                allow_redirects=False,
                stream=True,  # what it answers besides its status is not even read
            ) as answer:
                status = answer.status_code
        except requests.RequestException as error:
            return _without(self.hook.url, type(error).__name__)
        return "" if status in _OK else f"it answered {status}"


def _lines(body: str) -> list[str]:
    """Return the lines of a text that is short enough to be read."""
    return [printable(line) for line in fit(body, _BODY).splitlines()]


def _bounded(found: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a record in which no text is longer than anybody reads."""
    if isinstance(found, str):
        return found if len(found) <= _FIELD else f"{found[: _FIELD - 1]}…"
    if isinstance(found, dict):
        return {key: _bounded(value) for key, value in found.items()}
    return [_bounded(one) for one in found] if isinstance(found, list) else found


def _headers(hook: Webhook, body: bytes) -> dict[str, str]:
    """Return what says what it is, and when and by whom it was sent."""
    sent = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "gitdeploy",
        "Accept-Encoding": "identity",
        "X-Gitdeploy-Timestamp": sent,
    }
    if hook.secret:
        signed = sent.encode() + b"." + body
        digest = hmac.new(hook.secret.encode(), signed, hashlib.sha256).hexdigest()
        headers["X-Gitdeploy-Signature-256"] = f"sha256={digest}"
    return headers


def _without(url: str, why: str) -> str:
    """Return why, without what the address holds."""
    words = urlsplit(url)
    for secret in (url, words.password, words.username, *words.path.split("/")):
        if secret:
            why = why.replace(secret, "[hidden]")
    return fit(printable(why), _WHY)
