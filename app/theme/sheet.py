"""The sheet laid over the base theme."""

from __future__ import annotations

from app.theme.tokens import Tokens


def refinement(tokens: Tokens, *, over_qdarkstyle: bool = False) -> str:
    """Return the sheet over the base theme: spacing, quiet borders, and the names our own widgets carry.

    Args:
        tokens: The colours.
        over_qdarkstyle: Refine the fields of qdarkstyle too; Qt draws its own well, and only whole.
    """
    sheet = _SHEET + _FIELDS if over_qdarkstyle else _SHEET
    return sheet.format(**{name: getattr(tokens, name) for name in Tokens.__slots__})


_SHEET = """
QMainWindow, QMainWindow::separator {{ background: {window}; }}
QMainWindow::separator, QMainWindow::separator:horizontal, QMainWindow::separator:vertical {{
    background: {window}; border: 0; margin: 0; padding: 0; width: 5px; height: 5px; image: none; }}
QMainWindow::separator:hover {{ background: {fill}; }}
QWidget {{ font-size: 10pt; }}
QToolTip {{ background: {raised}; color: {text}; border: 1px solid {line}; padding: 5px 8px; }}

QMenuBar {{ background: {window}; color: {text}; border: 0; padding: 3px 6px; }}
QMenuBar::item {{ background: transparent; padding: 5px 10px; border-radius: 4px; border: 0; }}
QMenuBar::item:selected {{ background: {raised}; }}
QMenuBar::item:pressed {{ background: {fill}; color: {on_fill}; }}
QMenu {{ background: {panel}; color: {text}; border: 1px solid {line}; padding: 5px; }}
QMenu::item {{ padding: 6px 28px 6px 10px; border-radius: 4px; }}
QMenu::item:selected {{ background: {fill}; color: {on_fill}; }}
QMenu::item:disabled {{ color: {disabled}; background: transparent; }}
QMenu::separator {{ height: 1px; background: {line}; margin: 5px 8px; }}
QMenu::icon {{ padding-left: 6px; }}

QDockWidget {{ color: {muted}; border: 0; font-weight: 600; }}
QDockWidget::title {{ background: {panel}; text-align: left; padding: 9px 12px 5px 12px; border: 0; }}
QDockWidget > QWidget {{ background: {panel}; border: 0; font-weight: 400; }}

QToolBar {{ background: {panel}; border: 0; spacing: 3px; padding: 6px 4px; }}
QToolBar::separator, QToolBar::separator:horizontal, QToolBar::separator:vertical {{ background: {line};
    border: 0; height: 1px; width: 1px; margin: 7px 6px; image: none; }}
QToolButton {{ background: transparent; color: {text}; border: 1px solid transparent; border-radius: 5px;
    padding: 5px; }}
QToolButton:hover {{ background: {raised}; border-color: {line}; }}
QToolButton:pressed {{ background: {line}; }}
QToolButton:checked {{ background: {raised}; border-color: {fill}; color: {accent}; }}
QToolButton:disabled {{ color: {disabled}; }}
QToolButton[flat="true"] {{ padding: 2px; border: 0; }}

QToolButton[tab="true"] {{ color: {muted}; border-radius: 4px; padding: 5px 2px; }}
QToolButton[tab="true"]:hover {{ color: {text}; }}
QToolButton[tab="true"]:checked {{ background: {fill}; border-color: {fill}; color: {on_fill}; }}
QToolButton[tab="true"]:focus {{ border-color: {accent}; }}
QToolButton[segment="true"] {{ background: {raised}; border-color: {line}; padding: 4px; }}
QToolButton[segment="true"]:checked {{ border-color: {accent}; color: {accent}; }}
QScrollArea#inspectPage {{ padding: 0; margin: 0; }}
QFrame#laidStrip {{ background: {raised}; border: 0; border-top: 1px solid {line}; }}

QPushButton {{ background: {raised}; color: {text}; border: 1px solid {line}; border-radius: 5px;
    padding: 6px 14px; min-height: 1.2em; }}
QPushButton:hover {{ border-color: {accent}; background: {raised}; }}
QPushButton:pressed {{ background: {line}; }}
QPushButton:focus {{ border-color: {accent}; }}
QPushButton:disabled {{ color: {disabled}; background: {panel}; border: 1px solid {line}; border-radius: 5px;
    padding: 6px 14px; }}
QPushButton[primary="true"] {{ background: {fill}; color: {on_fill}; border-color: {fill}; }}
QPushButton[primary="true"]:hover {{ border-color: {on_fill}; }}
QPushButton[primary="true"]:disabled {{ background: {raised}; color: {disabled}; border-color: {line}; }}
QPushButton[narrow="true"], QPushButton[narrow="true"]:disabled {{ padding: 6px 4px; }}
QPushButton[quiet="true"] {{ background: transparent; border-color: transparent; text-align: left; }}
QPushButton[quiet="true"]:hover {{ background: {raised}; }}

QLineEdit, QPlainTextEdit, QTextEdit {{ background: {window}; color: {text}; border: 1px solid {line};
    border-radius: 5px; padding: 4px 8px; min-height: 1.2em;
    selection-background-color: {fill}; selection-color: {on_fill}; }}
QLineEdit {{ placeholder-text-color: {muted}; }}
QLineEdit:focus {{ border-color: {accent}; }}
QLineEdit:disabled {{ color: {disabled}; }}
QAbstractSpinBox QLineEdit {{ border: 0; border-radius: 0; padding: 0 2px; background: transparent; }}

QListView, QTreeView, QTableView, QTableWidget, QListWidget {{ background: {panel}; color: {text}; border: 0;
    outline: 0; gridline-color: {line}; }}
QTableView, QTableWidget {{ border: 1px solid {line}; border-radius: 5px; }}
QListView::item, QTreeView::item {{ border: 0; padding: 3px; border-radius: 4px; }}
QListView::item:hover, QTreeView::item:hover {{ background: {raised}; }}
QListView::item:selected, QTreeView::item:selected, QTableView::item:selected,
QListView::item:selected:!active, QTreeView::item:selected:!active, QTableView::item:selected:!active,
QListView::item:selected:active, QTableView::item:selected:active {{ background: {fill}; color: {on_fill}; }}
QTableView::item {{ padding: 3px 8px; border: 0; }}
QHeaderView::section {{ background: {panel}; color: {muted}; border: 0; border-bottom: 1px solid {line};
    padding: 6px 8px; font-weight: 600; }}
QHeaderView {{ background: {panel}; border: 0; }}
QTableCornerButton::section {{ background: {panel}; border: 0; }}

QScrollBar:vertical {{ background: transparent; width: 11px; margin: 0; border: 0; }}
QScrollBar:horizontal {{ background: transparent; height: 11px; margin: 0; border: 0; }}
QScrollBar::handle:vertical {{ background: {line}; border: 0; border-radius: 3px; margin: 2px 3px;
    min-height: 36px; }}
QScrollBar::handle:horizontal {{ background: {line}; border: 0; border-radius: 3px; margin: 3px 2px;
    min-width: 36px; }}
QScrollBar::handle:vertical:hover, QScrollBar::handle:horizontal:hover {{ background: {disabled}; }}
QScrollBar::add-line:vertical, QScrollBar::sub-line:vertical, QScrollBar::add-line:horizontal,
QScrollBar::sub-line:horizontal, QScrollBar::add-line:vertical:hover, QScrollBar::sub-line:vertical:hover,
QScrollBar::add-line:horizontal:hover, QScrollBar::sub-line:horizontal:hover {{ width: 0; height: 0;
    margin: 0; border: 0; border-image: none; image: none; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QScrollArea {{ border: 0; background: {panel}; }}

QSlider {{ background: transparent; min-height: 22px; }}
QSlider::groove:horizontal {{ height: 4px; background: {line}; border-radius: 2px; border: 0;
    margin: 0 2px; }}
QSlider::sub-page:horizontal {{ background: {fill}; border-radius: 2px; border: 0; margin: 0 2px; }}
QSlider::add-page:horizontal {{ background: {line}; border-radius: 2px; border: 0; margin: 0 2px; }}
QSlider::handle:horizontal {{ background: {text}; border: 0; width: 14px; height: 14px; margin: -5px 0;
    border-radius: 7px; }}
QSlider::handle:horizontal:hover {{ background: {accent}; }}
QSlider::handle:horizontal:disabled {{ background: {disabled}; }}

QProgressBar {{ background: {line}; color: {text}; border: 0; border-radius: 3px; max-height: 6px;
    min-height: 6px; text-align: center; }}
QProgressBar::chunk {{ background: {accent}; border-radius: 3px; }}

QTabWidget::pane {{ border: 0; border-top: 1px solid {line}; }}
QTabBar::tab, QTabBar::tab:top, QTabBar::tab:top:!selected, QDockWidget QTabBar::tab:top:!selected,
QDockWidget QTabBar::tab:top {{ background: transparent; color: {muted}; border: 0;
    border-bottom: 2px solid transparent; padding: 7px 12px; margin: 0; min-width: 0; border-radius: 0; }}
QTabBar::tab:selected, QTabBar::tab:top:selected, QDockWidget QTabBar::tab:top:selected {{ color: {text};
    border: 0; border-bottom: 2px solid {accent}; background: transparent; border-radius: 0; }}
QTabBar::tab:hover, QTabBar::tab:top:!selected:hover, QDockWidget QTabBar::tab:top:!selected:hover {{
    color: {text}; border: 0; border-bottom: 2px solid {line}; padding: 7px 12px; }}

QStatusBar {{ background: {window}; color: {text}; border: 0; min-height: 28px; }}
QStatusBar::item {{ border: 0; }}
QStatusBar QLabel {{ background: transparent; padding: 0 4px; }}
QGroupBox {{ border: 1px solid {line}; border-radius: 6px; margin-top: 12px; padding: 10px; }}
QGroupBox::title {{ subcontrol-origin: margin; left: 10px; padding: 0 5px; color: {muted}; }}
QDialog, QMessageBox {{ background: {panel}; }}
QLabel {{ background: transparent; color: {text}; border: 0; padding: 0; }}
QCheckBox, QRadioButton {{ color: {text}; }}
QLabel:disabled, QCheckBox:disabled, QRadioButton:disabled {{ color: {disabled}; }}
QLabel[muted="true"] {{ color: {muted}; }}
QLabel[heading="true"] {{ font-size: 16pt; font-weight: 600; }}
QLabel[subheading="true"] {{ font-size: 11pt; font-weight: 600; }}
QLabel[level="good"] {{ color: {good}; }}
QLabel[level="warn"] {{ color: {warn}; }}
QLabel[level="bad"] {{ color: {bad}; }}
QLabel[value="true"] {{ font-weight: 600; }}

QFrame#card, QFrame#notice, QFrame#classStrip, QFrame#classField, QFrame#sideNote {{ background: {panel};
    border: 1px solid {line}; border-radius: 8px; }}
QFrame#notice[level="warn"], QFrame#banner {{ border: 1px solid {warn}; }}
QFrame#notice[level="bad"] {{ border: 1px solid {bad}; }}
QFrame#banner {{ background: {panel}; border-width: 0 0 1px 0; border-radius: 0; }}
QFrame#dropTarget {{ background: {panel}; border: 2px dashed {line}; border-radius: 14px; }}
QFrame#dropTarget[hot="true"] {{ border-color: {accent}; }}
QFrame#trainingStrip {{ background: {panel}; border: 0; }}
QFrame#rule {{ background: {line}; border: 0; max-height: 1px; min-height: 1px; }}
QWidget#startPage, QWidget#startBox {{ background: {window}; }}
QStatusBar QWidget#plain, QWidget#plain {{ background: transparent; }}
"""

_FIELDS = """
QAbstractSpinBox, QComboBox {{ background: {window}; color: {text}; border: 1px solid {line};
    border-radius: 5px; padding: 4px 8px; min-height: 1.2em;
    selection-background-color: {fill}; selection-color: {on_fill}; }}
QAbstractSpinBox:focus, QComboBox:focus {{ border-color: {accent}; }}
QAbstractSpinBox:disabled, QComboBox:disabled {{ color: {disabled}; }}
QComboBox QAbstractItemView {{ background: {panel}; color: {text}; border: 1px solid {line}; padding: 4px;
    selection-background-color: {fill}; selection-color: {on_fill}; }}
QCheckBox, QRadioButton {{ background: transparent; border: 0; padding: 0; }}
"""
