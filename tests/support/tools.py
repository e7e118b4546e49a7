"""The programs that some tests need and some machines lack."""

import os
import shutil
from typing import NoReturn

import pytest

ALL_MUST_RUN = "ALL_TESTS_MUST_RUN"
SYSTEM_DIRECTORIES = "/usr/sbin:/sbin"  # not in the PATH of ordinary users


def needs(program: str) -> str:
    """Return the program's absolute path, or leave the test out and say why.

    With CI=true nothing is left out: a missing program fails the test.
    """
    path = found(program)
    if path is None:
        cannot(f"{program} is missing; `make test` as root installs it")
    return path


def found(program: str) -> str | None:
    """Return the program's absolute path; None where the machine lacks it."""
    return shutil.which(program, path=searched())


def searched() -> str:
    """Return where programs are looked for, with what ordinary users leave out."""
    return f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_DIRECTORIES}"


def cannot(reason: str) -> NoReturn:
    """Leave this test out and say why; with CI=true fail it."""
    if in_ci():
        pytest.fail(f"CI=true, and {reason}", pytrace=False)
    pytest.skip(f"LEFT OUT: {reason}")


def in_ci() -> bool:
    """Tell whether every test must run."""
    return "true" in (os.environ.get("CI"), os.environ.get(ALL_MUST_RUN))


def hide_ci() -> None:
    """Keep from pytest that this is CI: there it would tell all of what differs.

    Of two large objects that is gigabytes, and nobody learns which test failed.
    """
    os.environ.pop("BUILD_NUMBER", None)
    if ci := os.environ.pop("CI", None):
        os.environ[ALL_MUST_RUN] = ci
