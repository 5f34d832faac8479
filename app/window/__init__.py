"""The main window: places the panels and connects what they ask for."""

from app.window.main_window import MainWindow, Services

__all__ = ["MainWindow", "Services"]
