"""Services run on beside releases: units and files of an existing supervisor.

Two generations of a service share the listening socket, which is the supervisor's:
the new one is started in the free of two slots, and when it is ready the earlier one
is told to stop. Nothing here knows the ledger, or which release is live.
"""

from gitdeploy.services.description import SLOTS, Description, Launch
from gitdeploy.services.found import Found, Kind, end, found_by, supervisors_of
from gitdeploy.services.generation import Keeper, NotReady, bring_up, live_slots
from gitdeploy.services.script import release_of
from gitdeploy.services.sockets import Made, check_free, made_at, remove_socket
from gitdeploy.services.supervisor import Supervisor
from gitdeploy.services.systemd import Systemd, systemd_runs, units_of

__all__ = [
    "SLOTS",
    "Description",
    "Found",
    "Keeper",
    "Kind",
    "Launch",
    "Made",
    "NotReady",
    "Supervisor",
    "Systemd",
    "bring_up",
    "check_free",
    "end",
    "found_by",
    "live_slots",
    "made_at",
    "release_of",
    "remove_socket",
    "supervisors_of",
    "systemd_runs",
    "units_of",
]
