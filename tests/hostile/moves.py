"""The grammar of hostile moves: shell lines that a step of deploy.toml tries.

Each is tried at random places with random targets; whether it works is not asked.
"""

import random
from typing import Final

PLACES: Final = (
    '"$GITDEPLOY_RELEASE_DIR"',
    '"$GITDEPLOY_RELEASE_DIR/public"',
    '"$GITDEPLOY_RELEASE_DIR/out"',
    '"$GITDEPLOY_SHARED_DIR"',
    '"$GITDEPLOY_SHARED_DIR/storage"',
    '"$HOME"',
    '"${GITDEPLOY_PREVIOUS_DIR:-.}"',
    "/tmp",  # noqa: S108 - of the box
)
"""Where: the release, what a step makes, what is shared, the cache, the one before."""

TARGETS: Final = (
    "{root}/blog/shared",
    "{root}/blog/shared/.env",
    "{root}/blog.git/hooks",
    "{root}/shop.git/hooks",
    "{root}/shop/releases",
    "{root}/www",
    "{home}",
    "{home}/.ssh",
    "../../../blog/shared",
    "/etc",
    "/dev/zero",
    "/proc/self/root",
    "..",
    "page",
    "nowhere",
)

NAMES: Final = ("a", "dev", "prod", "storage", ".env", "page", "public", "out")
"""Names that mean something to somebody."""

ODD: Final = (
    *("x", "built", "-rf", "new\nline", "\udc80\udcff", "\x1b[2J", "sp ace", "$(id)"),
    *("..env.new", ".gitdeploy.new", ".gitdeploy-outputs", ".gitdeploy-checkout"),
    *(".git", "deploy.toml", "a/b/c", "index.php", ".removing-0", ".sharing-1"),
)

MOVES: Final = {
    "a link": "ln -sfn {target} {there}",
    "a link in place of a folder": "rm -rf {there}; ln -sfn {target} {there}",
    "a hard link": "ln {target} {there}",
    "a hard link of the page": "ln page {there}",
    "a hard link of what was made": "ln out/built {there}",
    "a pipe": "rm -rf {there}; mkfifo {there}",
    "a socket": "python3 -c 'import socket,sys;socket.socket(1).bind(sys.argv[1])'"
    " {there}",
    "a device": "mknod {there} c 1 5",
    "nobody enters": "mkdir -p {there}; chmod 000 {there}",
    "nobody writes": "chmod -R a-w {place}",
    "everybody writes": "chmod -R a+rwx {place}",
    "setuid": "cp /usr/bin/id {there}; chmod 6755 {there}",
    "an old time": "touch -h -d 1970-01-01T00:00:01Z {there}",
    "a time to come": "touch -h -d 2100-01-01T00:00:00Z {there}",
    "the page's own time": "touch -r page {there}",
    "renamed": "mv {place}/* {there}",
    "moved away": "mv {place} {place}.aside",
    "moved away, and a link": "mv {place} {place}.aside; ln -s {target} {place}",
    "sparse": "truncate -s 64M {there}",
    "more through it": "echo evil >>{there}",
    "written in place": "chmod u+w {there}; printf evil | dd of={there} conv=notrunc"
    " status=none",
    "the page written in place": "cp -p page /tmp/kept; chmod u+w page; printf evil |"
    " dd of=page conv=notrunc status=none; touch -r /tmp/kept page",
    "what was made written in place": "chmod -R u+w out; printf evil | dd of=out/built"
    " conv=notrunc status=none; touch -d 2026-01-01 out/built",
    "what was made, by a second name": "ln out/built y; printf evil >y; rm y",
    "the one before written": 'chmod -R u+w "$GITDEPLOY_PREVIOUS_DIR";'
    ' echo evil >"$GITDEPLOY_PREVIOUS_DIR/page"',
    "very deep": "python3 -c 'import os,sys;os.chdir(sys.argv[1]);"
    '[(os.mkdir("d"),os.chdir("d")) for _ in range(300)]\' {place}',
    "many": "mkdir -p {place}/many; cd {place}/many && seq 300 | xargs touch",
    "left running": "setsid sh -c 'sleep 30; echo evil >{there}' &",
    "programs": "mkdir -p {place}/bin; for name in grep cp git sh du env id; do printf"
    " '#!/bin/sh\\ntouch {target}.ran\\n' >{place}/bin/$name; done;"
    " chmod 755 {place}/bin/*",
    "a flood": "yes evil | head -c 300000",
    "a secret looked for": "cat {target} {target}/* {target}/.env",
}

