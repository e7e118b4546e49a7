"""A real nginx serves what the links show, and notices every flip."""

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from support.git import Work
from support.nginx import nginx
from support.server import Server


def test_nginx_serves_staging_and_live_through_the_links(
    server: Server, make_work: Callable[..., Work], tmp_path: Path
) -> None:
    """Stage, release, roll back: each seen at once, without a reload."""
    server.setup("shop")
    ada = make_work("ada", server.url())
    ada.commit("one", **{"index.html": "one"})
    assert ada.push("main").code == 0
    with nginx(server, tmp_path / "nginx") as (live, staging):
        assert _status(live) == 403
        assert _get(staging) == "one"
        ada.tag("v1")
        assert ada.push("v1").code == 0
        assert _get(live) == "one"
        ada.commit("two", **{"index.html": "two"})
        ada.tag("v2")
        assert ada.push("main", "v2").code == 0
        assert (_get(live), _get(staging)) == ("two", "two")
        server.gitdeploy("rollback", "shop")
        assert (_get(live), _get(staging)) == ("one", "two")


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - ours
        return str(response.read().decode())


def _status(url: str) -> int:
    with pytest.raises(urllib.error.HTTPError) as caught:
        _get(url)
    caught.value.close()
    return caught.value.code
