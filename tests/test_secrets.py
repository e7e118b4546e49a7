"""Secrets of .env: hidden in every form in which a command may print them."""

import base64
import html
import json
import re
import shlex
import textwrap
from collections.abc import Callable
from html.entities import codepoint2name
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import process
from support.tools import needs

from gitdeploy.steps import Mask
from gitdeploy.steps.hidden import Hidden
from gitdeploy.steps.secrets import SHORTEST, forms

SECRET = "s3cr&t/pä+ss w?rd"  # noqa: S105 - of nobody
MARKS = "'ä\"<>&+`=/$\\~ it's w?rd"
"""What one or the other writes otherwise, all in one."""


def lower_url(text: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), text)


def upper_json(text: str) -> str:
    return re.sub(r"\\u[0-9a-f]{4}", lambda f: rf"\u{f[0][2:].upper()}", text)


def php_json(text: str) -> str:
    return json.dumps(text).replace("/", r"\/")


def go_json(text: str) -> str:
    found = json.dumps(text, ensure_ascii=False)
    for mark in "<>&":
        found = found.replace(mark, f"\\u{ord(mark):04x}")
    return found


def php_json_for_html(text: str) -> str:
    """Marks in upper case, and what is not ASCII in lower case."""
    found = php_json(text).replace(r"\"", r"\u0022")
    for mark in "<>&'":
        found = found.replace(mark, f"\\u{ord(mark):04X}")
    return f'"{found[1:-1]}"'


def net_json(text: str) -> str:
    found = upper_json(json.dumps(text)[1:-1]).replace(r"\"", r"\u0022")
    for mark in "<>&'+`":
        found = found.replace(mark, f"\\u{ord(mark):04X}")
    return f'"{found}"'


def in_html(**marks: str) -> Callable[[str], str]:
    """Replace some marks besides those that everybody replaces."""
    names = {"apos": "'", "quot": '"', "plus": "+", "slash": "/", "tick": "`"}
    names["equal"] = "="
    table = str.maketrans({names[name]: word for name, word in marks.items()})
    return lambda text: html.escape(text, quote=False).translate(table)


def htmlentities(text: str) -> str:
    return "".join(
        f"&{codepoint2name[ord(c)]};" if ord(c) in codepoint2name else c for c in text
    ).replace("'", "&#039;")


def ansi_c(text: str) -> str:
    escapes = {"\\": r"\\", "'": r"\'", "\n": r"\n", "\t": r"\t", "\r": r"\r"}
    return "".join(
        escapes.get(c, c)
        if c in escapes or (c.isascii() and c.isprintable())
        else "".join(f"\\{byte:03o}" for byte in c.encode())
        for c in text
    )


def figures(between: str, case: Callable[[str], str] = str) -> Callable[[str], str]:
    return lambda text: between.join(case(f"{byte:02x}") for byte in text.encode())


def backslashes(text: str) -> str:
    return re.sub(r"([^A-Za-z0-9_])", r"\\\1", text)


