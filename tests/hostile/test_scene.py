"""The server that attacks are tried on is one where honest work goes well."""

import pytest

from hostile.scene import CANARY, Scene


def test_honest_work_goes_well_and_is_confined(attack: Scene) -> None:
    work = attack.clone("mallory")
    step = '[[build.steps]]\nname = "step"\nrun = "id -un; echo made > made"\n'
    with attack.nothing_else_changes():
        push = attack.push(work, step)
        assert push.code == 0, push.output
        assert "deploy" in push.output
        push = attack.release(work, "v1")
        assert push.code == 0, push.output
    assert attack.served()["made"] == b"made\n"
    assert attack.json("status", "shop")["steps"]["confined_by"] == "bubblewrap"
    assert CANARY in attack.path("blog/shared/.env").read_text()


def test_what_changes_elsewhere_is_seen(attack: Scene) -> None:
    with pytest.raises(AssertionError, match="authorized_keys"):  # noqa: SIM117
        with attack.nothing_else_changes():
            attack.machine.run("sh", "-c", "echo >>~deploy/.ssh/authorized_keys")


def test_who_may_stage_may_nothing_else(attack: Scene) -> None:
    work = attack.clone("mallory")
    assert attack.push(work).code == 0
    assert attack.release(work, "v1", "mallory").code == 1
    assert attack.ssh("mallory", "env shop list").returncode == 1
    assert attack.ssh("mallory", "status blog").returncode == 1
    assert attack.ssh("otto", "status blog").returncode == 0
