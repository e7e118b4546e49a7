"""Secrets of .env: hidden in every form in which a command may print them."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitdeploy.steps import Mask
from gitdeploy.steps.secrets import SHORTEST

SECRET = "s3cr&t/pä+ss w?rd"  # noqa: S105 - of nobody

WRITTEN = {
    "as it is": SECRET,
    "in a URL": quote(SECRET),
    "in a URL, strictly": quote(SECRET, safe=""),
    "in a form": quote_plus(SECRET),
    "in a URL, lower case": quote(SECRET, safe="").replace("%C3%A4", "%c3%a4").lower(),
    "in JSON": json.dumps(SECRET),
    "in JSON, as it is": json.dumps(SECRET, ensure_ascii=False),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(SECRET.encode()).decode(),
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_a_secret_is_hidden_however_it_is_written(written):
    masked = Mask([SECRET])(f"before {written} behind")
    assert masked.startswith("before ")
    assert masked.endswith(" behind")
    assert "[hidden]" in masked
    assert "rd" not in masked.removesuffix(" behind")


def test_a_short_value_hides_no_ordinary_word():
    assert Mask(["word"])("a word") == "a word"


def test_what_only_begins_like_a_secret_stays():
    assert Mask(["secret-of-ada", "secrets"])("secret-of-ben") == "secret-of-ben"
    assert Mask(["secret-of-ada", "secret"])("secret-of-ada") == "[hidden]"


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=SHORTEST),
    st.binary(max_size=7),
    st.binary(max_size=7),
)
def test_a_secret_within_base64_leaves_no_run_of_its_own(secret, before, behind):
    """What is left of it are bits beside its edges, fewer than a form's shortest."""
    raw = secret.encode()
    encoded = base64.b64encode(before + raw + behind).decode()
    masked = Mask([secret])(encoded)
    assert "[hidden]" in masked
    left = sum(len(part) for part in masked.split("[hidden]"))
    assert left <= 4 * ((len(before) + len(behind)) // 3 + 4)
