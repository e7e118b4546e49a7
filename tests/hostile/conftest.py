"""The server that attacks are tried on; one for each test process."""

from collections.abc import Iterator

import pytest
from support.tools import needs

from hostile.scene import Scene, scene


@pytest.fixture(scope="session")
def made_scene(
    clean_world: object,  # noqa: ARG001 - order
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    """A server of which the next test makes the apps anew."""
    needs("bwrap")
    with scene(tmp_path_factory.mktemp("scene")) as made:
        yield made


@pytest.fixture
def attack(made_scene: Scene) -> Scene:
    """The apps shop and blog; mallory may only stage shop, rita may release it."""
    made_scene.reset()
    return made_scene
