"""What each target is tried with first: real inputs, and those that broke others."""

from collections.abc import Mapping, Sequence
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIJ0mXoBb1Dv8p1nqCgVxGkqLr0ZkUO6mXm3rG2oyC3Zq"
FINGERPRINT = "SHA256:" + "a" * 43
OURS = (
    'restrict,command="/usr/bin/python3 -I -m gitdeploy.forced_command --root=/srv'
    f' --key={FINGERPRINT} ada" ssh-ed25519 {KEY} ada@home\n'
)


def _bytes(*texts: str) -> list[bytes]:
    return [text.encode("utf-8", "surrogateescape") for text in texts]


SSH = _bytes(
    "",
    "git-receive-pack 'shop'",
    "git-receive-pack '/shop.git'",
    "git-upload-pack 'blog-de.git/'",
    "git-receive-pack '../blog-de.git'",
    "git-receive-pack 'shop\\''; id'",
    "git-receive-pack '-shop'",
    "git-receive-pack --help",
    "git-upload-archive 'shop'",
    "status shop --json",
    "status --json shop",
    "history --limit 3 shop",
    "history --limit --root=/etc shop",
    "history --limit=-1 shop",
    "history shop --limit",
    "logs -f shop 7",
    "logs -fshop",
    "rollback shop dev --steps 2 --force",
    "rollback --to --root=/ shop",
    "lock shop --reason '--root=/' --until 2h --chain prod",
    "env shop set 'A=b c' --chain dev",
    "env shop set --chain --root=/ A=b",
    "env --wait 5 shop list",
    "env shop list --show",
    "cancel shop --all --wait=5",
    "plan shop main",
    "status -- shop",
    "status shop\nid",
    "status 'shop",
    "sh -c id",
    "status \udcff",
    "status 'shop' ''",
)

PKT = [
    b"0000",
    b"0006a\n0000",
    b"00040000",
    b"0005\n0000",
    b"000Ahello\n0000",
    b"001fversion=1\0push-options atomic0000",
    b"0009hel",
    b"0001",
    b"0003",
    b"fff0",
    b"ffff",
    b"-001",
    b"0x09hello",
    b"0000trailing",
]

TOML = [
    b"",
    b"\xef\xbb\xbf",
    b"a = 1\nb = = 2",
    b"a." * 100 + b"a = 1",
    b"a = " + b"[" * 1000,
    b"a = " + b"{a=" * 1000,
    b'"\x1b[2J" = 1',
    b'"\\u001b[2J" = 1',
    b"# caf\xe9",
    b"\0",
    b"[refs]\n[refs]\n",
    b"releases.keep = 0x" + b"f" * 5000,
    b"releases.keep = " + b"9" * 5000,
    b"releases.keep = 1e999",
    b"releases.keep = nan",
    b"releases.keep = 1979-05-27T07:32:00.999999-07:00",
]

DEPLOY_TOML = [
    (SOURCE / "deploy.toml").read_bytes(),
    b'[refs]\nstage = ["*"]\nrelease = []\nother = "store"\nmove_tags = true\n',
    b'[shared]\nfiles = [".env"]\ndirs = ["storage", "var/cache"]\nscope = "chain"\n',
    b'[shared]\ndirs = ["var/\xe2\x80\xaecache"]\n',
    b'[shared]\ndirs = ["../x", "/etc", "a/../b", ".git"]\n',
    (
        b'[[build.steps]]\nname = "a"\nrun = ["npm", "ci"]\ntimeout = "5m"\n'
        b'inputs = ["package.json", "src/**"]\noutputs = ["node_modules"]\n'
    ),
    b'[build]\nenv = { A = "b", GIT_DIR = "c" }\ntimeout = "10m"\n',
    b'[[checks]]\nserve = "x"\nurl = "/health"\nwithin = "30s"\n',
    b'[health]\nurl = "http://127.0.0.1/"\nexpect = [200, 99]\nwatch = "1m"\n',
    b'[chains.prod]\nactivate = [{ run = "a" }]\n[chains.prod.env]\nA = "1"\n',
    b'[[services]]\nname = "web"\nrun = "gunicorn"\nlisten = "web.sock"\n',
    b'[releases]\nkeep = 10\n[checkout]\nsubmodules = true\npath = "docs"\n',
    *TOML,
]

