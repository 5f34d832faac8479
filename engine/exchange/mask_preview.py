"""The preview of a mask import: which file fits which image, what its values are, and what they may mean."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from engine.annotate.class_files import read_class_file
from engine.annotate.classes import MAX_CLASSES, UNLABELLED, VOID, ClassSpec, ClassTable
from engine.annotate.palettes import default_color
from engine.errors import EngineError, ExchangeError
from engine.exchange.mask_files import MaskKind, MaskValue, Rgb, find_masks, match_masks, read_mask_file

_IGNORE_NAMES = frozenset({"void", "ignore", "unlabelled", "unlabeled", "unknown", "__ignore__"})
_CLASS_FILES = ("classes.json", "classes.txt", "labels.txt")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ImportImage:
    """An image that may get a mask; ``size`` is (H, W) upright, or ``None`` while nobody has looked."""

    image_id: str
    size: tuple[int, int] | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MatchedMask:
    """An image and the mask file that fits it in name and size, with the values that occur in it."""

    image_id: str
    path: Path
    size: tuple[int, int]
    values: frozenset[MaskValue]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ImportProblem:
    """A mask file that cannot be used, with the reason as one sentence."""

    path: Path
    message: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ImportPreview:
    """What an import would do.

    Attributes:
        folder: the masks folder.
        found: number of mask files.
        matched: images with a mask that fits.
        unmatched: mask files that belong to no image.
        without_mask: ids of images without a mask.
        problems: mask files of the wrong size, or unreadable.
        kind: how the files say what a pixel is.
        values: pixels of each value over all matched files, ascending by value.
        mapping: for each value the proposed class index of ``classes``, or 255 to leave it unlabelled.
        ignore: the value taken for "nothing said here", if one looks like it.
        unknown: values no class could be told for; they are mapped to classes of their own, or to 255.
        classes: the project's classes, with those the masks add.
    """

    folder: Path
    found: int
    matched: tuple[MatchedMask, ...]
    unmatched: tuple[Path, ...]
    without_mask: tuple[str, ...]
    problems: tuple[ImportProblem, ...]
    kind: MaskKind
    values: Mapping[MaskValue, int]
    mapping: Mapping[MaskValue, int]
    ignore: MaskValue | None
    unknown: tuple[MaskValue, ...]
    classes: ClassTable


Progress = Callable[[int, int], None]
"""Called with (done, total); may raise to cancel."""


def preview_import(
    images: Sequence[ImportImage],
    masks_folder: Path,
    classes: ClassTable,
    *,
    class_file: Path | None = None,
    progress: Progress | None = None,
) -> ImportPreview:
    """Look at all masks of a folder and propose what each value means.

    Args:
        images: the project's images.
        masks_folder: where the masks are; sub-folders too.
        classes: the project's classes; may be empty.
        class_file: class list that explains the masks' ids; found by itself as ``classes.json``,
            ``classes.txt`` or ``labels.txt`` in the folder or beside it.
        progress: called after each mask.

    Raises:
        ExchangeError: the folder is missing, or no mask fits any image.
        AnnotationError: the class file is damaged.
    """
    masks = find_masks(masks_folder)
    paths, unmatched = match_masks([image.image_id for image in images], masks, masks_folder)
    tally = _Tally()
    wanted = [image for image in images if image.image_id in paths]
    for done, image in enumerate(wanted, start=1):
        tally.look(image, paths[image.image_id])
        if progress is not None:
            progress(done, len(wanted))
    if not tally.matched:
        raise ExchangeError(_why_nothing(masks_folder, masks, tally.problems), hint=_REMEDY)
    source = class_file or _class_file_near(masks_folder)
    proposal = _Proposal(tally, classes, read_class_file(source) if source else None)
    return ImportPreview(
        folder=masks_folder,
        found=len(masks),
        matched=tuple(tally.matched),
        unmatched=unmatched,
        without_mask=tuple(image.image_id for image in images if image.image_id not in paths),
        problems=tuple(tally.problems),
        kind=tally.kind,
        values=tally.ordered(),
        mapping=proposal.mapping,
        ignore=proposal.ignore,
        unknown=tuple(proposal.unknown),
        classes=proposal.classes,
    )


_REMEDY = "Masks need the name of their image, another suffix is fine, and its size in pixels."


def _why_nothing(folder: Path, masks: Sequence[Path], problems: Sequence[ImportProblem]) -> str:
    if not masks:
        return f"“{folder}” holds no mask files."
    if problems:
        return f"None of {len(masks)} masks in “{folder}” can be used: {problems[0].message}"
    return f"None of {len(masks)} masks in “{folder}” has the name of an image."


def _class_file_near(folder: Path) -> Path | None:
    """A class list in the masks folder, beside it, or beside a folder that holds ``images`` and the masks."""
    places = [folder, folder.parent]
    if (folder.parent / "images").is_dir():
        places.append(folder.parent.parent)
    for place in places:
        for name in _CLASS_FILES:
            if (place / name).is_file():
                return place / name
    return None


class _Tally:
    """What the masks hold, file by file; memory follows the number of values."""

    def __init__(self) -> None:
        self.matched: list[MatchedMask] = []
        self.problems: list[ImportProblem] = []
        self.values: dict[MaskValue, int] = {}
        self.palette: dict[int, Rgb] = {}
        self.kinds: set[MaskKind] = set()

    @property
    def kind(self) -> MaskKind:
        """The richest kind that occurs."""
        for kind in (MaskKind.COLORS, MaskKind.PALETTE):
            if kind in self.kinds:
                return kind
        return MaskKind.IDS

    def look(self, image: ImportImage, path: Path) -> None:
        """Read one mask and add its values."""
        try:
            mask = read_mask_file(path)
        except EngineError as error:
            self.problems.append(ImportProblem(path=path, message=error.message))
            return
        if image.size is not None and mask.size != image.size:
            self.problems.append(
                ImportProblem(path=path, message=wrong_size_message(path, mask.size, image.size))
            )
            return
        self.kinds.add(mask.kind)
        self.palette.update(mask.palette)
        for value, pixels in mask.pixels().items():
            self.values[value] = self.values.get(value, 0) + pixels
        values = frozenset(mask.values)
        self.matched.append(MatchedMask(image_id=image.image_id, path=path, size=mask.size, values=values))

    def ordered(self) -> dict[MaskValue, int]:
        """Pixels by value: ids first, ascending, then colours."""
        return {value: self.values[value] for value in sorted(self.values, key=_order)}


def _order(value: MaskValue) -> tuple[int, int, int, int]:
    return (0, value, 0, 0) if isinstance(value, int) else (1, *value)


def wrong_size_message(path: Path, size: tuple[int, int], wanted: tuple[int, int]) -> str:
    """Say that a mask of ``size`` (H, W) does not fit its image of ``wanted`` (H, W)."""
    turned = " Its sides are swapped: masks belong to the upright image." if size == wanted[::-1] else ""
    return (
        f"“{path.name}” is {size[1]} x {size[0]} pixels, but its image is {wanted[1]} x {wanted[0]}.{turned}"
    )


class _Proposal:
    """Finds a class for each value, adding classes where the table has none.

    A project without classes takes over the listed classes with their ids, or the masks' own values as ids.
    A project that has classes keeps their ids; new classes get new ones.
    """

    def __init__(self, tally: _Tally, classes: ClassTable, listed: ClassTable | None) -> None:
        self.mapping: dict[MaskValue, int] = {}
        self.unknown: list[MaskValue] = []
        self.ignore: MaskValue | None = _ignore_guess(tally, classes, listed)
        is_new = classes.next_index == 0
        self.classes = _without_ignored(listed) if is_new and listed is not None else classes
        self._meaning = listed if listed is not None else classes
        self._invents = is_new and listed is None
        self._palette = tally.palette
        for value in tally.ordered():
            self.mapping[value] = UNLABELLED if value == self.ignore else self._class_for(value)

    def _class_for(self, value: MaskValue) -> int:
        spec = _spec_of(value, self._meaning)
        if spec is not None:
            return self._named(spec)
        self.unknown.append(value)
        return self._invented(value) if self._invents else UNLABELLED

    def _named(self, meant: ClassSpec) -> int:
        """The project's class of that name, added where it is missing."""
        spec = self.classes.by_name(meant.name)
        if spec is not None:
            return spec.index
        if _is_ignored(meant) or self.classes.next_index >= MAX_CLASSES:
            return UNLABELLED
        self.classes = self.classes.add(meant.name, meant.color)
        return self.classes.next_index - 1

    def _invented(self, value: MaskValue) -> int:
        """A class of its own for a value nobody has named; an id stays that id."""
        if isinstance(value, int):
            index, name, color = value, f"class {value}", self._palette.get(value)
        else:
            index, color = self.classes.next_index, value
            name = "color #" + "".join(f"{part:02x}" for part in value)
        if index < self.classes.next_index or index >= MAX_CLASSES:
            return self._appended(name)
        spec = ClassSpec(index=index, name=name, color=color or default_color(index))
        self.classes = ClassTable(classes=(*self.classes, spec), next_index=index + 1)
        return index

    def _appended(self, name: str) -> int:
        """A class with the next free id, for values that are no possible ids."""
        if self.classes.next_index >= MAX_CLASSES:
            return UNLABELLED
        self.classes = self.classes.add(name)
        return self.classes.next_index - 1


def _is_ignored(spec: ClassSpec) -> bool:
    return spec.name.casefold() in _IGNORE_NAMES


def _without_ignored(table: ClassTable) -> ClassTable:
    """The table without classes that only say "nothing here"."""
    return dataclasses.replace(table, classes=tuple(spec for spec in table if not _is_ignored(spec)))


def _spec_of(value: MaskValue, table: ClassTable) -> ClassSpec | None:
    """The class a value means: ids by index, colours by colour."""
    if isinstance(value, int):
        return table.by_index(value) if 0 <= value < VOID else None
    return next((spec for spec in table if spec.color == value), None)


def _ignore_guess(tally: _Tally, classes: ClassTable, listed: ClassTable | None) -> MaskValue | None:
    """The value that looks like "nothing said here": 255, or a colour no class has."""
    ids = {value for value in tally.values if isinstance(value, int)}
    if UNLABELLED in ids and not ids <= {0, UNLABELLED}:
        return UNLABELLED
    table = listed if listed is not None else classes
    taken = {spec.color for spec in table}
    candidates: tuple[Rgb, ...] = ((0, 0, 0), (255, 255, 255), (224, 224, 192))
    return next((color for color in candidates if color in tally.values and color not in taken), None)
