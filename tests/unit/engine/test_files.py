"""Files that are whole or absent, paths that stay inside, locks that die with their process."""

import errno
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from engine import files
from engine.errors import EngineError, ProjectError, ProjectLockedError, StorageError
from engine.files import (
    FolderLock,
    append_durable,
    atomic_write,
    confined,
    hash_file,
    read_bytes,
    remove_leftovers,
    storage_error,
    storage_errors,
)

posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions and pipes of POSIX")


def failing(code, *, after=0):
    """A stand-in for a system call that works `after` times and then fails for ever."""
    calls = 0

    def make(real):
        def call(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls > after:
                raise OSError(code, os.strerror(code))
            return real(*args, **kwargs)

        return call

    return make


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# --- atomic write --------------------------------------------------------------------------------


def test_atomic_write_makes_and_replaces(tmp_path):
    path = tmp_path / "a.json"
    for data in (b"one", b"", b"x" * 3_000_000):
        atomic_write(path, data)
        assert path.read_bytes() == data
        assert names(tmp_path) == ["a.json"]


def test_a_long_name_leaves_room_for_the_temporary_file(tmp_path):
    path = tmp_path / ("ä" * 125 + ".png")
    atomic_write(path, b"data")
    assert path.read_bytes() == b"data"


@posix
def test_atomic_write_keeps_the_permissions(tmp_path):
    path = tmp_path / "a"
    mask = os.umask(0o022)
    try:
        atomic_write(path, b"one")
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        path.chmod(0o640)
        atomic_write(path, b"two")
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.read_bytes() == b"two"


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "reports an error"),
        (errno.EBUSY, os.strerror(errno.EBUSY)),
    ],
)
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, call, code, cause):
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, call, failing(code)(getattr(os, call)))
    with pytest.raises(StorageError, match=cause) as caught:
        atomic_write(path, b"new")
    monkeypatch.undo()
    assert str(path) in caught.value.message
    assert caught.value.hint
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.json"]


def test_short_writes_are_continued(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:3]))
    atomic_write(tmp_path / "a", b"0123456789")
    append_durable(tmp_path / "a", b"abcdefg")
    assert (tmp_path / "a").read_bytes() == b"0123456789abcdefg"


def test_a_folder_that_cannot_be_synced_is_no_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL, after=1)(os.fsync))
    atomic_write(tmp_path / "a", b"data")
    assert (tmp_path / "a").read_bytes() == b"data"


@pytest.mark.parametrize("write", [atomic_write, append_durable])
def test_a_vanished_folder(tmp_path, write):
    with pytest.raises(StorageError, match="not there") as caught:
        write(tmp_path / "gone" / "a", b"data")
    assert "Connect the disk" in caught.value.hint
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="not a folder"):
        write(tmp_path / "file" / "a", b"data")


def test_a_folder_in_the_place_of_the_file(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(StorageError):
        atomic_write(tmp_path / "a", b"data")
    assert names(tmp_path) == ["a"]


def test_what_a_killed_program_left_is_removed(tmp_path, monkeypatch):
    for name in (".maskloop-0123.tmp", ".maskloop-4567.tmp", "a.png", ".maskloop-x"):
        (tmp_path / name).write_bytes(b"")
    assert remove_leftovers(tmp_path) == 2
    assert names(tmp_path) == [".maskloop-x", "a.png"]
    assert remove_leftovers(tmp_path / "gone") == 0
    (tmp_path / ".maskloop-89.tmp").write_bytes(b"")
    monkeypatch.setattr(Path, "unlink", failing(errno.EACCES)(Path.unlink))
    assert remove_leftovers(tmp_path) == 0


# --- append --------------------------------------------------------------------------------------


def test_append(tmp_path):
    path = tmp_path / "a.journal"
    for part in (b"one", b"two", b""):
        append_durable(path, part)
    assert path.read_bytes() == b"onetwo"


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_failed_append_cuts_back(tmp_path, monkeypatch, call):
    path = tmp_path / "a.journal"
    path.write_bytes(b"one")
    real = os.write
    if call == "fsync":
        monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC)(os.fsync))
    else:
        fail = failing(errno.ENOSPC, after=1)(real)
        monkeypatch.setattr(os, "write", lambda handle, data: fail(handle, data[:2]))
    with pytest.raises(StorageError, match="disk is full"):
        append_durable(path, b"two")
    assert path.read_bytes() == b"one"


