"""What the program needs from Python packages, and what an environment already has.

Standard library only: this runs before anything is installed, so it reads the small part of the
requirement language that our own pyproject.toml uses (version ranges and `python_version` markers).
"""

import hashlib
import json
import operator
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

Version = tuple[int, ...]

_LINE = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)\s*(?P<ranges>[^;]*?)\s*(?:;\s*(?P<marker>.+))?$")
_RANGE = re.compile(r"^(>=|<=|==|!=|>|<)\s*([0-9][^\s]*)$")
_MARKER = re.compile(r"^python_version\s*(>=|<=|==|!=|>|<)\s*['\"]([0-9.]+)['\"]$")
_COMPARE: dict[str, Callable[[Version, Version], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_PROBE = """
import importlib.metadata, json, sys
have = {}
for distribution in importlib.metadata.distributions():
    name = distribution.metadata["Name"]
    if name and name not in have:
        have[name] = distribution.version
print(json.dumps({"python": list(sys.version_info[:3]), "have": have}))
"""


@dataclass(frozen=True)
class Requirement:
    """One distribution and the versions of it that will do."""

    name: str
    ranges: tuple[tuple[str, Version], ...]
    text: str

    def accepts(self, version: str) -> bool:
        """Whether an installed `version` will do; local parts such as `+cpu` do not matter."""
        found = parse_version(version)
        return all(_COMPARE[sign](found, bound) for sign, bound in self.ranges)


@dataclass(frozen=True)
class Installed:
    """What one interpreter has: its own version and the versions of its distributions by name."""

    python: Version
    versions: Mapping[str, str]

    def missing(self, needed: Iterable[Requirement]) -> tuple[Requirement, ...]:
        """The requirements that nothing installed here meets."""
        return tuple(
            need
            for need in needed
            if need.name not in self.versions or not need.accepts(self.versions[need.name])
        )


def normal_name(name: str) -> str:
    """The form of a distribution's name in which two spellings of it are equal."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_version(text: str) -> Version:
    """Leading numbers of a version, without trailing zeros: `2.14.0+cpu` becomes `(2, 14)`."""
    match = re.match(r"\d+(?:\.\d+)*", text)
    numbers = [int(part) for part in match.group().split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def parse_requirement(line: str, python: Version) -> Requirement | None:
    """Read one line of pyproject.toml.

    Args:
        line: for example `numpy>=1.26,!=2.0; python_version < '3.13'`.
        python: version of the interpreter that the marker is about.

    Returns:
        None where the marker does not hold for that interpreter.

    Raises:
        ValueError: the line is outside the part of the language that is understood here.
    """
    match = _LINE.match(line.strip())
    if match is None:
        raise ValueError(f"requirement not understood: {line}")
    if match["marker"] is not None and not _marker_holds(match["marker"], python):
        return None
    ranges = []
    for part in filter(None, (piece.strip() for piece in match["ranges"].split(","))):
        bound = _RANGE.match(part)
        if bound is None:
            raise ValueError(f"version range not understood: {line}")
        ranges.append((bound[1], parse_version(bound[2])))
    return Requirement(normal_name(match["name"]), tuple(ranges), match["name"] + match["ranges"])


def _marker_holds(marker: str, python: Version) -> bool:
    match = _MARKER.match(marker.strip())
    if match is None:
        raise ValueError(f"marker not understood: {marker}")
    return _COMPARE[match[1]](python[:2], tuple(int(part) for part in match[2].split(".")))


def requirements(pyproject: Path, extras: Iterable[str], python: Version) -> tuple[Requirement, ...]:
    """Everything the project needs with these extras on that Python, each distribution once."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    lines = list(project["dependencies"])
    for extra in extras:
        lines.extend(project["optional-dependencies"][extra])
    parsed = (parse_requirement(line, python) for line in lines)
    return tuple({need.name: need for need in parsed if need is not None}.values())


def probe(python: Path) -> Installed | None:
    """Ask an interpreter what it has; None where it does not run."""
    try:
        done = subprocess.run([python, "-c", _PROBE], capture_output=True, text=True, check=True, timeout=60)
        answer = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    versions = {normal_name(name): version for name, version in answer["have"].items()}
    return Installed(tuple(answer["python"]), versions)


def stamp(pyproject: Path, constraints: Path, python: Version, extras: Iterable[str]) -> str:
    """A hash that changes whenever an installation made from these is out of date."""
    digest = hashlib.sha256()
    for part in (pyproject.read_bytes(), constraints.read_bytes(), repr((python, sorted(extras))).encode()):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def constraints_beside(constraints: str, installed: Installed) -> str:
    """The constraints with every distribution that is already there held at the version it has."""
    lines = []
    for line in constraints.splitlines():
        name = normal_name(line.partition("==")[0].strip())
        if "==" in line and name in installed.versions:
            continue
        lines.append(line)
    lines.extend(f"{name}=={version}" for name, version in sorted(installed.versions.items()))
    return "\n".join(lines) + "\n"
