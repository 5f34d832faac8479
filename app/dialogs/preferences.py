"""The few things a person may prefer otherwise."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QCheckBox, QComboBox, QFormLayout, QWidget

from app.dialogs.frame import PlainDialog
from app.preferences import PreferenceStore
from app.theme import THEME_TITLES, Theme
from app.widgets.marks import label
from engine.config import Device

DEVICE_TITLES = {
    Device.AUTO: "Automatic",
    Device.CPU: "Processor",
    Device.CUDA: "NVIDIA graphics card",
    Device.MPS: "Apple graphics",
}


class PreferencesDialog(PlainDialog):
    """Theme, wheel, device, hints.

    Args:
        store: The preferences in force.
        parent: The window.
    """

    def __init__(self, store: PreferenceStore, parent: QWidget | None = None) -> None:
        super().__init__("Preferences", "Use these", parent)
        value = store.value
        self.theme = QComboBox()
        for theme in Theme:
            self.theme.addItem(THEME_TITLES[theme])
        self.theme.setCurrentIndex(list(Theme).index(value.theme))
        self.device = QComboBox()
        for device in Device:
            self.device.addItem(DEVICE_TITLES[device])
        self.device.setCurrentIndex(list(Device).index(value.device))
        self.wheel_scrolls = QCheckBox("The wheel scrolls; Ctrl+wheel zooms")
        self.wheel_scrolls.setChecked(value.wheel_scrolls)
        self.side_note = QCheckBox("Show the first steps beside the image")
        self.side_note.setChecked(value.show_side_note)
        form = QFormLayout()
        form.setHorizontalSpacing(18)
        form.setVerticalSpacing(12)
        form.addRow("Theme", self.theme)
        form.addRow("Network runs on", self.device)
        form.addRow("", label("Used when the next folder is opened.", kind="muted"))
        form.addRow("Mouse", self.wheel_scrolls)
        form.addRow("Help", self.side_note)
        self.body.addLayout(form)
        if store.in_memory_only:
            text = label(f"These settings are forgotten at the end: {store.in_memory_only}")
            text.setProperty("level", "warn")
            text.setWordWrap(True)
            self.body.addWidget(text)
        else:
            self.body.addWidget(label(f"Kept in {store.path}", kind="muted"))
        self.setMinimumWidth(480)

    def changes(self) -> dict[str, Any]:
        """Return the entries as chosen."""
        return {
            "theme": list(Theme)[self.theme.currentIndex()],
            "device": list(Device)[self.device.currentIndex()],
            "wheel_scrolls": self.wheel_scrolls.isChecked(),
            "show_side_note": self.side_note.isChecked(),
        }