def test_a_disk_that_cannot_even_cut_back_says_its_first_trouble(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(errno.EIO)(os.fsync))
    monkeypatch.setattr(os, "ftruncate", failing(errno.EROFS)(os.ftruncate))
    with pytest.raises(StorageError, match="reports an error"):
        append_durable(tmp_path / "a", b"two")


# --- reading -------------------------------------------------------------------------------------


def test_read_bytes_up_to_its_limit(tmp_path):
    path = tmp_path / "a"
    for data in (b"", b"12345"):
        path.write_bytes(data)
        assert read_bytes(path, limit=5) == data
    path.write_bytes(b"123456")
    with pytest.raises(StorageError, match="larger than 5 bytes"):
        read_bytes(path, limit=5)


def test_a_file_that_grows_while_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"12")
    real = os.read

    def read(handle, size):
        block = real(handle, size)
        if block == b"12":
            path.write_bytes(b"1234567")
        return block

    monkeypatch.setattr(os, "read", read)
    assert read_bytes(path, limit=10) == b"1234567"
    path.write_bytes(b"12")
    with pytest.raises(StorageError, match="larger"):
        read_bytes(path, limit=4)


def test_what_cannot_be_read(tmp_path, monkeypatch):
    with pytest.raises(StorageError, match="could not be read: it is not there"):
        read_bytes(tmp_path / "gone", limit=5)
    with pytest.raises(StorageError, match="could not be read"):
        read_bytes(tmp_path, limit=5)
    with pytest.raises(StorageError, match="could not be read"):
        hash_file(tmp_path / "gone")
    (tmp_path / "a").write_bytes(b"data")
    monkeypatch.setattr(os, "read", failing(errno.EIO)(os.read))
    with pytest.raises(StorageError, match="reports an error"):
        read_bytes(tmp_path / "a", limit=5)


