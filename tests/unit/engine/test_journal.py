"""The journal: what a crash leaves is a beginning; what rots is reported; nothing is dropped in silence."""

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.annotate import journal
from engine.annotate.journal import (
    HISTORY_LIMIT,
    History,
    Record,
    RecordKind,
    encode_record,
    parse_journal,
    read_journal,
)
from engine.errors import AnnotationError, StorageError

_steps = st.lists(
    st.one_of(
        st.tuples(st.just(RecordKind.PATCH), st.binary(min_size=1, max_size=30)),
        st.tuples(st.sampled_from([RecordKind.UNDO, RecordKind.REDO]), st.just(b"")),
    ),
    max_size=6,
)


def written(steps, first=1):
    """Records and the journal that holds them."""
    records = tuple(Record(kind, first + place, payload) for place, (kind, payload) in enumerate(steps))
    return records, [encode_record(record.kind, record.revision, record.payload) for record in records]


def _patches(*payloads):
    return [(RecordKind.PATCH, payload) for payload in payloads]


@given(_steps, st.integers(1, 2**40))
def test_round_trip(steps, first):
    records, parts = written(steps, first)
    contents = parse_journal(b"".join(parts))
    assert contents.records == records
    assert contents.damage is None
    assert contents.valid_length == sum(map(len, parts))


@given(_steps, st.data())
def test_a_beginning_of_a_journal_is_a_beginning_of_its_records(steps, data):
    records, parts = written(steps)
    whole = b"".join(parts)
    length = data.draw(st.integers(0, len(whole)))
    contents = parse_journal(whole[:length])
    kept = len(contents.records)
    assert contents.records == records[:kept]
    assert contents.damage is None
    assert contents.valid_length == sum(map(len, parts[:kept]))
    assert kept == len(records) or length < sum(map(len, parts[: kept + 1]))


def test_every_single_cut():
    records, parts = written([*_patches(b"a" * 9, b"MLJ1" * 3), (RecordKind.UNDO, b"")])
    whole = b"".join(parts)
    ends = [sum(map(len, parts[: count + 1])) for count in range(3)]
    for length in range(len(whole) + 1):
        contents = parse_journal(whole[:length])
        assert contents.records == records[: sum(end <= length for end in ends)]
        assert contents.damage is None


@given(_steps.filter(bool), st.data())
def test_a_changed_byte_never_gives_other_records(steps, data):
    records, parts = written(steps)
    whole = bytearray(b"".join(parts))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    contents = parse_journal(bytes(whole))
    assert contents.records == records[: len(contents.records)]
    last = sum(map(len, parts[:-1]))
    if place < last:
        assert contents.damage is not None
        assert len(contents.records) < len(records)
    assert contents.damage is not None or contents.records == records[:-1]


@given(_steps.filter(bool), st.integers(1, 200))
def test_zeros_at_the_end_are_a_tail_the_disk_made_room_for(steps, zeros):
    records, parts = written(steps)
    whole = b"".join(parts)
    contents = parse_journal(whole + bytes(zeros))
    assert contents.records == records
    assert contents.valid_length == len(whole)
    assert contents.damage is None


def test_a_last_record_whose_end_is_zeros_is_unfinished():
    records, parts = written(_patches(b"one", b"two" * 10))
    for zeros in range(5, len(parts[1]) + 1):
        cut = parts[1][:-zeros] + bytes(zeros)
        assert parse_journal(parts[0] + cut) == journal.JournalContents(records[:1], len(parts[0]))


def test_a_last_record_torn_anywhere_with_zeros_up_to_any_end():
    records, parts = written(_patches(b"one", b"two" * 10))
    for kept in range(len(parts[1]) - 5):
        for zeros in range(40):
            torn = parse_journal(parts[0] + parts[1][:kept] + bytes(zeros))
            assert torn == journal.JournalContents(records[:1], len(parts[0]))


def test_room_for_more_than_the_last_record():
    records, parts = written(_patches(b"one", b"two" * 10))
    torn = parts[0] + parts[1][:30] + bytes(100)
    assert parse_journal(torn) == journal.JournalContents(records[:1], len(parts[0]))


