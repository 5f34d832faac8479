"""What learning does: what the newest stroke would flip, and what of yours a candidate flips back."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from PySide6.QtCore import QTimer
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QGridLayout, QPushButton, QWidget

from app.canvas.overlay import HeatOverlay, LabelOverlay
from app.panels.inspect.doubt import overlay_picture
from app.panels.inspect.page import Export, Page, as_image, heat_pixels, percent, section, wrapped
from app.panels.inspect.probe import Laid, Point, Probe
from app.theme import Look
from app.theme.ramps import SEQUENTIAL, packed
from app.widgets.bars import Bar, BarList
from app.widgets.picture import Picture, stride_for
from engine.messages import AnnotationStored, Effect, OverlayKind, OverlayReady
from engine.project.manifest import Split
from engine.session import Session

BETTER, WORSE = (0, 158, 115), (213, 94, 0)
"""Green and red that colour-blind people tell apart."""
LAID, FLIPS = "effect", "candidate flips"
ABOUT = (
    "Only what flips already with half of the step is shown. Training moves most of it this way, and flips "
    "other pixels for reasons of its own."
)
WAIT_MS = 700
OTHERS = 3


class EffectPage(Page):
    """Before anything is learnt, and before anything is taken over."""

    name: ClassVar[str] = "effect"
    title: ClassVar[str] = "Effect"
    meaning: ClassVar[str] = (
        "What would clearly flip if the newest stroke were learnt: green towards labels, red against them."
    )
    lays: ClassVar[str] = LAID

    def __init__(self, probe: Probe, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(probe, look, parent)
        self._shown: tuple[Effect, ...] = ()
        self._flips_laid: OverlayReady | None = None
        self.tiles: list[Picture] = []
        self.preview = QPushButton("Preview again")
        self.preview.setToolTip(
            "Compute what the newest stroke would change, here and on pinned images, or the next ones."
        )
        self.state = wrapped("")
        self.counts = BarList(look)
        self._grid = QGridLayout()
        self._grid.setSpacing(6)
        section(self.body, "Effect of the newest stroke", self.preview)
        self.about = wrapped(ABOUT, kind="muted")
        self.body.addWidget(self.state)
        self.body.addWidget(self.counts)
        self.body.addWidget(self.about)
        self.body.addLayout(self._grid)
        self.check = QPushButton("Check")
        self.check.setToolTip("Compare the network in training with the pixels people fixed.")
        section(self.body, "Would training undo your work?", self.check)
        self.flips = wrapped("", kind="muted")
        self.flips_picture = Picture(look)
        self.flips_picture.setAccessibleName("Pixels that the candidate flips")
        self.body.addWidget(self.flips)
        self.body.addWidget(self.flips_picture)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(WAIT_MS)
        self._timer.timeout.connect(self._again)
        self.preview.clicked.connect(self._again)
        self.check.clicked.connect(self.check_again)
        self.flips_picture.chosen.connect(self._toggle_flips)
        probe.bridge.annotation_stored.connect(self._stroke_stored)

    def set_watched(self, watched: bool) -> None:
        """Lay the preview anew when the tab comes back into sight."""
        self._shown = ()
        super().set_watched(watched)

    # --- what is known ----------------------------------------------------------------------------------

    def _can_preview(self) -> bool:
        """Say whether something is labelled on the image on screen that training may learn from."""
        session, image_id = self.probe.bridge.session, self.probe.image_id
        record = session.manifest.images.get(image_id) if session is not None and image_id else None
        return record is not None and record.size is not None and record.split is not Split.NONE

    def ask(self, *, anew: bool = False) -> None:
        """Ask for a preview of what is painted on screen."""
        del anew  # a preview is always of the weights of now
        session = self.probe.bridge.session
        if session is None or super().nothing() or not self.is_watched or not self._can_preview():
            return
        others = self._others(session)
        self.probe.ask("effect_previewed", lambda inspection: inspection.preview_effect(others))

    def _others(self, session: Session) -> tuple[str, ...]:
        """Return the images to preview beside the one on screen: pinned ones, without any the next ones."""
        pinned = tuple(name for name in session.candidates.pinned if name != self.probe.image_id)
        near = (session.neighbour(way) for way in range(1, OTHERS + 1))
        return pinned[:OTHERS] or tuple(name for name in near if name is not None)

    def _again(self) -> None:
        self.ask()

    def check_again(self) -> None:
        """Ask which pixels people fixed the candidate would flip."""
        kind = OverlayKind.CANDIDATE_FLIPS
        self.probe.ask(kind.value, lambda inspection: inspection.overlay(kind))

    def _stroke_stored(self, event: AnnotationStored) -> None:
        """Preview a stroke once it is on disk and the hand has paused."""
        if self.is_watched and event.image_id == self.probe.image_id:
            self._timer.start()

    def refresh(self) -> None:
        """Show another preview; the same one costs nothing."""
        inspection, ready = self.probe.inspection, self.probe.ready
        effects = inspection.effects if inspection is not None else ()
        waiting = "effect_previewed" in self.probe.waiting
        self.preview.setEnabled(not waiting and self._can_preview())
        self.preview.setText("Computing…" if waiting else "Preview again")
        self._show_flips()
        self.mark_laid(self.probe.lying)
        if not effects or ready is None:
            self._shown = ()
            self.counts.set_bars(())
            self._fill(())
            self.state.setText(self._why_none(waiting=waiting))
        elif effects is not self._shown:
            self._shown = effects
            self._say(effects[0])
            self._fill(effects)
            self._lay(effects[0])
        self.follow(self.probe.cursor)

    def follow(self, point: Point | None) -> None:
        """Show the cursor on the pictures of this image."""
        ready = self.probe.ready
        place = None
        if point is not None and ready is not None:
            place = point[0] / ready.size[0], point[1] / ready.size[1]
        for tile, effect in zip(self.tiles, self._shown, strict=False):
            tile.set_cursor(place if effect.image_id == self.probe.image_id else None)
        self.flips_picture.set_cursor(place)

    def _why_none(self, *, waiting: bool) -> str:
        if not self._can_preview():
            return "Paint something on this image: its effect is shown here before anything is learnt."
        return (
            "Learning it on trial…"
            if waiting
            else self.probe.trouble("effect_previewed") or "No preview yet."
        )

    def _say(self, effect: Effect) -> None:
        better, worse = int(effect.better.sum()), int(effect.worse.sum())
        total = effect.better.size
        if not better and not worse:
            self.state.setText("Nothing would clearly flip in this image.")
            self.counts.set_bars(())
            return
        self.state.setText(f"{percent((better + worse) / total)} of this image would clearly flip.")
        self.counts.set_bars(
            [
                Bar("towards labels", (QColor(*BETTER),), better / total, percent(better / total)),
                Bar("against labels", (QColor(*WORSE),), worse / total, percent(worse / total)),
            ]
        )

    def _fill(self, effects: tuple[Effect, ...]) -> None:
        while len(self.tiles) > len(effects):
            tile = self.tiles.pop()
            self._grid.removeWidget(tile)
            tile.deleteLater()
        for number, effect in enumerate(effects):
            if number == len(self.tiles):
                self._add_tile(number)
            step = stride_for(effect.better.shape)
            flipped = _codes(effect)[::step, ::step]
            self.tiles[number].set_pixels(_table(opaque=True).take(flipped), effect.better.shape)
            name = effect.image_id.rsplit("/", 1)[-1]
            flips = int(effect.better.sum()) + int(effect.worse.sum())
            self.tiles[number].setToolTip(f"“{effect.image_id}”: {percent(flips / effect.better.size)} flip.")
            self.tiles[number].set_title("this image" if number == 0 else name)

    def _add_tile(self, number: int) -> None:
        tile = Picture(self.look, " ")
        tile.chosen.connect(lambda: self._open(number))
        self.tiles.append(tile)
        self._grid.addWidget(tile, number // 2, number % 2)

    def _open(self, number: int) -> None:
        """Lay the effect over this image, or go to another image."""
        effect = self._shown[number]
        if effect.image_id != self.probe.image_id:
            self.probe.jump.emit(effect.image_id, effect.better.shape[0] / 2, effect.better.shape[1] / 2)
        elif self.probe.lies(LAID):
            self.probe.lay(None)
        else:
            self._lay(effect)

    def _lay(self, effect: Effect) -> None:
        overlay = LabelOverlay(_codes(effect), _table(opaque=False))
        self.probe.lay(Laid(LAID, "Effect of the newest stroke", overlay))

    # --- the candidate ----------------------------------------------------------------------------------

    def _show_flips(self) -> None:
        kind = OverlayKind.CANDIDATE_FLIPS
        found, ready = self.probe.overlay(kind), self.probe.ready
        waiting = kind.value in self.probe.waiting
        self.check.setEnabled(not waiting)
        self.check.setText("Checking…" if waiting else "Check")
        self.flips_picture.setVisible(found is not None and bool((found.values > found.low).any()))
        if found is None or ready is None:
            none = "Pixels people fixed that the network in training would flip back."
            self.flips.setText(self.probe.trouble(kind.value) or none)
            return
        share = float((found.values > found.low).mean())
        bright = f" Bright: {percent(share)} of the image." if share else ""
        self.flips.setText(f"{found.explanation}{bright}")
        step = stride_for(found.values.shape)
        pixels = heat_pixels(found.values[::step, ::step], SEQUENTIAL, found.low, found.high)
        self.flips_picture.set_pixels(pixels, ready.size)
        if self.probe.lies(FLIPS) and found is not self._flips_laid:
            self._lay_flips(found if share else None)

    def _toggle_flips(self) -> None:
        found = self.probe.overlay(OverlayKind.CANDIDATE_FLIPS)
        if self.probe.lies(FLIPS):
            self.probe.lay(None)
        elif found is not None:
            self._lay_flips(found)

    def _lay_flips(self, found: OverlayReady | None) -> None:
        self._flips_laid = found
        if found is None:
            self.probe.lay(None)
            return
        overlay = HeatOverlay(found.values, SEQUENTIAL, found.low, found.high, above=found.low)
        self.probe.lay(Laid(FLIPS, found.title, overlay))

    def mark_laid(self, laid: Laid | None) -> None:
        """Frame the picture that lies on the canvas."""
        if self.tiles:
            self.tiles[0].set_on(laid is not None and laid.name == LAID)
        self.flips_picture.set_on(laid is not None and laid.name == FLIPS)

    def export(self) -> Export | None:
        """Return the preview of every image, and the flips of the candidate."""
        flips = self.probe.overlay(OverlayKind.CANDIDATE_FLIPS)
        if not self._shown and flips is None:
            return None
        rows: list[list[object]] = [["image", "pixels looked at", "towards labels", "against labels"]]
        pictures = {}
        for number, effect in enumerate(self._shown):
            rows.append(
                [effect.image_id, effect.better.size, int(effect.better.sum()), int(effect.worse.sum())]
            )
            pictures[f"{number}"] = as_image(_table(opaque=True).take(_codes(effect)))
        facts: dict[str, object] = {"image": self.probe.image_id}
        if flips is not None:
            pictures["candidate-flips"] = overlay_picture(flips)
            facts["candidate_flips"] = {
                "explanation": flips.explanation,
                "pixels": int((flips.values > flips.low).sum()),
            }
        return Export("effect", pictures, rows, facts)


def _codes(effect: Effect) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return effect.better.astype(np.uint8) + 2 * effect.worse.astype(np.uint8)


def _table(*, opaque: bool) -> np.ndarray[tuple[int, ...], np.dtype[np.uint32]]:
    """Return the colours of nothing, better and worse."""
    rgb = np.zeros((256, 3), np.uint8)
    rgb[1], rgb[2], rgb[3] = BETTER, WORSE, WORSE
    alpha = np.zeros(256)
    alpha[0] = 1.0 if opaque else 0.0
    alpha[1:4] = 1.0
    return packed(rgb, alpha)
