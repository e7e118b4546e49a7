"""One target for some seconds, guided by what its inputs reach; `__main__` starts it.

python -m fuzz.guided TARGET SECONDS CORPUS DICTIONARY FOUND
"""

import sys

import atheris

with atheris.instrument_imports(include=["gitdeploy"]):
    from fuzz.targets import TARGETS

_MOST_BYTES = 8192
_TIMEOUT_S = 10


def main() -> None:
    """Hand over to libFuzzer, which ends this process."""
    name, seconds, corpus, dictionary, found = sys.argv[1:]
    options = {
        "max_total_time": seconds,
        "max_len": _MOST_BYTES,
        "timeout": _TIMEOUT_S,
        "dict": dictionary,
        "artifact_prefix": f"{found}/",
        "print_final_stats": 1,
        "verbosity": 0,
    }
    words = [f"-{option}={value}" for option, value in options.items()]
    # What was found before is tried first, and nothing is added to it.
    atheris.Setup([sys.argv[0], *words, corpus, found], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