@posix
def test_a_pipe_does_not_make_it_wait(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for read in (lambda path: read_bytes(path, limit=5), hash_file):
        with pytest.raises(StorageError, match="could not be read"):
            read(tmp_path / "pipe")


def test_hash_follows_the_content(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"x" * 3_000_000)
    second.write_bytes(b"x" * 3_000_000)
    assert hash_file(first) == hash_file(second)
    algorithm, digits = hash_file(first).split(":")
    assert algorithm == "blake2b"
    assert len(bytes.fromhex(digits)) == 16
    second.write_bytes(b"x" * 2_999_999 + b"y")
    assert hash_file(first) != hash_file(second)


def test_a_block_that_writes_says_what_refused():
    said = r"“a” could not be moved: the disk is full\."
    with pytest.raises(StorageError, match=said), storage_errors(Path("a"), "moved"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with storage_errors(Path("a")):
        pass


def test_errors_without_a_number_say_what_they_can():
    error = storage_error(Path("a"), "read", OSError("strange"))
    assert error.message == "“a” could not be read: strange."
    assert error.hint


# --- paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "relative", ["a.png", "a/b/c.png", "ä ö/ü.png", "..a/b..", ".hidden", "12:30.png", "a/./b"]
)
def test_paths_inside(tmp_path, relative):
    assert confined(tmp_path, relative) == tmp_path / relative


@pytest.mark.parametrize(
    "relative",
    ["", ".", "./", "..", "../a", "a/../../b", "a/..", "/etc/passwd", "//host/a", "\\\\host\\share\\a", "\\a",
     "C:\\a", "C:a", "a:b.png", "c:/a", "a\\..\\b", "a\0b"],
)  # fmt: skip
def test_paths_that_escape(tmp_path, relative):
    with pytest.raises(ProjectError, match="does not lead to a file inside"):
        confined(tmp_path, relative)


@posix
def test_links_may_lead_around_inside_but_not_out(tmp_path):
    root = tmp_path / "root"
    (root / "real").mkdir(parents=True)
    (root / "inside").symlink_to(root / "real")
    (root / "outside").symlink_to(tmp_path)
    (root / "circle").symlink_to(root / "circle")
    assert confined(root, "inside/a.png") == root / "inside" / "a.png"
    for relative in ("outside/a.png", "outside", "circle/a.png"):
        with pytest.raises(ProjectError):
            confined(root, relative)
    (tmp_path / "other").symlink_to(root)
    assert confined(tmp_path / "other", "real/a.png") == tmp_path / "other" / "real" / "a.png"


@posix
def test_links_that_cannot_be_followed(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "resolve", failing(errno.EIO)(Path.resolve))
    with pytest.raises(ProjectError):
        confined(tmp_path, "a.png")


# --- lock ----------------------------------------------------------------------------------------


def test_one_lock_at_a_time(tmp_path):
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    first.acquire()
    first.acquire()
    assert first.held
    with pytest.raises(ProjectLockedError) as caught:
        second.acquire()
    assert f"process {os.getpid()}" in caught.value.message
    assert os.uname().nodename in caught.value.message if hasattr(os, "uname") else True
    assert "since 2" in caught.value.message
    assert "read-only" in caught.value.hint
    assert not second.held
    first.release()
    first.release()
    assert not first.held
    second.acquire()
    assert json.loads((tmp_path / "lock").read_bytes())["pid"] == os.getpid()
    second.release()
    assert (tmp_path / "lock").read_bytes() == b""


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", b'{"since": 3}', b"\xff"])
def test_a_holder_that_cannot_be_named(tmp_path, text):
    first = FolderLock(tmp_path)
    first.acquire()
    (tmp_path / "lock").write_bytes(text)
    with pytest.raises(ProjectLockedError, match=r"another Maskloop\."):
        FolderLock(tmp_path).acquire()
    first.release()


def test_what_an_earlier_program_left_does_not_lock(tmp_path):
    (tmp_path / "lock").write_text(json.dumps({"host": "x", "pid": 1, "since": "2020-01-01T00:00:00"}) * 9)
    lock = FolderLock(tmp_path)
    lock.acquire()
    assert json.loads((tmp_path / "lock").read_bytes())["pid"] == os.getpid()
    lock.release()


@posix
def test_a_killed_process_does_not_block(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom engine.files import FolderLock\n"
        "lock = FolderLock(Path(sys.argv[1]))\nlock.acquire()\nprint('held', flush=True)\nsys.stdin.read()\n"
    )
    root = Path(files.__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline().strip() == b"held"
        lock = FolderLock(tmp_path)
        with pytest.raises(ProjectLockedError, match=f"process {process.pid}"):
            lock.acquire()
        process.send_signal(signal.SIGKILL)
        process.wait()
    lock.acquire()
    assert lock.held
    lock.release()


def test_a_folder_that_is_gone(tmp_path):
    with pytest.raises(StorageError, match="could not be locked: it is not there"):
        FolderLock(tmp_path / "gone").acquire()


def test_a_full_disk_does_not_keep_the_lock_away(tmp_path, monkeypatch):
    lock = FolderLock(tmp_path)
    monkeypatch.setattr(os, "ftruncate", failing(errno.ENOSPC)(os.ftruncate))
    lock.acquire()
    assert lock.held
    with pytest.raises(ProjectLockedError, match=r"another Maskloop\."):
        FolderLock(tmp_path).acquire()
    lock.release()
    assert not lock.held


@posix
def test_a_disk_that_knows_no_locks(tmp_path, monkeypatch):
    import fcntl

    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOLCK)(fcntl.flock))
    with pytest.raises(EngineError, match="could not be locked"):
        FolderLock(tmp_path).acquire()
