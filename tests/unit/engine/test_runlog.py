from datetime import UTC, datetime
from pathlib import Path

from engine.learn.runlog import RunLog, read_runlog


def _now() -> datetime:
    return datetime(2030, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


def test_records_are_lines_of_json_in_order(tmp_path: Path) -> None:
    log = RunLog(tmp_path, now=_now)
    assert not log.path.exists()
    log.write("start", images=3, classes=["sky", "Straße"])
    log.write("stop", reason="done")
    assert log.path == tmp_path / "runs" / "20300102-030405-678000.jsonl"
    first, last = read_runlog(log.path)
    assert first == {
        "kind": "start",
        "at": "2030-01-02T03:04:05.678+00:00",
        "images": 3,
        "classes": ["sky", "Straße"],
    }
    assert last["reason"] == "done"


def test_a_line_cut_off_by_a_crash_is_left_out(tmp_path: Path) -> None:
    log = RunLog(tmp_path, now=_now)
    log.write("start")
    log.write("steps", step=5)
    whole = log.path.read_bytes()
    log.path.write_bytes(whole[:-4])
    assert [record["kind"] for record in read_runlog(log.path)] == ["start"]


def test_a_log_that_cannot_be_written_is_reported_once_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("in the way")
    notices: list[str] = []
    log = RunLog(tmp_path, notice=notices.append)
    log.write("start")
    log.write("stop")
    assert len(notices) == 1
    assert "goes on without it" in notices[0]
