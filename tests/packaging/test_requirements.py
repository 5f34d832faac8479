"""Which packages are needed, which are there, and when an installation is out of date."""

import sys
from pathlib import Path

import pytest
import requirements

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = ROOT / "pyproject.toml"
CONSTRAINTS = ROOT / "packaging" / "constraints.txt"


@pytest.mark.parametrize(
    ("line", "version", "accepted"),
    [
        ("torch>=2.11", "2.14.1", True),
        ("torch>=2.11", "2.11.0+cpu", True),
        ("torch>=2.11", "2.9.1", False),
        ("numpy", "1.0", True),
        ("PySide6-Essentials>=6.9,!=6.12.0,<6.12", "6.11.3", True),
        ("PySide6-Essentials>=6.9,!=6.12.0", "6.12.0", False),
        ("PySide6-Essentials>=6.9,!=6.12.0", "6.12.1", True),
        ("pillow>=10.3", "10.3.0", True),
        ("pillow==10.3", "10.3.1", False),
    ],
)
def test_a_requirement_accepts_the_versions_in_its_ranges(line: str, version: str, accepted: bool) -> None:
    need = requirements.parse_requirement(line, (3, 11, 2))
    assert need is not None
    assert need.accepts(version) is accepted


def test_markers_choose_by_python_version() -> None:
    line = "PySide6-Essentials<6.12; python_version < '3.12'"
    assert requirements.parse_requirement(line, (3, 11, 9)) is not None
    assert requirements.parse_requirement(line, (3, 12, 0)) is None
    assert requirements.parse_requirement(line, (3, 13, 0)) is None


@pytest.mark.parametrize(
    "line", ["numpy>=1 and more", "numpy>=1; sys_platform == 'win32'", "@nonsense", "numpy~=1.2"]
)
def test_what_is_not_understood_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not understood"):
        requirements.parse_requirement(line, (3, 11, 0))


@pytest.mark.parametrize("python", [(3, 11, 7), (3, 12, 0), (3, 14, 1)])
def test_every_requirement_of_the_project_is_understood_and_pinned(python: tuple[int, ...]) -> None:
    pinned = dict(
        line.split("==") for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines() if "==" in line
    )
    versions = {requirements.normal_name(name): version for name, version in pinned.items()}
    needs = requirements.requirements(PYPROJECT, ("test", "dev"), python)
    assert {"torch", "pyside6-essentials", "pytest", "ruff"} <= {need.name for need in needs}
    assert requirements.Installed(python, versions).missing(needs) == ()


def test_constraints_leave_the_accelerator_packages_to_torch() -> None:
    text = CONSTRAINTS.read_text(encoding="utf-8")
    assert not any(line.startswith(("nvidia", "cuda", "triton")) for line in text.splitlines())


def test_missing_names_what_is_absent_or_too_old() -> None:
    needs = [requirements.parse_requirement(line, (3, 11)) for line in ("a>=2", "b_x>=1", "c")]
    installed = requirements.Installed((3, 11, 0), {"a": "1.9", "b-x": "1.0"})
    assert [need.name for need in installed.missing(need for need in needs if need)] == ["a", "c"]


def test_probe_sees_this_interpreter_and_survives_a_dead_one(tmp_path: Path) -> None:
    installed = requirements.probe(Path(sys.executable))
    assert installed is not None
    assert installed.python == tuple(sys.version_info[:3])
    assert "pytest" in installed.versions
    assert requirements.probe(tmp_path / "python") is None


def test_the_stamp_follows_everything_it_was_made_from(tmp_path: Path) -> None:
    project, pins = tmp_path / "pyproject.toml", tmp_path / "constraints.txt"
    project.write_text("a", encoding="utf-8")
    pins.write_text("b", encoding="utf-8")
    first = requirements.stamp(project, pins, (3, 11, 7), ("test", "dev"))
    assert first == requirements.stamp(project, pins, (3, 11, 7), ("dev", "test"))
    stamps = {first}
    stamps.add(requirements.stamp(project, pins, (3, 12, 0), ("test", "dev")))
    stamps.add(requirements.stamp(project, pins, (3, 11, 7), ("test",)))
    project.write_text("ab", encoding="utf-8")
    pins.write_text("", encoding="utf-8")
    stamps.add(requirements.stamp(project, pins, (3, 11, 7), ("test", "dev")))
    project.write_text("a", encoding="utf-8")
    stamps.add(requirements.stamp(project, pins, (3, 11, 7), ("test", "dev")))
    assert len(stamps) == 5


def test_what_is_there_is_held_at_its_version() -> None:
    installed = requirements.Installed((3, 11, 0), {"torch": "2.12.0+cpu"})
    text = requirements.constraints_beside("# why\ntorch==2.14.1\nnumpy==2.4.6\n", installed)
    assert text == "# why\nnumpy==2.4.6\ntorch==2.12.0+cpu\n"
