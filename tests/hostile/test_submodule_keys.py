"""A commit that names a host does not learn by it what the server's own key opens."""

import pytest
from support.git import Work
from support.sshd import HOST

from hostile.scene import HOME, Scene

SUBMODULES = "[checkout]\nsubmodules = true\n"
OTHERS = "/srv/private.git"


@pytest.fixture
def private(attack: Scene) -> Scene:
    """A repository that the server's own key opens, and no key of mallory's."""
    run, ssh = attack.machine.run, HOME / ".ssh"
    run("rm", "-rf", OTHERS, "/srv/theirs")
    run("git", "init", "--quiet", "/srv/theirs")
    who = ("-c", "user.name=x", "-c", "user.email=x@y")
    attack.machine.path("/srv/theirs/secret").write_text("secret")
    run("git", "-C", "/srv/theirs", "add", "secret")
    run("git", "-C", "/srv/theirs", *who, "commit", "--quiet", "-m", "secret")
    run("git", "clone", "--quiet", "--bare", "/srv/theirs", OTHERS)
    run("chown", "-R", "deploy:deploy", OTHERS)
    run("rm", "-f", f"{ssh}/id_ed25519", f"{ssh}/id_ed25519.pub")
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{ssh}/id_ed25519")
    public = attack.machine.path(ssh / "id_ed25519.pub").read_text()
    port = attack.url().rpartition(":")[2]
    host = attack.machine.path("/etc/ssh/ssh_host_ed25519_key.pub").read_text().split()
    line = f"[{HOST}]:{port} {host[0]} {host[1]}\n"
    attack.machine.path(ssh / "known_hosts").write_text(line)
    keys = attack.machine.path(ssh / "authorized_keys")
    opens = f'command="git-upload-pack {OTHERS}" {public}'
    keys.write_text(keys.read_text() + opens)
    run("chown", "-R", "deploy:deploy", ssh)
    return attack


def mounted(scene: Scene) -> Work:
    """Return mallory's clone with a submodule that only the server's key opens."""
    work = scene.clone("mallory")
    head = scene.machine.run("git", "-C", "/srv/theirs", "rev-parse", "HEAD").stdout
    work.write(
        ".gitmodules", f'[submodule "x"]\n\tpath = lib\n\turl = {scene.url("x")}\n'
    )
    work.write("deploy.toml", SUBMODULES)
    work.git("add", "--all")
    work.git("update-index", "--add", "--cacheinfo", f"160000,{head.strip()},lib")
    work.git("commit", "--quiet", "-m", "mount")
    return work


def test_the_server_s_key_is_not_offered(private: Scene) -> None:
    push = mounted(private).push("main")
    assert push.code == 1, push.output
    said = " ".join(push.output.replace("remote:", "").split())
    assert "the server's own key was not offered" in said
    assert "[submodules] ssh_key = true in the server's server.toml" in said
    opens = "[submodules]\nssh_key = true\n"
    private.server_toml(opens)
    push = mounted(private).push("main")
    assert push.code == 0, push.output


def test_the_doctor_tells_whose_submodules_need_it(private: Scene) -> None:
    """An app that was deployed with the key, by an earlier version."""
    private.server_toml("[submodules]\nssh_key = true\n")
    assert mounted(private).push("main").code == 0

    def found() -> list[str]:
        findings = private.json("doctor", "shop")["findings"]
        return [f["what"] for f in findings if f["name"] == "submodule-without-key"]

    assert found() == []
    private.server_toml("")
    url = private.url("x")
    assert found() == [f"'{url}' is fetched by ssh, without the server's own key"]


def test_neither_is_it_by_a_file_or_a_connection_of_the_user_s(private: Scene) -> None:
    """~/.ssh/config names the key, and an agent would have it."""
    ssh = HOME / ".ssh"
    config = f"Host *\nIdentityFile {ssh}/other\nIdentitiesOnly no\n"
    private.machine.run("mv", f"{ssh}/id_ed25519", f"{ssh}/other")
    private.machine.path(ssh / "config").write_text(config)
    private.machine.run("chown", "deploy:deploy", f"{ssh}/config")
    try:
        push = mounted(private).push("main")
        assert push.code == 1, push.output
        private.server_toml("[submodules]\nssh_key = true\n")
        push = mounted(private).push("main")
        assert push.code == 0, push.output
    finally:
        private.machine.run("rm", f"{ssh}/config", f"{ssh}/other")
