"""The queue: every image with thumbnail and status, a filter, and how much is done."""

from __future__ import annotations

from PySide6.QtCore import (
    QModelIndex,
    QPersistentModelIndex,
    QPointF,
    QRect,
    QRectF,
    QSignalBlocker,
    QSize,
    Qt,
    QTimer,
)
from PySide6.QtGui import QColor, QFont, QPainter, QPainterPath, QPen, QPixmap, QPixmapCache
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QListView,
    QProgressBar,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from app.bridge import Bridge
from app.panels.queue_model import (
    MARK_ROLE,
    PROBLEM_ROLE,
    RECORD_ROLE,
    STATUS_TEXT,
    Mark,
    QueueModel,
    Shown,
)
from app.panels.queue_tip import OrderTip
from app.theme import Look
from app.widgets.marks import label
from engine.messages import ImageFailed, ImageScored, ThumbnailReady
from engine.project.manifest import ImageRecord, ImageStatus, OrderKind, Split

ORDER_TEXT = {OrderKind.FOLDER: "Folder order", OrderKind.USEFUL: "Most useful first"}
THUMBNAIL = QSize(76, 56)
ROW_HEIGHT = 72
_CACHE_KB = 64 * 1024
_MARKS_MS = 250
_DOTS, _DOT, _STEP = 3, 2.6, 9.0

Index = QModelIndex | QPersistentModelIndex