ACCESS_TOML = [
    (
        b'[groups]\nteam = ["ada", "ben"]\n\n[[grant]]\nto = ["@team", "cy"]\n'
        b'may = ["stage", "read"]\napps = ["shop", "blog-*"]\nrefs = ["v*"]\n'
    ),
    b'[groups]\n"@x" = ["a b"]\n',
    b'[[grant]]\nto = ["--root=/"]\nmay = ["admin"]\napps = ["../x"]\n',
    b"[[grant]]\nto = []\nmay = []\n",
    b'[[grant]]\nto = ["ada"]\nmay = []\n',
    *TOML,
]

SERVER_TOML = [
    b'[limits]\nentries = 10\ndepth = 64\nfile_bytes = "512MiB"\nlog_bytes = 5\n',
    b'[limits]\nentries = 0\nfile_bytes = "9999999TiB"\n',
    b'[submodules]\nprotocols = ["https", "ext"]\n',
    b'[windows]\nprod = ["Mon-Thu 08:00-17:00 Europe/Berlin", "22:00-02:00 UTC"]\n',
    b'[notify]\nurls = ["mailto://a"]\n[[notify.webhook]]\nurl = "http://a"\n',
    b'[[access.grant]]\nto = ["ada"]\nmay = ["read"]\n',
    *TOML,
]

KEYS = [
    b"",
    OURS.encode(),
    OURS.encode() * 2,
    OURS.rstrip("\n").encode(),
    f"ssh-ed25519 {KEY} somebody\n".encode() + OURS.encode(),
    OURS.replace("restrict,", 'restrict,expiry-time="20260101000000Z",').encode(),
    OURS.replace(KEY, "A").encode(),
    OURS.replace(KEY, "\u00e9").encode(),
    OURS.replace('ada"', "'\"").encode(),
    b"# comment\x0c" + OURS.encode(),
    b"# comment\xe2\x80\xa8" + OURS.encode(),
    b"# comment\r" + OURS.encode(),
    b"\xff\xfe\n" + OURS.encode(),
    b'command="x" ssh-rsa AAAA caf\xe9\r\n',
    b"\n\n\r\n",
]

WINDOWS = _bytes(
    "Mon-Thu 08:00-17:00 Europe/Berlin",
    "22:00-02:00 UTC",
    "00:00-24:00 UTC",
    "Fri-Mon 10:00-10:00 America/New_York",
    "Sun 02:30-03:00 Europe/Berlin",
    "Sun 00:00-24:00 Pacific/Apia",
    "Mon 24:00-08:00 UTC",
    "Mon 08:00-17:00 ../../etc/passwd",
    "Mon 08:00-17:00 Europe/",
    "Mon 08:00-17:00 leapseconds",
    "Mon 08:00-17:00 " + "A" * 5000,
    "always",
)

_HEADERS = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor A <a@b> 1 +0000\n"

COMMITS = [
    b"",
    _HEADERS + b"\nsubject\n\nbody\n",
    *(
        _HEADERS + b"encoding " + name + b"\n\ncaf\xe9 +2AA- \\ud800\n"
        for name in (b"ISO-8859-1", b"utf-7", b"idna", b"undefined", b"a\0b", b"")
    ),
    _HEADERS + b"\n\x1b]0;owned\x07\r\xc2\x9b2J",
]

TREES = [
    b"",
    b"100644 a\0" + b"i" * 20,
    b"100644 a\0" + b"i" * 20 + b"40000 d\0" + b"j" * 20,
    b"120000 link\0" + b"i" * 20,
    b"160000 lib\0" + b"i" * 20,
    b"-100644 a\0" + b"i" * 20,
    b"1_00 a\0" + b"i" * 20,
    b"100644 a\0short",
    b"100644",
    b"\xff" * 40,
]

SEEDS: Mapping[str, Sequence[bytes]] = {
    "ssh_command": SSH,
    "pkt_line": PKT,
    "deploy_toml": DEPLOY_TOML,
    "access_toml": ACCESS_TOML,
    "server_toml": SERVER_TOML,
    "authorized_keys": KEYS,
    "windows": WINDOWS,
    "commit": COMMITS,
    "tree": TREES,
}
