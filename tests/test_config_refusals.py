"""What is wrong in deploy.toml or server.toml, and in which words it is told."""

import pytest

from gitdeploy.config import parse, parse_server
from gitdeploy.errors import ConfigError

WHERE = "deploy.toml at ab12cd34ef"


def read(text):
    return parse(text.encode(), where=WHERE)


def refusal(text):
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert caught.value.message.startswith(f"{WHERE}: ")
    assert not caught.value.message.endswith(".")
    assert "\n" not in caught.value.message
    return caught.value.message.removeprefix(f"{WHERE}: "), caught.value.hint


def case(sentence, text, problem, hint=""):
    return pytest.param(text, problem, hint, id=sentence)


def steps(count, line='run = "a"'):
    return f"[[build.steps]]\n{line}\n" * count


DURATION = 'should be a duration such as "90s", "10m" or "1h"'
STEP_KEYS = "should be one of inputs, name, outputs, reuse, run, timeout, tool"
NAME = "should be a name of letters, digits and _, not beginning with a digit"
OURS = "should be a name that does not begin with GITDEPLOY_ or GIT_"
URL = "should be a URL that begins with http:// or https://"
STEP = "[[build.steps]]\nrun = 'a'\n"


@pytest.mark.parametrize(
    ("text", "problem", "hint"),
    [
        # Keys
        case(
            "an unknown key names the nearest known one",
            "[refs]\nstgae = []",
            "refs.stgae: should be one of move_tags, other, preview, release, stage,"
            " got 'stgae'",
            "write  stage",
        ),
        case(
            "an unknown key of a step has its full path",
            "[[build.steps]]\nrun = 'a'\ncomand = 'b'",
            f"build.steps[0].comand: {STEP_KEYS}, got 'comand'",
        ),
        case(
            "a misspelt key of a second step has its full path",
            STEP + STEP + "timeuot = '5m'",
            f"build.steps[1].timeuot: {STEP_KEYS}, got 'timeuot'",
            "write  timeout",
        ),
        case(
            "an unknown chain",
            "[chains.staging]",
            "chains.staging: should be one of dev, prod, got 'staging'",
        ),
        case(
            "an unknown key inside an optional table of a chain",
            "[chains.prod.health]\nurl = 'http://a'\nexpcet = [200]",
            "chains.prod.health.expcet: should be one of every, expect, headers,"
            " healthy_for, redirects, text, timeout, url, watch, within, got 'expcet'",
            "write  expect",
        ),
        case(
            "a key with a newline is shown escaped",
            '[releases]\n"a\\nb" = 1',
            r"releases.'a\nb': should be one of keep, got 'a\nb'",
        ),
        case(
            "a key that looks like msgspec's own path is a key",
            '[releases]\n[chains]\n"x - at `$.releases`" = 1',
            "chains.'x - at `$.releases`': should be one of dev, prod,"
            " got 'x - at `$.releases`'",
        ),
        case(
            "a missing key",
            "[[activate]]\nname = 'x'",
            "activate[0].run: should be given, got nothing",
        ),
        # Types
        case(
            "a number where text belongs",
            "[[build.steps]]\nrun = 1",
            "build.steps[0].run: should be text or a list, got a whole number",
        ),
        case(
            "a number in an argv",
            "[[build.steps]]\nrun = ['sleep', 1]",
            "build.steps[0].run[1]: should be text, got a whole number",
            'write  "1"',
        ),
        case(
            "text where a list belongs",
            "[shared]\nfiles = '.env'",
            "shared.files: should be a list, got text",
            'write  files = [".env"]',
        ),
        case(
            "a number where a table belongs",
            "health = 3",
            "health: should be a table, got a whole number",
        ),
        case(
            "a table where a list of tables belongs",
            "[activate]\nrun = 'a'",
            "activate: should be a list, got a table",
        ),
        case(
            "text where true or false belongs",
            "[checkout]\nsubmodules = 'yes'",
            "checkout.submodules: should be true or false, got text",
        ),
        case(
            "true where a number belongs",
            "[releases]\nkeep = true",
            "releases.keep: should be a whole number, got true or false",
        ),
        case(
            "a fraction where a whole number belongs",
            "[releases]\nkeep = 1.5",
            "releases.keep: should be a whole number, got a number",
        ),
        case(
            "a date where text belongs",
            "[[build.steps]]\nrun = 1979-05-27",
            "build.steps[0].run: should be text or a list, got a date",
        ),
        case(
            "a number as a variable is to be quoted",
            "[build.env]\nHOST = 'a'\nPORT = 80",
            "build.env.PORT: should be text, got a whole number",
            'write  PORT = "80"',
        ),
        # Ranges and choices
        case(
            "fewer than none cannot be kept",
            "[releases]\nkeep = -1",
            "releases.keep: should be a whole number of at least 0, got -1",
        ),
        case(
            "a number beyond every machine",
            f"[releases]\nkeep = 0x{'f' * 9000}",
            "releases.keep: should be a whole number of at most 10000,"
            " got a number of more than 63 bits",
        ),
        case(
            "a status that HTTP does not have",
            "[health]\nurl = 'http://a'\nexpect = [200, 99]",
            "health.expect[1]: should be a whole number of at least 100, got 99",
        ),
        case(
            "no status at all",
            "[health]\nurl = 'http://a'\nexpect = []",
            "health.expect: should be a list of length 1 or more, got an empty list",
        ),
        case(
            "a choice misspelt",
            "[checkout]\nshare = 'autos'",
            "checkout.share: should be one of auto, always, never, got 'autos'",
            'write  share = "auto"',
        ),
        case(
            "a choice of another type",
            f"[shared]\nscope = 0x{'f' * 9000}",
            "shared.scope: should be one of app, chain,"
            " got a number of more than 63 bits",
        ),
        case(
            "an empty pattern",
            "[refs]\nstage = ['']",
            'refs.stage[0]: should be a pattern of names such as "v*", at most 255'
            " characters, got ''",
        ),
        case(
            "more patterns than anyone writes",
            f"[refs]\nrelease = {['v*'] * 101}",
            "refs.release: should be a list of length 100 or less, got a list",
        ),
        case(
            "more steps than anyone writes",
            steps(101),
            "build.steps: should be at most 100 tables, got 101",
        ),
        case(
            "more checks than anyone writes",
            "[[checks]]\nrun = 'a'\n" * 101,
            "checks: should be at most 100 tables, got 101",
        ),
        # Durations
        case(
            "a number as a duration is meant as seconds",
            "[build]\ntimeout = 30",
            f"build.timeout: {DURATION}, got 30",
            'write  timeout = "30s"',
        ),
        case(
            "a duration without a unit",
            "[build]\ntimeout = '30'",
            f"build.timeout: {DURATION}, got '30'",
        ),
        case(
            "a duration with an unknown unit",
            "[health]\nurl = 'http://a'\nwithin = '2d'",
            f"health.within: {DURATION}, got '2d'",
        ),
        case(
            "a duration in digits of another script",
            f"{STEP}timeout = '٣s'",
            f"build.steps[0].timeout: {DURATION}, got '٣s'",
        ),
        case(
            "a duration in more digits than int() takes",
            f"{STEP}timeout = '{'9' * 5000}s'",
            f"build.steps[0].timeout: {DURATION}, got '{'9' * 40}'…",
        ),
        case(
            "no time at all",
            "[build]\ntimeout = '0s'",
            'build.timeout: should be between "1s" and "24h", got \'0s\'',
        ),
        case(
            "longer than a day",
            "[build]\ntimeout = '25h'",
            'build.timeout: should be between "1s" and "24h", got \'25h\'',
        ),
        # Steps
        case(
            "an empty command",
            "[[build.steps]]\nrun = ' '",
            "build.steps[0].run: should be a command, got an empty one",
        ),
        case(
            "an empty argv",
            "[[build.steps]]\nrun = []",
            "build.steps[0].run: should be a command, got an empty one",
        ),
        case(
            "an argv without a program",
            "[[activate]]\nrun = ['', 'a']",
            "activate[0].run: should be a command, got an empty one",
        ),
        case(
            "a NUL in a command",
            '[[build.steps]]\nrun = "a\\u0000"',
            "build.steps[0].run: should be a command without NUL characters,"
            " got one with",
        ),
        case(
            "inputs without outputs",
            f"{STEP}inputs = ['a']",
            "build.steps[0].outputs: should be given where inputs is, got nothing",
        ),
        case(
            "a tool without inputs",
            f"{STEP}tool = 'node --version'",
            "build.steps[0].tool: should be given only where inputs is, got a command",
        ),
        case(
            "a tool that is nothing",
            f"{STEP}inputs = ['a']\noutputs = ['b']\ntool = []",
            "build.steps[0].tool: should be a command, got an empty one",
        ),
        case(
            "an unknown way of reuse",
            f"{STEP}inputs = ['a']\noutputs = ['b']\nreuse = 'shared'",
            "build.steps[0].reuse: should be one of copy, share, off, got 'shared'",
            'write  reuse = "share"',
        ),
        case(
            "an input in a shared folder",
            "[shared]\ndirs = ['storage']\n"
            f"{STEP}inputs = ['storage/x']\noutputs = ['b']",
            "build.steps[0].inputs[0]: should be a path outside 'storage', which"
            " outlives commits, got 'storage/x'",
        ),
        case(
            "outputs without inputs",
            f"{STEP}outputs = ['a']",
            "build.steps[0].inputs: should be given where outputs is, got nothing",
        ),
        case(
            "an output in another output",
            f"{STEP}inputs = ['a']\noutputs = ['out/js', 'out']",
            "build.steps[0].outputs[0]: should be a path outside 'out', also listed,"
            " got 'out/js'",
        ),
        case(
            "an input above the release",
            f"{STEP}inputs = ['../*']\noutputs = ['b']",
            "build.steps[0].inputs[0]: should be a path without a part '..',"
            " got '../*'",
        ),
        case(
            "two steps of one name",
            f"{STEP}name = 'x'\n{STEP}\n{STEP}name = 'x'",
            "build.steps[2].name: should be a name no other step has, got 'x'",
        ),
        case(
            "a blank name",
            f"{STEP}name = ' '",
            "build.steps[0].name: should be text of 1 to 40 characters, got ' '",
        ),
        case(
            "a name that would move the cursor",
            f'{STEP}name = "a\\u001b[2J"',
            "build.steps[0].name: should be one line of printable characters,"
            r" got 'a\x1b[2J'",
        ),
        # Variables
        case(
            "a variable of ours",
            "[build.env]\nGITDEPLOY_APP = 'x'",
            f"build.env.GITDEPLOY_APP: {OURS}, got 'GITDEPLOY_APP'",
        ),
        case(
            "a variable of git's on one chain",
            "[chains.dev.env]\nGIT_DIR = 'x'",
            f"chains.dev.env.GIT_DIR: {OURS}, got 'GIT_DIR'",
        ),
        case(
            "a variable that no shell can name",
            "[build.env]\n'a b' = 'x'",
            f"build.env.'a b': {NAME}, got 'a b'",
        ),
        case(
            "a variable in letters that POSIX does not have",
            "[build.env]\n'é' = 'x'",
            f"build.env.é: {NAME}, got 'é'",
        ),
        case(
            "a NUL in a variable",
            '[build.env]\nA = "\\u0000"',
            "build.env.A: should be text without NUL characters, got text with one",
        ),
        # Checks and health
        case(
            "a check of nothing",
            "[[checks]]",
            "checks[0]: should be a table with either run or serve, got neither",
        ),
        case(
            "a check of two kinds",
            "[[checks]]\nrun = 'a'\nserve = 'b'\nurl = '/'",
            "checks[0]: should be a table with either run or serve, got both",
        ),
        case(
            "a served check with nothing to ask",
            "[[checks]]\nrun = 'a'\n[[checks]]\nserve = 'b'",
            "checks[1].url: should be given where serve is, got nothing",
        ),
        case(
            "something to ask where nothing is served",
            "[[checks]]\nrun = 'a'\nurl = '/'",
            "checks[0].url: should be given only where serve is, got '/'",
        ),
        case(
            "a served check elsewhere",
            "[[checks]]\nserve = 'a'\nurl = 'http://example.org/'",
            "checks[0].url: should be a path that begins with /,"
            " got 'http://example.org/'",
        ),
        case(
            "an answer expected of a command",
            "[[checks]]\nrun = 'a'\nexpect = [204]",
            "checks[0].expect: should be given only where serve is, got it with run",
        ),
        case(
            "a header that would be two",
            "[[checks]]\nserve = 'a'\nurl = '/'\nheaders = { Host = \"a\\r\\nB: c\" }",
            "checks[0].headers.'Host': should be printable ASCII characters,"
            " got 'a\\r\\nB: c'",
        ),
        case(
            "a header with a name that is none",
            "[health]\nurl = 'http://a'\nheaders = { 'a b' = 'c' }",
            "health.headers.'a b': should be the name of an HTTP header, got 'a b'",
        ),
        case(
            "healthy for longer than there is time",
            "[health]\nurl = 'http://a'\nhealthy_for = '30s'",
            "health.healthy_for: should be shorter than within, got 30 s of 30 s",
        ),
        case(
            "a health check of a file",
            "[health]\nurl = 'file:///etc/passwd'",
            f"health.url: {URL}, got 'file:///etc/passwd'",
        ),
        case(
            "a health check of no host, on one chain",
            "[chains.prod.health]\nurl = 'http://'",
            f"chains.prod.health.url: {URL}, got 'http://'",
        ),
    ],
)
def test_what_is_wrong_is_named_by_its_key_path(text, problem, hint):
    assert refusal(text) == (problem, hint)


