"""The environment the program runs in: the active one where it will do, else `.venv` in the checkout."""

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import requirements
import system_libraries
from steps import SetupError, Steps

ROOT = Path(__file__).resolve().parent.parent
SCRATCH = ROOT / ".bootstrap"
VENV = ROOT / ".venv"
STAMP = "maskloop-stamp.json"
PYPROJECT = ROOT / "pyproject.toml"
CONSTRAINTS = ROOT / "packaging" / "constraints.txt"
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "run": (),
    "demo": (),
    "test": ("test",),
    "check": ("test", "dev"),
}
# An environment that has these was made for this program: it is completed rather than passed over.
HEAVY = ("torch", "torchvision")
FREE_BYTES = 9 * 2**30


def environment_python(folder: Path) -> Path:
    """The interpreter of the virtual environment in `folder`."""
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def active_python(
    environment: Mapping[str, str], prefix: str, base_prefix: str, executable: str
) -> Path | None:
    """The interpreter of the active virtual (or conda) environment; None outside of one."""
    if prefix != base_prefix or environment.get("CONDA_PREFIX") == prefix:
        return Path(executable)
    folder = environment.get("VIRTUAL_ENV")
    return environment_python(Path(folder)) if folder else None


def prepare(verb: str, steps: Steps) -> Path:
    """Find or make an environment with everything that `verb` needs; returns its interpreter.

    Raises:
        SetupError: it cannot be made.
    """
    extras = EXTRAS[verb]
    active = active_python(os.environ, sys.prefix, sys.base_prefix, sys.executable)
    own = environment_python(VENV)
    if active is not None and active.parent != own.parent:
        installed = requirements.probe(active)
        if installed is not None and _complete_active(active, installed, extras, steps):
            return active
    if not _stamp_holds(own, extras):
        _make_own(own, extras, steps)
    return own


def _complete_active(
    python: Path, installed: requirements.Installed, extras: Sequence[str], steps: Steps
) -> bool:
    """Use the active environment: as it is, or with the small packages added; False where it is another's."""
    missing = installed.missing(requirements.requirements(PYPROJECT, extras, installed.python))
    if any(need.name in HEAVY for need in missing):
        steps.say(f"The active environment ({python.parent.parent}) has no torch that will do: not used.")
        return False
    if missing:
        SCRATCH.mkdir(exist_ok=True)
        beside = SCRATCH / "constraints.txt"
        pins = requirements.constraints_beside(CONSTRAINTS.read_text(encoding="utf-8"), installed)
        beside.write_text(pins, encoding="utf-8")
        title = f"Adding {len(missing)} packages to the active environment"
        steps.run(title, pip_command(python, beside, [need.text for need in missing]))
    return True


def pip_command(python: Path, constraints: Path, packages: Sequence[str], *options: str) -> list[str]:
    """The command that installs packages at the versions the constraints name."""
    quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    return [str(python), "-m", "pip", "install", *quiet, *options, "-c", str(constraints), *packages]


@dataclass(frozen=True)
class _Stamp:
    """What the environment in the checkout was made from: Python, extras, hash of the files."""

    python: requirements.Version = ()
    extras: tuple[str, ...] = ()
    hash: str = ""


def _read_stamp() -> _Stamp:
    """The stamp of the checkout's own environment; an empty one where there is none that can be read."""
    try:
        made = json.loads((VENV / STAMP).read_text(encoding="utf-8"))
        return _Stamp(tuple(made["python"]), tuple(made["extras"]), str(made["hash"]))
    except (OSError, ValueError, KeyError, TypeError):
        return _Stamp()


def _stamp_holds(python: Path, extras: Sequence[str]) -> bool:
    """Whether the checkout's own environment was made from the present files, with these extras."""
    made = _read_stamp()
    expected = requirements.stamp(PYPROJECT, CONSTRAINTS, made.python, made.extras)
    return python.exists() and made.hash == expected and set(extras) <= set(made.extras)


def _make_own(python: Path, extras: Sequence[str], steps: Steps) -> None:
    """Make `.venv` if it is not there, install into it, and stamp it."""
    wanted = tuple(sorted({*extras, *_read_stamp().extras}))
    if requirements.probe(python) is None:
        _check_space(steps)
        _provide_venv_module(steps)
        steps.say(f"Setting up Maskloop in {VENV} (once; some minutes and about 6 GB).")
        steps.run("Making the environment", [sys.executable, "-m", "venv", "--clear", str(VENV)])
    installed = requirements.probe(python)
    if installed is None:
        raise SetupError(f"The environment in {VENV} does not start; remove that folder and try again")
    needs = requirements.requirements(PYPROJECT, wanted, installed.python)
    # setuptools first and by itself: the project is then installed without fetching it a second time.
    packages = ["setuptools", *(need.text for need in needs)]
    steps.run(f"Installing {len(needs)} packages and theirs", pip_command(python, CONSTRAINTS, packages))
    options = ("--no-build-isolation", "--no-deps", "--editable")
    steps.run("Installing Maskloop", [*pip_command(python, CONSTRAINTS, ()), *options, str(ROOT)])
    made = _Stamp(
        installed.python, wanted, requirements.stamp(PYPROJECT, CONSTRAINTS, installed.python, wanted)
    )
    (VENV / STAMP).write_text(json.dumps(asdict(made)), encoding="utf-8")


def _check_space(steps: Steps) -> None:
    free = shutil.disk_usage(ROOT).free
    if free < FREE_BYTES:
        steps.say(f"Only {free / 2**30:.1f} GiB are free here; the set-up may need {FREE_BYTES / 2**30:.0f}.")


def _provide_venv_module(steps: Steps) -> None:
    """Debian keeps part of the standard library in a package of its own."""
    if importlib.util.find_spec("ensurepip") is not None:
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if not system_libraries.may_use_apt():
        raise SetupError(f"This Python cannot make environments; run: sudo apt-get install {package}")
    _apt_install((package,), steps)


def _apt_install(packages: Sequence[str], steps: Steps) -> None:
    for command in system_libraries.apt_commands(packages):
        title = (
            "Installing system packages" if "install" in command else "Reading the list of system packages"
        )
        steps.run(title, command, environment={"DEBIAN_FRONTEND": "noninteractive"})


def provide_system_libraries(steps: Steps, *, window: bool) -> None:
    """See that Qt will find what it loads; install it where that needs no asking.

    Raises:
        SetupError: something is missing and has to be installed by the person.
    """
    if not sys.platform.startswith("linux"):
        return
    names = system_libraries.needed(os.environ, window=window)
    missing = system_libraries.missing(names)
    if missing and system_libraries.may_use_apt():
        _apt_install(system_libraries.debian_packages(missing), steps)
        missing = system_libraries.missing(names)
    if missing:
        raise SetupError(
            f"Qt needs system libraries that are not here ({', '.join(missing)}); "
            f"get them with: {system_libraries.advice(missing)}"
        )
