"""A step is known by all that decides what it makes, and by nothing else."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.git import Work
from support.server import Server

from gitdeploy.config import parse
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.step_key import Key, StepKeys
from gitdeploy.steps import Place
from gitdeploy.system.surroundings import Surroundings

SHOW = '[[build.steps]]\nname = "deps"\nrun = "make"\noutputs = ["lib"]\n'
LOCK = f'{SHOW}inputs = ["lock.json"]\n'
FILES = {"lock.json": "1", "src/a.js": "a", "src/lib/b.js": "b", "index.html": "1"}


class Keys:
    """An app whose commits are never deployed: only their steps' keys are asked for."""

    def __init__(self, app: App, work: Work, release: Path) -> None:
        self.app = app
        self.work = work
        self.release = release

    def all(self, toml: str, chain: str = "dev", **files: str) -> list[Key]:
        """Commit files, and return the key of each step."""
        self.work.commit("change", **files)
        self.app.repository.git("fetch", "--quiet", str(self.work.path), "HEAD")
        wanted = Wanted(
            content="",
            commit=self.work.head,
            tree=self.work.oid("HEAD^{tree}"),
            config=parse(toml.encode(), where="deploy.toml"),
            chain="prod" if chain == "prod" else "dev",
            ref="refs/heads/main",
        )
        environment = {
            "PATH": os.environ["PATH"],
            **wanted.config.env_for(wanted.chain),
            "GITDEPLOY_COMMIT": wanted.commit,
            "GITDEPLOY_CHAIN": chain,
        }
        keys = StepKeys(self.app, wanted, Place(self.release, environment))
        return [keys.of(step, read_only=False) for step in wanted.config.build.steps]

    def __call__(self, toml: str = LOCK, chain: str = "dev", **files: str) -> str:
        """Return the key of the last step, which has one."""
        value = self.all(toml, chain, **files)[-1].value
        assert value is not None
        return value


@pytest.fixture
def keys(server: Server, make_work: Callable[..., Work], tmp_path: Path) -> Keys:
    server.setup("shop")
    work = make_work("ada")
    work.commit("first", **FILES)
    around = Surroundings(os.environ["PATH"], str(tmp_path), "C", "ada", "sh", "/tmp")  # noqa: S108
    app = App.open(server.root, "shop", around, "ada")
    release = tmp_path / "release"
    release.mkdir()
    return Keys(app, work, release)


def inputs(*patterns: str) -> str:
    return f"{SHOW}inputs = {[*patterns]}\n"


def test_a_key_is_the_same_while_nothing_that_matters_changed(keys: Keys) -> None:
    """Not the commit, the chain, other files, names, timeouts, or how it is reused."""
    first = keys()
    assert keys(**{"index.html": "2", "deploy.toml": "x", "lib2/a": "x"}) == first
    assert keys(chain="prod") == first
    assert keys('[build]\ntimeout = "1m"\n' + LOCK.replace('"deps"', '"x"')) == first
    assert keys(LOCK + 'reuse = "off"\ntimeout = "2m"') == first


def test_each_thing_that_matters_gives_another_key(keys: Keys) -> None:
    """And no two of them the same."""
    found = [
        keys(),
        keys(LOCK.replace('"make"', '"make all"')),
        keys(LOCK.replace('"make"', '["make"]')),
        keys(LOCK.replace('["lib"]', '["lib", "dist"]')),
        keys('[build]\nenv = { A = "1" }\n' + LOCK),
        keys('[build]\nenv = { A = "2" }\n' + LOCK),
        keys(f'{LOCK}[chains.prod]\nenv = {{ B = "1" }}\n', "prod"),
        keys('[checkout]\nshare = "never"\n' + LOCK),
        keys(LOCK + 'tool = "echo"'),
        keys(LOCK + 'tool = "echo 1"'),
        keys(LOCK + 'tool = "echo $A"\n[build.env]\nA = "2"\n'),
        keys(**{"lock.json": "2"}),
        keys(**{".gitattributes": "*.json eol=crlf"}),
        keys(**{"lib/kept": "where the outputs go"}),
    ]
    (keys.work.path / "lock.json").chmod(0o755)
    found.append(keys())
    assert len(set(found)) == len(found)