class QueueDelegate(QStyledItemDelegate):
    """Draws a row: thumbnail, name, and a dot with the status in words (never colour alone)."""

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = look

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        """Return the same size for every row."""
        return QSize(180, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw one row."""
        record = index.data(RECORD_ROLE)
        if not isinstance(record, ImageRecord):
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        area: QRect = option.rect.adjusted(4, 2, -4, -2)
        state: QStyle.StateFlag = option.state
        selected = bool(state & QStyle.StateFlag.State_Selected)
        if selected or state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._look.color("raised"))
            painter.drawRoundedRect(area, 7, 7)
        if selected:
            painter.setBrush(self._look.color("accent"))
            painter.drawRoundedRect(QRectF(area.left(), area.top() + 12, 3, area.height() - 24), 1.5, 1.5)
        picture = QRect(area.left() + 10, area.center().y() - THUMBNAIL.height() // 2, THUMBNAIL.width(), 56)
        self._draw_thumbnail(painter, picture, index.data(Qt.ItemDataRole.DecorationRole))
        words = area.adjusted(picture.width() + 22, 9, -8, -9)
        problem = str(index.data(PROBLEM_ROLE) or "")
        mark = index.data(MARK_ROLE)
        doubt = f" · {mark.percent} % unsure" if isinstance(mark, Mark) and not problem else ""
        self._draw_words(painter, words, record, problem, doubt, strong=selected)
        if isinstance(mark, Mark) and not problem:
            self._draw_mark(painter, words, mark)
        painter.restore()

    def _draw_thumbnail(self, painter: QPainter, place: QRect, thumbnail: object) -> None:
        path = QPainterPath()
        path.addRoundedRect(QRectF(place), 5, 5)
        painter.fillPath(path, self._look.color("line"))
        if isinstance(thumbnail, QPixmap) and not thumbnail.isNull():
            scaled = thumbnail.size().scaled(place.size(), Qt.AspectRatioMode.KeepAspectRatioByExpanding)
            target = QRect(0, 0, scaled.width(), scaled.height())
            target.moveCenter(place.center())
            painter.save()
            painter.setClipPath(path)
            painter.drawPixmap(target, thumbnail)
            painter.restore()

    def _draw_words(
        self, painter: QPainter, place: QRect, record: ImageRecord, problem: str, doubt: str, *, strong: bool
    ) -> None:
        font = QFont(painter.font())
        font.setWeight(QFont.Weight.DemiBold if strong else QFont.Weight.Normal)
        painter.setFont(font)
        painter.setPen(self._look.color("text"))
        name = record.image_id.rsplit("/", 1)[-1]
        line = place.height() // 2
        shown = painter.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, place.width())
        top = QRect(place.left(), place.top(), place.width(), line)
        painter.drawText(top, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, shown)
        below = QRect(place.left(), place.top() + line, place.width(), line)
        font.setWeight(QFont.Weight.Normal)
        font.setPointSizeF(font.pointSizeF() * 0.9)
        painter.setFont(font)
        self._draw_dot(painter, QPointF(below.left() + 4.5, below.center().y() + 1), record, problem)
        painter.setPen(self._look.color("bad" if problem else "muted"))
        text = "cannot be read" if problem else STATUS_TEXT[record.status]
        if record.split is Split.VAL and not problem:
            text += " · held out"
        text += doubt
        below.setLeft(below.left() + 16)
        below.setRight(below.right() - round(_DOTS * _STEP) - 4)
        shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, below.width())
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, shown)

    def _draw_mark(self, painter: QPainter, place: QRect, mark: Mark) -> None:
        """Three dots at the right of the lower line, as many filled as there is doubt."""
        y = place.top() + place.height() * 0.75 + 1
        color = QColor(self._look.color("accent" if mark.is_changed else "muted"))
        painter.setPen(QPen(color, 1.3))
        for number in range(_DOTS):
            filled = number < mark.level
            painter.setBrush(color if filled else Qt.BrushStyle.NoBrush)
            x = place.right() - _DOT - (_DOTS - 1 - number) * _STEP
            painter.drawEllipse(QPointF(x, y), _DOT, _DOT)

    def _draw_dot(self, painter: QPainter, centre: QPointF, record: ImageRecord, problem: str) -> None:
        names = {ImageStatus.NEW: "disabled", ImageStatus.STARTED: "warn", ImageStatus.REVIEWED: "good"}
        color = QColor(self._look.color("bad" if problem else names[record.status]))
        painter.setPen(QPen(color, 1.6))
        is_open = record.status is ImageStatus.NEW and not problem
        painter.setBrush(Qt.BrushStyle.NoBrush if is_open else color)
        painter.drawEllipse(centre, 3.6, 3.6)


class QueuePanel(QWidget):
    """Left dock.

    Args:
        bridge: Where images come from.
        look: Gives the colours.
    """

    def __init__(self, bridge: Bridge, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        QPixmapCache.setCacheLimit(max(QPixmapCache.cacheLimit(), _CACHE_KB))
        self.model = QueueModel(self)
        self.filter, self.order, self.view = QComboBox(), QComboBox(), QListView()
        self._fill_choices()
        self._show_rows(look)
        self._marks_timer = QTimer(self)
        self._marks_timer.setSingleShot(True)
        self._marks_timer.setInterval(_MARKS_MS)
        self._marks_timer.timeout.connect(self._take_marks)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.summary = label(kind="muted")
        self._empty = label("", kind="muted")
        self._empty.setWordWrap(True)
        top = QHBoxLayout()
        top.setContentsMargins(10, 2, 10, 4)
        top.addWidget(self.order, 1)
        top.addWidget(self.filter, 1)
        foot = QVBoxLayout()
        foot.setContentsMargins(12, 6, 12, 12)
        foot.setSpacing(7)
        self.tip = OrderTip()
        foot.addWidget(self._empty)
        foot.addWidget(self.tip)
        foot.addWidget(self.summary)
        foot.addWidget(self.progress)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(top)
        layout.addWidget(self.view, 1)
        layout.addLayout(foot)
        self.filter.currentIndexChanged.connect(self._filter_changed)
        self.order.currentIndexChanged.connect(self._order_changed)
        self.tip.taken.connect(lambda: self.order.setCurrentIndex(self.order.findData(OrderKind.USEFUL)))
        self.view.clicked.connect(self._clicked)
        self.model.thumbnails_wanted.connect(self._load_thumbnails)
        bridge.session_changed.connect(self._take_session)
        bridge.images_changed.connect(self._take_images)
        bridge.image_status_changed.connect(self._status_changed)
        bridge.current_changed.connect(self._moved_on)
        bridge.image_scored.connect(self._scored)
        bridge.thumbnail_ready.connect(self._thumbnail_ready)
        bridge.image_failed.connect(self._failed)
        bridge.image_loaded.connect(lambda event: self.model.set_problem(event.image_id, ""))

    def _fill_choices(self) -> None:
        """Fill the two lists above the images."""
        self.filter.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.filter.setAccessibleName("Which images to show")
        for shown in Shown:
            self.filter.addItem(shown.value, shown)
        self.order.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.order.setAccessibleName("Which image comes next")
        self.order.setToolTip(
            "Most useful first: what the model is unsure about, looks unlike what you painted, and holds "
            "classes you rarely painted. N and Enter follow this order; it changes only when you go on."
        )
        for kind, text in ORDER_TEXT.items():
            self.order.addItem(text, kind)

    def _show_rows(self, look: Look) -> None:
        """Let the list show images."""
        self.view.setModel(self.model)
        self.view.setItemDelegate(QueueDelegate(look, self.view))
        self.view.setUniformItemSizes(True)
        self.view.setMouseTracking(True)
        self.view.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.view.setAccessibleName("Images")

    def select(self, image_id: str) -> None:
        """Show an image as the one on screen, and scroll to it."""
        row = self.model.row_of(image_id)
        if row >= 0:
            index = self.model.index(row)
            self.view.setCurrentIndex(index)
            self.view.scrollTo(index, QListView.ScrollHint.EnsureVisible)
        else:
            self.view.clearSelection()

    @property
    def kind(self) -> OrderKind:
        """The order chosen."""
        kind = self.order.currentData()
        return kind if isinstance(kind, OrderKind) else OrderKind.FOLDER

    def _moved_on(self, image_id: str) -> None:
        """Another image is on screen: only now may rows change their places."""
        self._arrange()
        self.select(image_id)
        self._advise()

    def _arrange(self) -> None:
        session = self._bridge.session
        if session is not None:
            self.model.set_order(session.queue.ids)

    def _order_changed(self, _row: int) -> None:
        session = self._bridge.session
        if session is not None:
            session.queue.kind = self.kind
            self._arrange()
            self._show_current()
            self._advise()

    def _advise(self) -> None:
        session = self._bridge.session
        self.tip.setVisible(session is not None and not self.tip.is_put_off and session.queue.repeats)

    def _scored(self, _event: ImageScored) -> None:
        if not self._marks_timer.isActive():
            self._marks_timer.start()

    def _take_marks(self) -> None:
        session = self._bridge.session
        if session is None:
            return
        unsure, changed = session.queue.unsure(), session.queue.changed()
        marks: dict[str, Mark] = {}
        for name, level in session.queue.levels().items():
            score = session.queue.score(name)
            percent = 0 if score is None else round(100 * (score.uncertainty or 0.0))
            marks[name] = Mark(percent, level, name in unsure, name in changed)
        self.model.set_marks(marks)
        self._count()
        self._advise()

    def _take_session(self) -> None:
        session = self._bridge.session
        self.model.set_records(session.images if session else ())
        if session is not None:
            with QSignalBlocker(self.order):
                self.order.setCurrentIndex(self.order.findData(session.queue.kind))
            self._arrange()
        self._count()
        self.tip.begin()

    def _take_images(self) -> None:
        session = self._bridge.session
        if session is not None:
            self.model.update_records(session.images)
            self._count()
            self._advise()

    def _status_changed(self, image_id: str) -> None:
        session = self._bridge.session
        if session is None:
            return
        record = session.manifest.images.get(image_id)
        if record is not None:
            self.model.update_record(record)
            self._count()
            self._advise()

    def _count(self) -> None:
        counts = self.model.counts()
        total = sum(counts.values())
        reviewed = counts[ImageStatus.REVIEWED]
        self.summary.setText(f"{reviewed} of {total} reviewed" if total else "")
        for row, shown in enumerate(Shown):
            self.filter.setItemText(
                row, f"{shown.value} · {self.model.count_of(shown)}" if total else shown.value
            )
            if shown is Shown.DISPUTED:
                looked = f"{self.model.surveyed()} of {total} images looked at so far."
                self.filter.setItemData(row, looked, Qt.ItemDataRole.ToolTipRole)
        self.progress.setVisible(total > 0)
        self.progress.setRange(0, max(total, 1))
        self.progress.setValue(reviewed)
        self._empty.setText(self._emptiness(total))
        self._empty.setVisible(bool(self._empty.text()))

    def _emptiness(self, total: int) -> str:
        if total == 0:
            return "No images in this folder. Drop another folder here." if self._bridge.session else ""
        if self.model.rowCount() > 0:
            return ""
        return {
            Shown.UNREVIEWED: f"All {total} reviewed. Export with Ctrl+E, or look at what is unsure.",
            Shown.REVIEWED: "None reviewed yet. Enter accepts an image and goes on.",
            Shown.UNSURE: "No image stands out as unsure. Images are looked at while you work.",
            Shown.CHANGED: "No prediction has changed since you looked.",
            Shown.DISPUTED: f"None so far; {self.model.surveyed()} of {total} images looked at. The others "
            "follow while you work, if the network has several stages.",
        }.get(self.model.shown, "")

    def _filter_changed(self, row: int) -> None:
        self.model.set_shown(list(Shown)[row])
        self.model.refilter()
        self._count()
        self._show_current()

    def _show_current(self) -> None:
        session = self._bridge.session
        if session is not None and session.current is not None:
            self.select(session.current)

    def _clicked(self, index: QModelIndex) -> None:
        self._bridge.show(self.model.image_at(index.row()))

    def _load_thumbnails(self, image_ids: tuple[str, ...]) -> None:
        session = self._bridge.session
        if session is not None:
            session.load_thumbnails(image_ids)

    def _thumbnail_ready(self, event: ThumbnailReady) -> None:
        self.model.set_thumbnail(event.image_id, event.thumbnail)

    def _failed(self, event: ImageFailed) -> None:
        self.model.set_problem(event.image_id, event.problem.message)
