"""authorized_keys: what is ours of it, and that all else stays as it was."""

import pytest
from fuzz.seeds import KEY, OURS

from gitdeploy import authorized_keys
from gitdeploy.authorized_keys import Key, keys_in, text_of, with_key, without, write
from gitdeploy.errors import UsageError

OTHER = KEY[:-2] + "QQ"

FOREIGN = {
    "the ends of lines of another system": b"ssh-rsa AAAA ada\r\nssh-rsa BBBB\r\n",
    "bytes that are no text": b"# caf\xe9\xff\nssh-rsa AAAA \x80\n",
    "no newline at the end": b"ssh-rsa AAAA ada",
    "a form feed, and then a line like ours": b"# a\x0c" + OURS.encode(),
    "a line separator, and then a line like ours": b"# a\xe2\x80\xa8" + OURS.encode(),
    "a carriage return, and then a line like ours": b"# a\r" + OURS.encode(),
    "empty lines": b"\n\n\r\n",
}


@pytest.mark.parametrize("data", FOREIGN.values(), ids=FOREIGN)
def test_what_others_wrote_stays_byte_for_byte(tmp_path, data):
    """For sshd a newline alone ends a line (sshd(8))."""
    place = tmp_path / "authorized_keys"
    place.write_bytes(data)
    assert keys_in(text_of(place)) == []
    key = Key("zoe", f"ssh-ed25519 {OTHER}", "SHA256:")
    write(
        place, with_key(text_of(place), key, python="/usr/bin/python3", root=tmp_path)
    )
    end = b"" if data.endswith(b"\n") else b"\n"
    assert place.read_bytes().startswith(data + end + b"restrict,command=")
    (added,) = keys_in(text_of(place))
    write(place, without(text_of(place), {added.fingerprint}))
    assert place.read_bytes() == data + end


@pytest.mark.parametrize(
    "encoded", ["A", "é", "AAAA", "\udcff", "====", KEY[:-1] + "é"]
)
def test_a_line_like_ours_without_a_key_is_somebody_elses(encoded):
    text = OURS.replace(KEY, encoded)
    assert keys_in(text) == []
    assert without(text, {"SHA256:"}) == text


@pytest.mark.parametrize("encoded", ["A", "é", "AAAA", "====", KEY[:-1] + "é"])
def test_what_is_no_key_is_refused(encoded):
    data = f"ssh-ed25519 {encoded} ada@home\n".encode()
    with pytest.raises(UsageError, match="should hold one public ssh key"):
        authorized_keys.key_of("ada", data, where="a file", path="/nowhere")
