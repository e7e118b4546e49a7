"""No inode is shared with a writer: whatever command a pusher declares, prod is prod's.

Prod is live from a commit that declares no command; its files could have more names.
"""

import os
import shlex
import stat

import pytest

from hostile.scene import Scene

# Writes in place, and restores the time and the mode.
EVIL = """\
f=$1; t=$(mktemp); touch -r "$f" "$t"; m=$(stat -c %a "$f")
chmod u+w "$f"; printf EVIL | dd of="$f" conv=notrunc 2> "$t.said"
touch -r "$t" "$f"; chmod "$m" "$f"
"""
RUN = 'run = "sh evil page"\n'
WRITERS = {
    "step": f"[[build.steps]]\n{RUN}",
    "tool": (
        '[[build.steps]]\nrun = "touch out"\ninputs = ["page"]\noutputs = ["out"]\n'
        'tool = "sh evil page || :; echo 1"\n'
    ),
    "check": f"[[checks]]\n{RUN}",
    "check that serves": (
        '[[checks]]\nserve = "sh evil page; exec python3 -m http.server'
        ' --bind 127.0.0.1 $PORT"\nurl = "/page"\n'
    ),
    "activate": f"[[activate]]\n{RUN}",
    "deactivate": f"[[deactivate]]\n{RUN}",
    "of one chain": f"[[chains.prod.activate]]\n{RUN}[[chains.dev.activate]]\n{RUN}",
    "share always": f'[checkout]\nshare = "always"\n[[checks]]\n{RUN}',
}


def inodes(top: os.PathLike[str]) -> set[int]:
    """Return those of all regular files below a directory."""
    return {
        status.st_ino
        for folder, _, names in os.walk(os.path.join(top, ""))
        for name in names
        if stat.S_ISREG((status := os.lstat(os.path.join(folder, name))).st_mode)
    }


@pytest.mark.parametrize("kind", WRITERS)
def test_a_command_never_writes_into_the_bytes_of_prod(
    attack: Scene, kind: str
) -> None:
    """Not from a release beside it, nor from one that shares with such a release."""
    mallory = attack.clone("mallory")
    plain = "[releases]\nkeep = 9\n"
    assert attack.push(mallory, plain, page="the page", evil=EVIL).code == 0
    assert attack.release(mallory, "v1").code == 0
    before, ours = attack.served("prod"), inodes(attack.live("prod"))
    assert before["page"] == b"the page"
    mallory.git("config", "core.sshCommand", shlex.join(attack.client("mallory")))
    told = attack.push(mallory, plain + WRITERS[kind], page="the page", other="1")
    assert told.code == 0, told.output
    if kind == "share always":
        assert "[sharing] hard_links of server.toml" in told.output
    theirs = inodes(attack.live("dev"))
    assert not theirs & ours
    if kind == "deactivate":  # it runs where its release is left
        mallory.git("revert", "--no-edit", "HEAD")
        assert mallory.push("main").code == 0
        mallory.git("revert", "--no-edit", "HEAD")
        assert mallory.push("main").code == 0
    wrote = b"the page" if kind == "tool" else b"EVILpage"  # it only reads, by now
    assert attack.served("dev")["page"] == wrote
    assert attack.served("prod") == before
    # The other way round: what declares nothing shares with nobody who may write.
    assert attack.push(mallory, plain, page="the page", other="2").code == 0
    assert attack.served("dev")["page"] == b"the page"
    assert not inodes(attack.live("dev")) & theirs


def test_releases_without_any_command_still_share(attack: Scene) -> None:
    """They have no writer, and the control that hard links are seen here at all."""
    mallory = attack.clone("mallory")
    assert attack.push(mallory, "", page="the page", other="1").code == 0
    first = inodes(attack.live("dev"))
    assert attack.push(mallory, "", page="the page", other="2").code == 0
    assert inodes(attack.live("dev")) & first
