"""What the texts at the top of the checkout promise is there."""

import os
import re

import pytest

from tests.support import checkout

RUN = "python3 packaging/bootstrap.py run"
TEST = "python3 packaging/bootstrap.py test"


def read(name: str) -> str:
    """Contents of a file at the top of the checkout."""
    return (checkout.ROOT / name).read_text(encoding="utf-8")


def dependency_names(lines: list[str]) -> set[str]:
    """Names without versions and markers."""
    return {re.split(r"[<>=!;\s]", line, maxsplit=1)[0] for line in lines}


def test_the_licence_of_every_dependency_is_listed() -> None:
    listed = {line.split("|")[0].strip() for line in read("resources/about/licences.txt").splitlines()}
    assert dependency_names(checkout.pyproject()["project"]["dependencies"]) - listed == set()


def test_every_listed_licence_names_licence_and_use() -> None:
    rows = [line for line in read("resources/about/licences.txt").splitlines() if "|" in line]
    assert all(len([cell for cell in row.split("|") if cell.strip()]) == 4 for row in rows)


def test_the_first_screen_of_the_readme_has_the_two_commands() -> None:
    first_screen = "\n".join(read("README.md").splitlines()[:40])
    assert RUN in first_screen
    assert TEST in first_screen


def test_what_the_readme_shows_is_there() -> None:
    shown = re.findall(r"\]\(([^)#]+)", read("README.md"))
    local = [target for target in shown if "://" not in target]
    assert [target for target in local if not (checkout.ROOT / target).exists()] == []


def test_ci_runs_the_checks_and_then_the_tests_of_the_readme() -> None:
    script = checkout.ROOT / ".ci" / "run"
    lines = script.read_text(encoding="utf-8").strip().splitlines()
    assert lines[-1].endswith(TEST)
    assert any(line.endswith("bootstrap.py check") for line in lines)
    if os.name == "posix":
        assert os.access(script, os.X_OK)


def test_the_changelog_knows_the_version() -> None:
    version = checkout.pyproject()["project"]["version"]
    text = read("CHANGELOG.md")
    assert f"## [{version}]" in text or "## [Unreleased]" in text


@pytest.mark.parametrize(
    "word", ["label map", "annotation", "patch", "correction", "prediction", "revision", "void"]
)
def test_contributing_explains_the_words(word: str) -> None:
    assert f"| {word}" in read("CONTRIBUTING.md")
