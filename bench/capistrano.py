"""Capistrano, where Debian's package is installed: `git push`, then `cap deploy`."""

import getpass
import json
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from measure import BenchError, Unavailable
from pushes import Contest, measured
from results import Row
from rivals import KEEP, KEPT, GitDeploy, Rival, Server, bare_repository
from session import Route, Session, directory
from sites import make_site
from ssh import HOST, Loopback

CASES = ["first", "empty", "one", "revert"]

CAPFILE = """\
require "capistrano/setup"
require "capistrano/deploy"
require "capistrano/scm/git"
install_plugin Capistrano::SCM::Git
"""

DEPLOY = """\
set :application, "shop"
set :repo_url, {repository}
set :branch, "main"
set :deploy_to, {site}
set :keep_releases, {kept}
set :log_level, :warn
set :ssh_options, {{
  port: {port}, config: false, keys: [{key}], keys_only: true, use_agent: false,
  auth_methods: %w[publickey], user_known_hosts_file: {known_hosts},
  verify_host_key: :always
}}
"""


@dataclass(frozen=True)
class Capistrano:
    """A project with a Capfile, deployed over ssh from the repository pushed to."""

    loopback: Loopback
    title: str = "capistrano"

    def make(self, root: Path, env: Mapping[str, str]) -> Server:
        """Return a new, empty server below an empty directory."""
        repository = bare_repository(root, env)
        project, site = root / "project", root / "site"
        (project / "config" / "deploy").mkdir(parents=True)
        (project / "Capfile").write_text(CAPFILE)
        text = DEPLOY.format(
            repository=_word(repository),
            site=_word(site),
            kept=KEPT,
            port=self.loopback.port,
            key=_word(self.loopback.key),
            known_hosts=_word(self.loopback.known_hosts),
        )
        (project / "config" / "deploy.rb").write_text(text)
        who = (
            f"server {_word(HOST)}, user: {_word(getpass.getuser())}, roles: %w[app]\n"
        )
        (project / "config" / "deploy" / "production.rb").write_text(who)
        then = f"cd {shlex.quote(str(project))} && cap production deploy"
        shown = site / "current"
        return Server(repository, shown, shown, site / "releases", then)


def capistrano_rows(session: Session, route: Route, files: int) -> Iterator[Row]:
    """Yield one row for each case, gitdeploy and Capistrano in turn.

    Raises:
        Unavailable: it is not installed, or there is no ssh for it.
    """
    if not shutil.which("cap"):
        raise Unavailable("the package capistrano is not installed")
    if not route.loopback:
        raise Unavailable("it needs ssh")
    rivals: dict[str, Rival] = {
        "gitdeploy": GitDeploy(),
        "capistrano": Capistrano(route.loopback),
    }
    with directory(session.home, f"{files}-capistrano") as here:
        session.progress.say(f"{files:,} files beside Capistrano: making them")
        others = {"deploy.toml": KEEP.encode()}
        site = make_site(here / "work.git", files, session.env, others)
        try:
            found = measured(Contest(session, site, route, rivals), CASES)
        except BenchError as error:  # neither git nor gitdeploy: others may go on
            print(error, file=sys.stderr)
            raise Unavailable("it failed, see above") from error
        for case in CASES:
            yield Row("capistrano", route.name, files, case, found[case])


def _word(value: Path | str) -> str:
    """Return a Ruby string; JSON's escapes are Ruby's, but for one."""
    return json.dumps(str(value)).replace("#", "\\#")