@pytest.mark.parametrize(
    ("data", "problem", "hint"),
    [
        case(
            "not UTF-8",
            b"[refs]\n# caf\xe9",
            "should be UTF-8, got 0xe9 at byte offset 12",
        ),
        case("too large", b"#" * 65_537, "should be at most 64 KiB, got 65537 bytes"),
        case(
            "not TOML",
            b"a = 1\nb = = 2",
            "should be TOML, got an error at line 2, column 5: invalid value",
        ),
        case(
            "nested lists",
            b"a = " + b"[" * 60_000,
            "should be TOML without hundreds of nested values, got more",
        ),
        case(
            "nested tables",
            b"a = " + b"{a=" * 20_000,
            "should be TOML without hundreds of nested values, got more",
        ),
        case(
            "a key of thousands of parts",
            b"a." * 30_000 + b"a = 1",
            "should be TOML without hundreds of nested values, got more",
        ),
        case(
            "a number of thousands of digits",
            b"a = " + b"9" * 5_000,
            "should be TOML with numbers of 63 bits, got a longer one",
        ),
    ],
)
def test_a_file_that_cannot_be_read_says_why(data, problem, hint):
    for read_bytes in (parse, parse_server):
        with pytest.raises(ConfigError) as caught:
            read_bytes(data, where=WHERE)
        assert caught.value.message == f"{WHERE}: {problem}"
        assert caught.value.hint == hint