def test_a_tool_is_known_by_its_answer(keys: Keys) -> None:
    """Asked in the release; what it says to stderr does not count."""
    (keys.release / "version").write_text("1")
    first = keys(LOCK + 'tool = "cat version; echo noise >&2"')
    assert keys(LOCK + "tool = ['sh', '-c', 'echo; cat version']") == first
    (keys.release / "version").write_text("2")
    assert keys(LOCK + 'tool = "cat version"') != first


@pytest.mark.parametrize(
    ("patterns", "matters", "others"),
    [
        (["src"], ["src/a.js", "src/lib/new"], ["index.html"]),
        (["src/*.js"], ["src/a.js", "src/new.js"], ["src/lib/b.js", "src/a.ts"]),
        (["src/**/*.js"], ["src/a.js", "src/lib/b.js"], ["src/a.ts", "a.js"]),
        (["src/*"], ["src/a.js", "src/lib/deep/b.js"], ["index.html"]),
        (["*.json"], ["lock.json", "new.json"], ["src/new.json"]),
        (["**/*.json"], ["lock.json", "src/new.json"], ["index.html"]),
        (["lock.json", "src/[[]i].js"], ["src/[i].js"], ["src/i.js"]),
        (["lock.json", "src/**", "**/x"], ["src/lib/x", "x"], ["index.html"]),
        (["src/**"], ["src/lib/.gitattributes", ".gitattributes"], ["lib2/x"]),
    ],
    ids=" ".join,
)
def test_inputs_are_what_their_patterns_say(
    keys: Keys, patterns: list[str], matters: list[str], others: list[str]
) -> None:
    """A file that matters gives another key, one that does not the same."""
    toml = inputs(*patterns)
    now = keys(toml)
    for name in matters:
        before, now = now, keys(toml, **{name: f"new {name}"})
        assert now != before, name
    assert keys(toml, **dict.fromkeys(others, "new")) == now


def test_a_name_with_brackets_is_also_just_a_name(keys: Keys) -> None:
    """`pages/[id].tsx` is what people write."""
    first = keys(inputs("pages/[id].tsx"), **{"pages/[id].tsx": "1"})
    assert keys(inputs("pages/[id].tsx"), **{"pages/[id].tsx": "2"}) != first


def test_an_input_that_is_a_link_counts_as_what_it_leads_to(keys: Keys) -> None:
    """Also where a folder on its way is the link."""
    (keys.work.path / "link.json").symlink_to("real/lock.json")
    (keys.work.path / "way").symlink_to("real")
    (keys.work.path / "odd").symlink_to("no\nwhere")
    for path in ("link.json", "way/lock.json"):
        toml = inputs("odd", path)
        first = keys(toml, **{"real/lock.json": "1"})
        assert keys(toml, **{"real/other": f"{path}"}) == first
        assert keys(toml, **{"real/lock.json": f"2 {path}"}) != first


def test_an_input_in_a_submodule_counts_as_its_commit(keys: Keys) -> None:
    """The app's repository has no more of it."""
    other = {"1": keys.work.head, "2": keys.work.commit("second")}
    for patterns in (["mod"], ["mod/a"], ["mod/**/*.js"], ["m*"], ["**/x.js"]):
        found = []
        for id_ in other.values():
            info = f"160000,{id_},mod"
            keys.work.git("update-index", "--add", "--cacheinfo", info)
            keys.work.git("commit", "--quiet", "--allow-empty", "-m", "module")
            found.append(_of_head(keys, inputs(*patterns)))
        assert found[0] != found[1], patterns


def _of_head(keys: Keys, toml: str) -> str:
    """Return a key without adding what is in the work tree, which lacks the module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys.work, "commit", lambda *_, **__: keys.work.head)
        return keys(toml)


def test_a_folder_that_is_deployed_alone_is_where_inputs_begin(keys: Keys) -> None:
    """But attributes above it hold for it too."""
    toml = f'[checkout]\npath = "src"\n{inputs("a.js", "lib/*.js")}'
    first = keys(toml)
    assert keys(toml, **{"a.js": "elsewhere", "lib/b.js": "elsewhere"}) == first
    second = keys(toml, **{"src/lib/b.js": "changed"})
    third = keys(toml, **{".gitattributes": "*.js eol=crlf"})
    assert len({first, second, third}) == 3


def test_a_variable_of_ours_counts_where_the_command_names_it(keys: Keys) -> None:
    """The commit's id, say: what is made of it is another thing in each commit."""
    of_commit = LOCK.replace('"make"', '"make $GITDEPLOY_COMMIT"')
    assert keys(of_commit) != keys(of_commit)
    of_chain = LOCK.replace('"make"', '["make", "GITDEPLOY_CHAIN"]')
    assert keys(of_chain) == keys(of_chain) != keys(of_chain, "prod")


