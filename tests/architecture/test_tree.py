"""Rules about files as such: how long, where, and what must not be written in them."""

import re
from pathlib import Path

import pytest

from tests.support import checkout

MAX_LINES = 400
DRAWERS = {"utils", "util", "common", "helpers", "helper", "core", "misc", "manager", "managers"}
TEXTS = {".py", ".md", ".toml", ".txt", ".json", ".yaml", ".yml", ".cfg", ".ini", ".svg", ".html", ".in", ""}
# Written in pieces, so that this file does not contain what it looks for.
PLACES = [
    re.compile(r"(?<![\w.~$})])" + place)
    for place in ("/wo" + r"rk/\w", "/o" + r"pt/\w", "/ro" + r"ot/\w", r"[A-Z]:\\+Us" + r"ers\\")
]
HOSTS = re.compile(
    r"(py" + r"pi\.org|pythonhos" + r"ted\.org|download\.pyto" + r"rch\.org|conda\.ana" + r"conda\.org"
    r"|np" + r"mjs\.(org|com)|cra" + r"tes\.io|hugging" + r"face\.co|gh" + r"cr\.io|dock" + r"er\.(io|com))",
    re.IGNORECASE,
)


def texts() -> list[Path]:
    """Every text file of the project but the licence texts of others."""
    return [path for path in checkout.files() if path.suffix in TEXTS]


def test_no_python_file_is_too_long() -> None:
    lengths = {
        checkout.relative(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in checkout.python_files()
    }
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_there_are_no_drawers() -> None:
    found = {
        checkout.relative(path)
        for path in checkout.python_files()
        if DRAWERS & {part.lower() for part in (*path.relative_to(checkout.ROOT).parent.parts, path.stem)}
    }
    assert found == set()


def test_no_file_names_a_machine_or_a_registry() -> None:
    found = []
    for path in texts():
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if HOSTS.search(line) or any(place.search(line) for place in PLACES):
                found.append(f"{checkout.relative(path)}:{number}: {line.strip()[:100]}")
    assert found == []


@pytest.mark.parametrize(
    ("line", "noticed"),
    [
        ("see /wo" + "rk/main", True),
        ("'/o" + "pt/tool/bin'", True),
        ("home/wo" + "rk/main", False),
        ("../wo" + "rk/main", False),
        ("https://py" + "pi.org/simple", True),
    ],
)
def test_the_search_finds_what_it_should(line: str, noticed: bool) -> None:
    assert (bool(HOSTS.search(line)) or any(place.search(line) for place in PLACES)) is noticed


def test_test_files_have_names_of_their_own() -> None:
    """Test folders are no packages, so two files of one name would hide each other."""
    names = [path.name for path in checkout.python_files() if path.name.startswith("test_")]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


def test_every_package_folder_is_a_package() -> None:
    folders = {
        path.parent
        for path in checkout.python_files()
        if path.relative_to(checkout.ROOT).parts[0] in checkout.PACKAGES
    }
    assert [checkout.relative(f) for f in sorted(folders) if not (f / "__init__.py").exists()] == []


def test_no_file_waits_for_later() -> None:
    """Half-done things are not left in the code under the names people give them."""
    marks = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
    found = [
        f"{checkout.relative(path)}:{number}"
        for path in checkout.python_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if marks.search(line)
    ]
    assert found == []
