"""Plug-ins: good ones appear, broken ones are named and skipped."""

import importlib.metadata
from collections.abc import Iterator

import pytest

from engine import catalog
from engine.catalog import FORMATS_GROUP, NETWORKS_GROUP
from engine.errors import ExchangeError
from engine.exchange.png import IdExporter
from models.catalog import MODELS


class Point:
    def __init__(self, name: str, value: object) -> None:
        self.name = name
        self._value = value

    def load(self) -> object:
        if isinstance(self._value, Exception):
            raise self._value
        return self._value


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    catalog.plugins.cache_clear()
    yield
    catalog.plugins.cache_clear()


def plug_in(monkeypatch: pytest.MonkeyPatch, **groups: list[Point]) -> None:
    found = {NETWORKS_GROUP: groups.get("networks", []), FORMATS_GROUP: groups.get("formats", [])}
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: found[group])


def test_built_in_things() -> None:
    assert set(MODELS) <= set(catalog.networks())
    assert [exporter.name for exporter in catalog.formats()][:2] == ["png", "coco"]
    assert catalog.format_by_name("coco").name == "coco"
    for exporter in catalog.formats():
        assert exporter.title
        assert exporter.help
    with pytest.raises(ExchangeError) as caught:
        catalog.format_by_name("gif")
    assert "png, coco" in caught.value.hint


def test_plugged_in_format(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, formats=[Point("ids", IdExporter)])
    assert catalog.format_by_name("ids").name == "ids"
    assert catalog.broken_plugins() == ()


def test_broken_plugins_are_named_and_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(
        monkeypatch,
        networks=[Point("a", ImportError("no such module")), Point("b", 7), Point("c", MODELS[0])],
        formats=[Point("d", object()), Point("e", catalog.built_in_formats()[0])],
    )
    assert catalog.networks() == MODELS
    assert len(catalog.formats()) == 2
    reasons = {broken.name: broken.reason for broken in catalog.broken_plugins()}
    assert "no such module" in reasons["a"]
    assert "no ModelSpec" in reasons["b"]
    assert "already a network" in reasons["c"]
    assert "no exporter" in reasons["d"]
    assert "already a format" in reasons["e"]