PROGRAMS: Final = MOVES["programs"].format(place='"$HOME"', target="{target}")
RUINS: Final = {
    "all gone": "rm -rf {place}/* {place}/.[a-z]*",
    "the release gone": 'rm -rf "$GITDEPLOY_RELEASE_DIR"',
    "all killed": "kill -9 -1",
}
"""Moves after which a script does nothing more, or has nothing left to do it to."""


_ALL_WRITTEN = "chmod -R u+w .; printf evil | dd of=page conv=notrunc status=none"
OPENINGS: Final = (
    (
        ('ln -sfn {home} "$GITDEPLOY_SHARED_DIR/dev"', ""),
        (
            (
                'mkdir -p "$GITDEPLOY_SHARED_DIR/.ssh";'
                ' echo evil >>"$GITDEPLOY_SHARED_DIR/.ssh/authorized_keys"'
            ),
            "[shared]\nscope = 'chain'\ndirs = ['storage']\n",
        ),
    ),
    (
        ('ln -sfn {root}/blog.git/hooks "$GITDEPLOY_SHARED_DIR/a"', ""),
        ("true", "[shared]\nfiles = ['a/pre-receive']\n"),
    ),
    (
        (
            'ln -sfn {root}/blog/shared "$GITDEPLOY_SHARED_DIR/storage"',
            "[shared]\ndirs = ['storage']\n",
        ),
        ("echo evil >storage/evil", "[shared]\ndirs = ['storage']\n"),
    ),
    (
        (
            (
                'mkdir -p "$HOME/bin"; for name in grep cp du git; do printf'
                " '#!/bin/sh\\ntouch {root}/blog/ran\\n' >\"$HOME/bin/$name\"; done;"
                ' chmod 755 "$HOME"/bin/*'
            ),
            "",
        ),
        ("true", "env"),
    ),
    (
        ("ln out/built y; printf evil | dd of=y conv=notrunc status=none; rm y", ""),
        ("true", ""),
    ),
    ((_ALL_WRITTEN, ""), (_ALL_WRITTEN, "")),
)
"""How some histories begin: what was once a way out, a script and a part of deploy.toml
for the first push and for those after it; `env` for the PATH into the cache."""

LINKS: Final = ("a link", "a link in place of a folder", "a hard link")
"""Moves that are tried more often than the others."""

_RUINED: Final = 0.1
_OPENED: Final = 0.5
_ODD: Final = 0.3


class Hand:
    """The few places, names and targets that one history has to do with.

    With all of them in each move, two that belong together would hardly ever meet.
    """

    def __init__(self, random_: random.Random, root: str, home: str) -> None:
        self._random = random_
        self._places = random_.sample(PLACES, 3)
        self._names = random_.sample(NAMES, 3)
        few = random_.sample(TARGETS, 3)
        self._targets = [target.format(root=root, home=home) for target in few]
        opening = random_.choice(OPENINGS) if random_.random() < _OPENED else ()
        self._opening = [(text.format(root=root, home=home), t) for text, t in opening]

    def opening(self) -> tuple[str, str | None]:
        """Return what the next push begins with: a script and a part of deploy.toml.

        None: that part is anything.
        """
        if not self._opening:
            return "true", None
        return self._opening.pop(0) if len(self._opening) > 1 else self._opening[0]

    def script(self, begin: str) -> str:
        """Return a step's text: some moves, none of which stops the others."""
        often = [MOVES[name] for name in LINKS] * 5 + [PROGRAMS]
        size = self._random.randint(5, 40)
        texts = self._random.choices([*MOVES.values(), *often], k=size)
        if self._random.random() < _RUINED:
            texts.append(self._random.choice([*RUINS.values()]))
        lines = (f"( {self._move(text)} ) 2>/dev/null || true" for text in texts)
        return "\n".join(["set +e", f"( {begin} ) 2>/dev/null", *lines, "true", ""])

    def _move(self, text: str) -> str:
        choice = self._random.choice
        name = choice(ODD if self._random.random() < _ODD else self._names)
        place, target = choice(self._places), choice(self._targets)
        return text.format(place=place, there=f"{place}/{_quoted(name)}", target=target)


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "'\\''") + "'"