ENCODERS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in a URL": quote,
    "in a URL, strictly": lambda text: quote(text, safe=""),
    "in a URL, lower case": lambda text: lower_url(quote(text, safe="")),
    "in a URL, by JavaScript": lambda text: quote(text, safe="!'()*"),
    "in a form": quote_plus,
    "in a form, lower case": lambda text: lower_url(quote_plus(text)),
    "in JSON": lambda text: json.dumps(text)[1:-1],
    "in JSON, as it is": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "in JSON, by PHP": lambda text: php_json(text)[1:-1],
    "in JSON, by Go": lambda text: go_json(text)[1:-1],
    "in JSON, by PHP for HTML": lambda text: php_json_for_html(text)[1:-1],
    "in JSON, by .NET": lambda text: net_json(text)[1:-1],
    "in JSON, upper case": lambda text: upper_json(go_json(text))[1:-1],
    "in HTML": html.escape,
    "in HTML, but quotes": lambda text: html.escape(text, quote=False),
    "in HTML, by PHP": lambda text: html.escape(text).replace("&#x27;", "&#039;"),
    "in HTML, by JavaScript": in_html(apos="&#39;", quot="&quot;"),
    "in HTML, by Go": in_html(apos="&#39;", quot="&#34;", plus="&#43;"),
    "in HTML, by Mustache": in_html(
        apos="&#39;", quot="&quot;", slash="&#x2F;", tick="&#x60;", equal="&#x3D;"
    ),
    "in HTML, but single quotes": in_html(quot="&quot;"),
    "in XML, by names": in_html(apos="&apos;", quot="&quot;"),
    "in HTML, by names": htmlentities,
    "in HTML, as numbers": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "in HTML, as hex": lambda text: "".join(f"&#x{ord(c):x};" for c in text),
    "in XML": lambda text: (
        html.escape(text).encode("ascii", "xmlcharrefreplace").decode()
    ),
    "quoted": lambda text: shlex.quote(f" {text}")[2:-1],
    "quoted, by a shell": lambda text: text.replace("'", r"'\''"),
    "in double quotes": lambda text: re.sub(r'([\\"$`])', r"\\\1", text),
    "with backslashes": backslashes,
    "in $'…'": ansi_c,
    "in Python": lambda text: repr(text)[1:-1],
    "in Python, ASCII": lambda text: ascii(text)[1:-1],
    "in Python, bytes": lambda text: repr(text.encode())[2:-1],
    "hex": figures(""),
    "hex, upper case": figures("", str.upper),
    "hex with blanks": figures(" "),
    "hex with colons": figures(":", str.upper),
    "hex with %": figures("%"),
    "hex with backslashes": figures(r"\x"),
    "hex with dashes": figures("-", str.upper),
    "hex in C": figures(", 0x"),
    "hex in C, close together": figures(",0x"),
    "hex in a shell": figures(" 0x"),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
}
"""What others write, not what we would: none of it is taken from the mask."""

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]))


@pytest.mark.parametrize("secret", [SECRET, MARKS], ids=["words", "marks"])
@pytest.mark.parametrize("encode", ENCODERS.values(), ids=ENCODERS)
def test_a_secret_is_hidden_however_it_is_written(encode, secret):
    masked = Mask([secret])(f"before {encode(secret)} behind")
    assert masked.startswith("before ")
    assert masked.endswith(" behind")
    assert "[hidden]" in masked
    assert "rd" not in masked.removesuffix(" behind")


@pytest.mark.parametrize("encode", ENCODERS.values(), ids=ENCODERS)
@settings(max_examples=60, deadline=None)
@given(
    st.text(
        st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"])
        | st.sampled_from("/'\"\\<>&+$`!#%= "),
        min_size=SHORTEST,
        max_size=40,
    ),
    TEXT,
    TEXT,
)
def test_any_secret_is_hidden_with_anything_around(encode, secret, before, behind):
    """The places where it stands are all within what is hidden."""
    written = encode(secret)
    hidden = covered(Mask_of(secret), before + written + behind)
    assert hidden >= {*range(len(before), len(before) + len(written.rstrip("=")))}


def Mask_of(*secrets: str) -> Hidden:  # noqa: N802 - what a mask knows
    return Hidden(secrets)


def covered(hidden: Hidden, text: str) -> set[int]:
    return {at for start, end in hidden.spans(text) for at in range(start, end)}


