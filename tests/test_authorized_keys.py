"""authorized_keys: what is ours of it, and that all else stays as it was."""

from pathlib import Path

import pytest
from fuzz.seeds import FINGERPRINT as SAID
from fuzz.seeds import KEY, OURS

from gitdeploy import authorized_keys
from gitdeploy.authorized_keys import Key, keys_in, text_of, with_key, without, write
from gitdeploy.errors import UsageError
from gitdeploy.key_lines import standing

OTHER = KEY[:-2] + "QQ"
SRV = Path("/srv")

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


FRONT = {
    "nothing": "restrict",
    "an address": 'from="10.0.0.0/8",restrict',
    "an address behind it": 'restrict,from="10.0.0.0/8"',
    "no restrict": "no-pty,no-port-forwarding",
    "an end of people's own": 'restrict,expiry-time="20991231"',
    "quotes within": 'environment="A=\\"b c\\"",restrict',
    "capitals": 'Restrict,From="10.0.0.1"',
    "blanks": "  \trestrict",
}


@pytest.mark.parametrize("front", FRONT.values(), ids=FRONT)
def test_a_line_is_ours_by_the_command_that_it_forces(front):
    text = OURS.replace("restrict", front, 1)
    (key,) = keys_in(text)
    assert (key.person, key.root) == ("ada", "/srv")
    assert without(text, {key.fingerprint}) == ""
    assert [one.argv[-1] for one in standing(text, fingerprint=SAID, person="ada")]
    assert standing(text, fingerprint=SAID, person="ben") == []


def test_options_that_people_wrote_stay_when_a_key_is_added_again():
    text = OURS.replace("restrict", 'from="10.0.0.0/8",no-pty', 1)
    (key,) = keys_in(text)
    again = with_key(text, key.until("2099-01-01T00:00:00Z"), python="p", root=SRV)
    assert again.startswith(
        'restrict,expiry-time="20990101000000Z",from="10.0.0.0/8",no-pty,command='
    )
    assert keys_in(again)[0].more == 'from="10.0.0.0/8",no-pty'


def test_a_key_of_one_root_is_not_moved_to_another_in_silence():
    (key,) = keys_in(OURS)
    with pytest.raises(UsageError, match="lets ada in to /srv; one key") as no:
        with_key(OURS, key, python="p", root=SRV.parent / "other")
    assert no.value.hint.endswith("--root /srv")
    assert without(OURS, {key.fingerprint}, SRV.parent / "other") == OURS
    assert without(OURS, {key.fingerprint}, SRV) == ""


@pytest.mark.parametrize(
    ("text", "expires"),
    [
        ("20260102030405Z", "2026-01-02T03:04:05Z"),
        ("202601020304Z", "2026-01-02T03:04:00Z"),
        ("20260102Z", "2026-01-02T00:00:00Z"),
        ("20269999Z", "0001-01-01T00:00:00Z"),
        ("tomorrow", "0001-01-01T00:00:00Z"),
    ],
)
def test_when_a_key_ends_is_read_as_sshd_reads_it(text, expires):
    """What sshd does not understand lets nobody in."""
    line = OURS.replace("restrict", f'restrict,expiry-time="{text}"', 1)
    assert [key.expires for key in keys_in(line)] == [expires]