def test_a_shared_file_counts_as_what_it_holds(keys: Keys) -> None:
    """git knows nothing of it, and a front end is built of its values."""
    toml = '[shared]\nfiles = [".env"]\n' + inputs(".env")
    first = keys(toml)
    shared = keys.app.layout.shared
    (shared / ".env").write_text("A=1")
    second = keys(toml)
    assert second == keys(toml) != first
    (shared / ".env").write_text("A=2")
    assert keys(toml) != second


@pytest.mark.parametrize(
    ("patterns", "remark"),
    [
        (["lock.json", "lock.jsno"], "always runs: the commit has no lock.jsno"),
        (["*.jsno"], "always runs: no file matches *.jsno"),
        (["lock.json/x"], "always runs: the commit has no lock.json/x"),
    ],
)
def test_an_input_that_is_not_there_makes_nothing_unchanged(
    keys: Keys, patterns: list[str], remark: str
) -> None:
    """A slip of the pen costs time, and is told."""
    assert keys.all(inputs(*patterns)) == [Key(None, remark)]


def test_a_pattern_without_a_match_is_told_and_does_no_harm(keys: Keys) -> None:
    """There may be no patches yet."""
    (key,) = keys.all(inputs("lock.json", "patches/*"))
    assert key.value
    assert key.remark == "no file matches patches/*"


ASSETS = '[[build.steps]]\nrun = "bundle"\ninputs = {}\noutputs = ["dist"]\n'


def test_a_step_is_known_by_those_before_it_too(keys: Keys) -> None:
    """What is bundled depends on the dependencies, whether that is stated or not."""
    toml = LOCK + ASSETS.format(["src"])
    deps, assets = keys.all(toml)
    assert keys.all(toml, **{"index.html": "2"}) == [deps, assets]
    same, other = keys.all(toml, **{"src/a.js": "2"})
    assert (same, other != assets) == (deps, True)
    assert not {*keys.all(toml, **{"lock.json": "2"})} & {deps, assets, other}


def test_after_a_step_that_states_nothing_all_of_the_commit_counts(keys: Keys) -> None:
    """Who knows what it makes of which file; the log says who is to blame."""
    toml = '[[build.steps]]\nrun = "prepare"\n' + LOCK
    first, second = keys.all(toml)
    assert first == Key(None)
    assert "every change counts, as prepare before it" in second.remark
    assert keys(toml) == second.value
    assert keys(toml, **{"index.html": "2"}) != second.value


def test_an_input_may_be_what_an_earlier_step_made(keys: Keys) -> None:
    """It is not missing, and counts as that step."""
    toml = LOCK + ASSETS.format(["lib/made"])
    first = keys(toml)
    assert keys(toml, **{"index.html": "2"}) == first
    assert keys(toml, **{"lock.json": "2"}) != first


def test_git_is_asked_once_for_all_inputs_of_all_steps(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And once more where there are patterns; not at all where nothing is stated."""
    asked = []
    ask = type(keys.app.repository.git).__call__

    def count(self: object, *words: str, **how: object) -> bytes:
        asked.append(words[0])
        return ask(self, *words, **how)  # type: ignore[arg-type]

    plain = inputs("lock.json", "src", "index.html")
    steps = "".join(plain.replace("deps", f"s{n}") for n in range(20))
    with_glob = steps + inputs("src/*.js")
    unstated = '[[build.steps]]\nrun = "make"\n'
    monkeypatch.setattr(type(keys.app.repository.git), "__call__", count)
    for toml, listings in ((steps, 1), (with_glob, 2), (unstated, 0)):
        asked.clear()
        keys.all(toml)
        assert asked.count("ls-tree") == listings
        assert asked.count("cat-file") == 0


def test_more_folders_than_a_command_line_takes_are_asked_for(keys: Keys) -> None:
    """Each folder on the way is; deploy.toml itself has a limit."""
    deep = [f"{n}/" + "d/" * 500 + "x" for n in range(40)]
    (key,) = keys.all(inputs("lock.json", *deep), **{deep[-1]: "there"})
    assert key.value is None
    assert deep[0] in key.remark
    assert deep[-1] not in key.remark
