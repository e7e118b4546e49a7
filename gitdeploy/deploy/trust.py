"""Which releases may give what their steps made, and to whom.

A step's key says what it read, as far as its author stated it. What a commit has
besides, and its step reads all the same, is in the outputs and not in the key: whoever
may stage could leave something there for prod. So what was made with more in sight than
the inputs stays with its commit, until prod has shown it.
"""

from gitdeploy import outputs
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.confining import means_of
from gitdeploy.model import Release
from gitdeploy.outputs import Made

__all__ = ["is_fit", "is_strict", "made_in", "may_take", "was_on_prod"]


def is_strict(app: App) -> bool:
    """Return whether steps see only what they state, as the server wants it."""
    return app.server.steps.are_strict and means_of(app)[0] == "bubblewrap"


def may_take(app: App, wanted: Wanted, donor: Release, made: Made) -> bool:
    """Return whether a release may have outputs of another one, if they are sound."""
    if made.trusted or made.commit == wanted.commit or was_on_prod(app, donor):
        return True
    # What is staged is promoted as it is: there, too, only what may be on prod.
    return wanted.chain != "prod" and not is_strict(app)


def was_on_prod(app: App, release: Release) -> bool:
    """Return whether prod ever showed a release."""
    return app.ledger.deployments.made_head("prod", release.number) is not None


def made_in(app: App, release: Release) -> dict[str, Made]:
    """Return the record of what the steps of a release made, by their keys."""
    try:
        return outputs.decode((app.layout.outputs / release.name).read_bytes())
    except OSError:
        return {}


def is_fit(app: App, release: Release) -> bool:
    """Return whether all of a release is its commit's, and what its steps state.

    One that was built before steps were held to that may have something of another
    commit's. What prod has shown is fit.
    """
    if was_on_prod(app, release):
        return True
    known = made_in(app, release)
    return all(
        key in known and (known[key].trusted or known[key].commit == release.commit)
        for key in app.ledger.releases.keys_of(release.number)
    )