def test_a_last_record_that_is_whole_but_wrong_is_damage():
    records, parts = written(_patches(b"one", b"two"))
    wrong = bytearray(parts[1])
    wrong[-6] ^= 1
    contents = parse_journal(parts[0] + bytes(wrong))
    assert contents.records == records[:1]
    assert f"byte {len(parts[0])}" in contents.damage


def test_an_unfinished_record_with_a_whole_one_behind_is_damage():
    _, parts = written(_patches(b"one" * 20, b"two"))
    contents = parse_journal(parts[0][:40] + parts[1])
    assert contents.records == ()
    assert contents.damage is not None


def test_something_else_is_damage():
    for data in (b"x", b"MLJx", b"{}" * 50, b"MLP1" + bytes(3)):
        contents = parse_journal(data)
        assert contents.damage == "no readable record at byte 0"
        assert contents.valid_length == 0


def test_records_that_do_not_follow_are_damage():
    for revision in (1, 3):
        _, parts = written(_patches(b"one"))
        contents = parse_journal(parts[0] + encode_record(RecordKind.PATCH, revision, b"two"))
        assert len(contents.records) == 1
        assert f"step {revision} at byte" in contents.damage


def _header(kind=1, revision=1, length=1):
    fields = struct.pack("<4sBQI", b"MLJ1", kind, revision, length)
    return fields + struct.pack("<I", zlib.crc32(fields))


@pytest.mark.parametrize(
    "header",
    [_header(kind=4), _header(kind=0), _header(revision=0), _header(length=0), _header(kind=2, length=1)],
)
def test_headers_that_are_whole_but_impossible_are_damage(header):
    body = header + b"p"
    contents = parse_journal(body + struct.pack("<I", zlib.crc32(body)))
    assert contents.records == ()
    assert contents.damage is not None


def test_false_beginnings_behind_damage_are_no_records():
    _, parts = written(_patches(b"one"))
    wrong = bytearray(parts[0])
    wrong[0] ^= 1
    contents = parse_journal(bytes(wrong) + b"MLJ1MLJ1")
    assert contents.damage is not None


@pytest.mark.parametrize(
    ("kind", "revision", "payload"),
    [(RecordKind.PATCH, 1, b""), (RecordKind.UNDO, 1, b"x"), (RecordKind.REDO, 0, b"")],
)
def test_impossible_records_are_not_written(kind, revision, payload):
    with pytest.raises(ValueError, match=r"payload|revision"):
        encode_record(kind, revision, payload)


def test_reading_a_file(tmp_path, monkeypatch):
    records, parts = written(_patches(b"one", b"two"))
    path = tmp_path / "a.journal"
    assert read_journal(path) == journal.JournalContents((), 0)
    path.write_bytes(b"".join(parts)[:-1])
    assert read_journal(path).records == records[:1]
    monkeypatch.setattr(journal, "MAX_JOURNAL_BYTES", 10)
    with pytest.raises(StorageError, match="larger"):
        read_journal(path)


# --- history -------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(RecordKind), max_size=40))
@settings(max_examples=60)
def test_history_is_an_undo_stack(kinds):
    history, timeline, position, number = History(), [], 0, 0
    for kind in kinds:
        if kind is RecordKind.PATCH:
            number += 1
            timeline = [*timeline[:position], str(number).encode()]
            position += 1
            history = history.after(kind, timeline[-1])
        elif kind is RecordKind.UNDO and position > 0:
            position -= 1
            history = history.after(kind)
        elif kind is RecordKind.REDO and position < len(timeline):
            position += 1
            history = history.after(kind)
        else:
            with pytest.raises(AnnotationError, match="not in it"):
                history.after(kind)
    assert list(history.done) == timeline[:position]
    assert list(history.undone) == timeline[position:][::-1]


def test_history_keeps_the_newest_steps():
    history = History()
    for number in range(HISTORY_LIMIT + 50):
        history = history.after(RecordKind.PATCH, str(number).encode())
    assert len(history.done) == HISTORY_LIMIT
    assert history.done[0] == b"50"
