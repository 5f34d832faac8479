"""Which image comes next, and which are held out."""

from dataclasses import replace

from engine.project.manifest import ImageRecord, ImageStatus, Split
from engine.session.review import neighbour, next_unreviewed, split_of_new

NAMES = ("a.png", "b.png", "c.png", "d.png")


def _records(**statuses: ImageStatus) -> dict[str, ImageRecord]:
    return {name: ImageRecord(image_id=name, status=statuses.get(name[0], ImageStatus.NEW)) for name in NAMES}


def test_of_every_five_annotated_images_the_third_is_held_out() -> None:
    records: dict[str, ImageRecord] = {}
    splits = []
    for number in range(10):
        split = split_of_new(records)
        splits.append(split)
        name = f"{number}.png"
        records[name] = ImageRecord(image_id=name, split=split)
    held_out = [number for number, split in enumerate(splits) if split is Split.VAL]
    assert held_out == [2, 7]
    assert all(split is not Split.NONE for split in splits)


def test_images_nobody_annotated_do_not_count_for_the_split() -> None:
    records = _records()
    assert split_of_new(records) is Split.TRAIN


def test_neighbours_end_at_the_ends() -> None:
    assert neighbour(NAMES, "b.png", 1) == "c.png"
    assert neighbour(NAMES, "a.png", -1) is None
    assert neighbour(NAMES, "d.png", 1) is None
    assert neighbour(NAMES, None, 1) == "a.png"
    assert neighbour((), None, 1) is None


def test_the_next_unreviewed_image_goes_around_the_end() -> None:
    done = ImageStatus.REVIEWED
    assert next_unreviewed(NAMES, _records(c=done), "b.png") == "d.png"
    assert next_unreviewed(NAMES, _records(d=done), "c.png") == "a.png"
    assert next_unreviewed(NAMES, _records(a=done), "c.png", backwards=True) == "b.png"
    assert next_unreviewed(NAMES, _records(b=done), None) == "a.png"


def test_when_all_are_reviewed_there_is_no_next() -> None:
    records = {name: replace(record, status=ImageStatus.REVIEWED) for name, record in _records().items()}
    assert next_unreviewed(NAMES, records, "a.png") is None
    assert next_unreviewed((), {}, None) is None