@settings(max_examples=400, deadline=None)
@given(
    st.binary(min_size=SHORTEST, max_size=150).filter(lambda raw: raw.isascii()),
    st.binary(max_size=130),
    st.binary(max_size=130),
    st.sampled_from([20, 60, 64, 76]),
    st.sampled_from(["base64", "base64 for URLs", "hex", "HEX"]),
)
def test_a_secret_within_what_is_encoded_and_wrapped_is_hidden(
    raw, before, behind, width, kind
):
    """A line keeps at most five of its characters, fewer than a form has."""
    encode = {
        "base64": base64.b64encode,
        "base64 for URLs": base64.urlsafe_b64encode,
        "hex": lambda data: data.hex().encode(),
        "HEX": lambda data: data.hex().upper().encode(),
    }[kind]
    text = encode(before + raw + behind).decode()
    bits = 4 if "ex" in kind or "EX" in kind else 6
    start = -(-8 * len(before) // bits)  # the first that has only bits of it
    end = 8 * (len(before) + len(raw)) // bits
    hidden = Mask_of(raw.decode())
    for at in range(0, len(text), width):
        seen = covered(hidden, text[at : at + width])
        ours = {place - at for place in range(max(start, at), min(end, at + width))}
        assert len(ours - seen) < SHORTEST


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("width", [64, 76])
def test_each_alignment_of_base64_is_hidden_where_it_is_wrapped(before, width):
    secret = "correct-horse-battery-staple-" * 7
    whole = base64.b64encode(bytes(before) + secret.encode() + bytes(50)).decode()
    masked = [Mask([secret])(line) for line in textwrap.wrap(whole, width)]
    left = "".join(masked).replace("[hidden]", "")
    assert masked[1] == "[hidden]"
    assert len(left) <= 4 * ((before + 50) // 3 + 3)


def _decoded(text: str) -> bytes:
    return base64.b64decode(text[: len(text) // 4 * 4], validate=False)


@pytest.mark.parametrize(
    "words",
    [
        "base64",
        "base64 -w 64",
        "xxd -p",
        "xxd -p -u",
        "od -An -tx1",
        "od -tx1",
        "od -A x -tx1",
        "openssl base64",
    ],
)
def test_what_the_tools_print_is_hidden(words):
    """The secret in the middle of a file that a tool prints, line by line."""
    needs(words.split()[0])
    secret = "correct horse battery staple, nine lives and a very long tail"  # noqa: S105 - of nobody
    text = f"A=1\nB={secret}\nC=3\n"
    printed = process.run(*words.split(), stdin=text).stdout
    mask = Mask([secret])
    left = [mask(line) for line in printed.splitlines()]
    assert "[hidden]" in "".join(left)
    for form in (secret.encode().hex(), secret.encode().hex(" ")):
        for at in range(0, len(form) - 17, 3):
            shown = "".join(left).lower()
            assert form[at : at + 17] not in shown
    assert b"battery" not in _decoded(
        "".join(re.findall("[A-Za-z0-9+/]", "".join(left)))
    )


@pytest.mark.parametrize("before", ["", "A=", "x"])
@pytest.mark.parametrize(
    "secret", ["~a~b:~c=~d e", "#a#b c", "'a\"<>&+`=/$\\~ w?rd", "{a,b}[c]^(d)*|!;e%"]
)
def test_what_bash_quotes_is_hidden(secret, before):
    """As by  printf %q,  by itself and within a word."""
    script = 'printf %q "$1"'
    printed = process.run(needs("bash"), "-c", script, "bash", before + secret).stdout
    assert Mask([secret])(printed) == f"{before}[hidden]"


def test_a_short_value_hides_no_ordinary_word():
    assert Mask(["word"])("a word") == "a word"
    assert forms("word") == set()


def test_what_only_begins_like_a_secret_stays():
    assert Mask(["secret-of-ada", "secrets"])("secret-of-ben") == "secret-of-ben"
    assert Mask(["secret-of-ada", "secret"])("secret-of-ada") == "[hidden]"


def test_secrets_that_overlap_leave_nothing_of_either():
    mask = Mask(["abcdefgh", "efghijkl"])
    assert mask("-abcdefghijkl-") == "-[hidden]-"
    assert mask("-ababababab-abcdefgh") == "-ababababab-[hidden]"


def test_ordinary_lines_stay():
    """What looks like an encoding and is none of the secret's."""
    mask = Mask([SECRET])
    for line in ("0000000 73 33", "4f2c9ab8d1e0", "aGVsbG8gd29ybGQ=", "- ok", "", " "):
        assert mask(line) == line


def test_output_that_goes_on_is_cut_beside_a_secret():
    mask = Mask(["correct-horse-battery"])
    text = "x" * 500 + "correct-horse-battery"
    for end in range(len(text), len(text) + 300, 7):
        longer = text + "y" * (end - len(text))
        cut = mask.cut(longer)
        assert not 500 < cut < len(text)
