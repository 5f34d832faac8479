"""The layout of the class memory's map is a choice, and one that cannot be had gives way."""

import pytest

from engine.messages import CommandFailed, MapMemory, Problem, Projection
from tests.support.inspection import opened
from tests.support.window import Desk

pytestmark = pytest.mark.gui


def test_a_layout_whose_package_is_missing_says_so_and_the_map_stays(desk: Desk) -> None:
    answers = opened(desk, "memory")
    page = desk.window.inspect.page
    answers.memory()
    desk.settle()
    assert not page.trouble.isVisible()
    page.projection.setCurrentIndex(1)
    assert desk.session.worker.of(MapMemory)[-1].projection is Projection.NEIGHBOURHOODS
    problem = Problem(message="UMAP is not installed.", hint='Install it: pip install "maskloop[umap]"')
    desk.session.emit(CommandFailed(command="MapMemory", problem=problem))
    desk.settle()
    assert page.trouble.isVisible()
    assert "maskloop[umap]" in page.trouble.text()
    assert page.projection.currentIndex() == 0
    assert len(page.scatter.dots) == 5
    page.map_button.click()
    assert desk.session.worker.of(MapMemory)[-1].projection is Projection.PRINCIPAL
    assert not page.trouble.isVisible()
