"""From a fresh checkout to a running program in one command; needs nothing but Python 3.11 or newer.

    python3 packaging/bootstrap.py run [FOLDER]   open the window
    python3 packaging/bootstrap.py demo [...]     show the whole work without a window
    python3 packaging/bootstrap.py test [...]     run the tests; arguments go to pytest
    python3 packaging/bootstrap.py check          ruff, format, mypy and the import contracts

The first run makes `.venv` in the checkout and installs exact versions (packaging/constraints.txt). In an
active virtual environment that has what is needed, nothing is installed.

This file must run on old Pythons, so that they can be turned away with a sentence.
"""

import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)
NEWEST_KNOWN_MINOR = 14


def starts(python: str) -> bool:
    """Whether an interpreter runs at all: version managers put names on the path that lead nowhere."""
    try:
        return subprocess.call([python, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def newer_python() -> "str | None":
    """Path of an interpreter that is new enough, the newest first; None where there is none."""
    names = [f"python3.{minor}" for minor in range(NEWEST_KNOWN_MINOR, OLDEST[1] - 1, -1)]
    return next((path for path in map(shutil.which, names) if path and starts(path)), None)


def main() -> "int | str":
    """Hand over to a Python that is new enough, then to what the command line asks for."""
    if sys.version_info < OLDEST:
        newer = newer_python()
        if newer is None:
            return f"Maskloop needs Python 3.11 or newer; this is {sys.version.split()[0]}."
        os.execv(newer, [newer, *sys.argv])
    import verbs

    return verbs.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
