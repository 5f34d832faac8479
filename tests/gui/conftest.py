"""Windows for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from app.theme import Theme
from tests.support.fake_session import Opener
from tests.support.window import Desk, MakeDesk

OFFSCREEN_REMARK = "This plugin does not support"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Overlook what the platform without a screen remarks about every window with a smallest size."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.qt_log_ignore(OFFSCREEN_REMARK))


@pytest.fixture
def make_desk(qtbot: QtBot, tmp_path: Path) -> Iterator[MakeDesk]:
    """Make windows on fake sessions; options go to the `FakeSession`."""
    desks: list[Desk] = []

    def make(*, theme: Theme = Theme.DARK_NATIVE, **options: Any) -> Desk:
        desk = Desk(tmp_path, Opener(**options), theme=theme)
        desks.append(desk)
        return desk

    yield make
    for desk in desks:
        desk.close()


@pytest.fixture
def desk(make_desk: MakeDesk) -> Desk:
    """A window with a folder of three plain images open."""
    made = make_desk()
    made.open()
    return made
