"""The real window stays with the hand while the real worker trains on the processor.

The figures asserted are those the product promises: gaps between heartbeats p99 <= 50 ms and max <= 200 ms;
brush at 4000 x 3000 with radius 20, from the moment a mouse event was due until it is painted, p95 <= 8 ms.
Run it on a machine with nothing else to do.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QEventLoop, QPointF, Qt, QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.bridge import Bridge
from app.logs import LogFeed
from app.main import SWITCH_INTERVAL_S
from app.preferences import PreferenceStore
from app.theme import Look, Theme
from app.window import MainWindow, Services
from engine.annotate.classes import ClassTable
from engine.annotate.stroke import PaintRule, Stroke
from tests.support.canvas import drag, press, release

pytestmark = [pytest.mark.bench, pytest.mark.gui, pytest.mark.slow]

SIZE = (3000, 4000)
PERIOD_S = 0.008
BEATS_S = 15.0
STROKES = 20
MOVES = 100
PAUSE_S = 0.3
"""Between two strokes a hand moves on; people need five times as long."""
PATIENCE_MS = 180_000
STEPS_BEFORE = 5


def _write_image(path: Path, size: tuple[int, int]) -> None:
    height, width = size
    rng = np.random.default_rng(0)
    tile = rng.integers(0, 90, (200, 200, 3), dtype=np.uint8)
    image = np.tile(tile, (-(-height // 200), -(-width // 200), 1))[:height, :width].copy()
    image[: height // 2] += 120
    Image.fromarray(image).save(path)


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MainWindow]:
    """A window on a real session with one image of 12 megapixels, two classes painted, training under way."""
    import sys

    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    folder = tmp_path / "photos"
    folder.mkdir()
    _write_image(folder / "large.png", SIZE)
    look = Look()
    look.apply(Theme.DARK_NATIVE)
    window = MainWindow(Services(Bridge(), look, PreferenceStore.load(tmp_path / "p.json"), LogFeed()))
    window.setAttribute(Qt.WidgetAttribute.WA_ShowWithoutActivating)
    window.show()
    qtbot.waitExposed(window)
    try:
        _train(window, qtbot, folder)
        yield window
    finally:  # whatever went wrong: a session left open would wait for itself
        window.bridge.close()
        window.close()
        sys.setswitchinterval(before)


def _train(window: MainWindow, qtbot: QtBot, folder: Path) -> None:
    """Open the folder, paint two classes and start training."""
    bridge = window.bridge
    with qtbot.waitSignal(bridge.image_loaded, timeout=PATIENCE_MS):
        window.opening.open(folder)
    bridge.set_classes(ClassTable().add("light").add("dark"))
    session = bridge.session
    assert session is not None
    for row, index in ((700, 0), (2300, 1)):
        points = tuple((row + 0.5, x + 0.5) for x in range(300, 3700, 50))
        patch = session.stroke_patch(
            Stroke(points=points, radius=20, class_index=index), PaintRule.EVERYTHING
        )
        assert patch is not None
        bridge.apply(patch)
        session.commit(patch)
    session.start_training()
    with qtbot.waitSignal(
        bridge.steps_done, timeout=PATIENCE_MS, check_params_cb=lambda event: event.step >= STEPS_BEFORE
    ):
        pass


def _report(name: str, times_ms: list[float]) -> tuple[float, float, float]:
    cuts = statistics.quantiles(times_ms, n=100)
    p95, p99, most = cuts[94], cuts[98], max(times_ms)
    median = statistics.median(times_ms)
    figures = f"median {median:.2f}, p95 {p95:.2f}, p99 {p99:.2f}, max {most:.2f} ms"
    print(f"  {name}: {figures}; {len(times_ms)} times")
    return p95, p99, most


def _let_pass(seconds: float) -> None:
    """Serve the window for some time."""
    loop = QEventLoop()
    QTimer.singleShot(int(seconds * 1000), loop.quit)
    loop.exec()


def test_the_heart_beats_while_the_network_trains(window: MainWindow) -> None:
    gaps: list[float] = []
    last = perf_counter()

    def beat() -> None:
        nonlocal last
        now = perf_counter()
        gaps.append((now - last) * 1000)
        last = now

    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.setInterval(10)
    timer.timeout.connect(beat)
    window.bridge.session.request_prediction()
    last = perf_counter()
    timer.start()
    _let_pass(BEATS_S)
    timer.stop()
    _, p99, most = _report("gap between beats of 10 ms while training", gaps)
    assert window.bridge.session.worker.is_training
    assert p99 <= 50
    assert most <= 200


def test_the_brush_keeps_up_while_the_network_trains(window: MainWindow) -> None:
    view = window.area.view
    view.set_brush_radius(20)
    view.fit()
    view.settle()
    window.editing.choose_class(0)
    middle = QPointF(view.width() / 2, view.height() / 2)
    late: list[float] = []
    place = middle
    for stroke in range(STROKES):
        press(view, middle)
        due = perf_counter()
        for move in range(MOVES):
            angle = (stroke * MOVES + move) * 0.11
            reach = 60 + 150 * abs(np.sin(angle * 0.12))
            place = QPointF(middle.x() + reach * np.cos(angle), middle.y() + reach * np.sin(angle))
            while perf_counter() < due:
                QApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 1)
            drag(view, place)
            QApplication.processEvents()
            late.append((perf_counter() - due) * 1000)
            due += PERIOD_S
        release(view, place)
        _let_pass(PAUSE_S)
    p95, _, _ = _report("brush r 20 at 4000 x 3000 while training, due to painted", late)
    assert window.bridge.session.worker.is_training
    assert p95 <= 8
