"""Files that are whole or absent: atomic writes, durable appends, checked paths, and the lock of a folder.

Every failure of the disk becomes a `StorageError` that names the file, the cause and a remedy. All functions
are safe on any thread; two threads must not write the same file at once.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

from engine.errors import ProjectError, ProjectLockedError, StorageError

TEMPORARY_PREFIX: Final = ".maskloop-"
TEMPORARY_SUFFIX: Final = ".tmp"
LOCK_NAME: Final = "lock"

_BINARY: Final = getattr(os, "O_BINARY", 0)
_CAUSES: Final = {
    errno.ENOSPC: ("the disk is full", "Free some space on that disk."),
    errno.EDQUOT: ("your quota on that disk is used up", "Free some space on that disk."),
    errno.EROFS: ("the disk is read-only", "Use a folder on a disk that can be written."),
    errno.EACCES: ("access is denied", "Check the permissions of the file and its folder."),
    errno.EPERM: ("access is denied", "Check the permissions of the file and its folder."),
    errno.ENOENT: ("it is not there", "Connect the disk again, or put the folder back where it was."),
    errno.ENOTDIR: ("its folder is not a folder", "Put the folder back where it was."),
    errno.EEXIST: ("a file of that name is in the way", "Choose another name, or move that file away."),
    errno.EISDIR: ("it is a folder", "Move that folder away."),
    errno.ENAMETOOLONG: ("its name is too long", "Use a shorter name or a folder nearer to the root."),
    errno.EIO: ("the disk reports an error", "Check the disk and its connection."),
}


def storage_error(path: Path, action: str, error: OSError) -> StorageError:
    """Return the error to raise when the disk refused.

    Args:
        path: The file or folder.
        action: What failed, as in "could not be {action}": "written", "read", "locked".
        error: What the system said.
    """
    fallback = (error.strerror or str(error), "Check the disk and the folder, then try again.")
    cause, remedy = _CAUSES.get(error.errno or 0, fallback)
    return StorageError(f"“{path}” could not be {action}: {cause}.", remedy)


@contextlib.contextmanager
def storage_errors(path: Path, action: str = "written") -> Iterator[None]:
    """Turn what the system says about a file within the block into a `StorageError`; see `storage_error`."""
    try:
        yield
    except OSError as error:
        raise storage_error(path, action, error) from error


# --- writing -------------------------------------------------------------------------------------


def atomic_write(path: Path, data: bytes) -> None:
    """Replace a file by `data` as a whole; after a crash it holds either the old content or the new.

    A file that is replaced keeps its permissions. The folder must exist.

    Raises:
        StorageError: the disk refused; the old file is as it was, and nothing else is left behind.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}{TEMPORARY_SUFFIX}")
    try:
        try:
            _write_new(temporary, data, _mode_of(path))
            os.replace(temporary, path)  # noqa: PTH105 - the call that promises atomicity on every system
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise storage_error(path, "written", error) from error


def check_can_write(path: Path) -> None:
    """Make sure before long work that its result can be written, by a file that is gone at once.

    The folder is made where it is not there.

    Raises:
        StorageError: A file of this name could not be written now.
    """
    with storage_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with storage_errors(path):
        if path.is_dir():
            raise OSError(errno.EISDIR, "is a folder")
        with tempfile.TemporaryFile(dir=path.parent, prefix=TEMPORARY_PREFIX):
            pass


def append_durable(path: Path, data: bytes) -> None:
    """Append `data` to a file, made if need be; it is on the disk when this returns.

    Raises:
        StorageError: the disk refused; the file was cut back to its old length where the system allowed it.
    """
    try:
        is_new = not path.exists()
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _BINARY, 0o666)
        try:
            _append(handle, data)
        finally:
            os.close(handle)
        if is_new:
            _sync_folder(path.parent)
    except OSError as error:
        raise storage_error(path, "written", error) from error


def remove_leftovers(folder: Path) -> int:
    """Remove the temporary files that a killed program left directly in a folder; returns how many.

    Only the owner of the folder may call it: it would take away the file another writer is about to move.
    What cannot be removed stays.
    """
    removed = 0
    with contextlib.suppress(OSError):
        for path in folder.glob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}"):
            path.unlink()
            removed += 1
    return removed


def _mode_of(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None


def _write_new(path: Path, data: bytes, mode: int | None) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
    try:
        _write_all(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)
    if mode is not None:
        path.chmod(mode)


def _append(handle: int, data: bytes) -> None:
    length = os.fstat(handle).st_size
    try:
        _write_all(handle, data)
        os.fsync(handle)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, length)
        raise


def _write_all(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _sync_folder(folder: Path) -> None:
    """Make a new name durable. Windows cannot and some network disks refuse; the content is safe there."""
    if sys.platform == "win32":  # pragma: no cover - the other systems are tested
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


# --- reading -------------------------------------------------------------------------------------


def read_bytes(path: Path, *, limit: int) -> bytes:
    """Return the content of an ordinary file of at most `limit` bytes.

    Raises:
        StorageError: the file is missing, too large, no ordinary file, or cannot be read.
    """
    room = limit + 1
    blocks: list[bytes] = []
    try:
        with _opened(path) as handle:
            # One byte more than the file has shows its end; a file that grows meanwhile is read on.
            step = min(os.fstat(handle).st_size, limit) + 1
            while room and (block := os.read(handle, min(step, room))):
                blocks.append(block)
                room -= len(block)
    except OSError as error:
        raise storage_error(path, "read", error) from error
    if not room:
        raise StorageError(
            f"“{path}” could not be read: it is larger than {limit:,} bytes.",
            "It may be damaged, or another file.",
        )
    return b"".join(blocks)


def hash_file(path: Path) -> str:
    """Return the hash of a file's content as ``blake2b:<32 hex digits>``.

    Raises:
        StorageError: the file is missing or cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    try:
        with _opened(path) as handle:
            while block := os.read(handle, 1 << 20):
                digest.update(block)
    except OSError as error:
        raise storage_error(path, "read", error) from error
    return f"blake2b:{digest.hexdigest()}"


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Open an ordinary file; a pipe in its place must not make the program wait for ever."""
    handle = os.open(path, os.O_RDONLY | _BINARY | getattr(os, "O_NONBLOCK", 0))
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is not an ordinary file")
        yield handle
    finally:
        os.close(handle)


# --- paths ---------------------------------------------------------------------------------------


def confined(root: Path, relative: str) -> Path:
    """Return the path of a file below a folder, given as relative POSIX path.

    Args:
        root: The folder.
        relative: For example an image id from a project file, which nobody may trust.

    Raises:
        ProjectError: the path is empty, absolute, names a drive, goes up, or leads out through a link.
    """
    parts = relative.replace("\\", "/").split("/")
    windows = PureWindowsPath(relative)
    if (
        "\0" in relative
        or ".." in parts
        or PurePosixPath(relative) == PurePosixPath()
        or PurePosixPath(relative).is_absolute()
        or windows.drive
        or windows.root
    ):
        raise _escapes(root, relative)
    path = root / relative
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError) as error:  # links that lead in a circle
        raise _escapes(root, relative) from error
    if not inside:
        raise _escapes(root, relative)
    return path


def _escapes(root: Path, relative: str) -> ProjectError:
    return ProjectError(
        f"The path {relative!r} does not lead to a file inside “{root}”.",
        "The project file may be damaged, or a link may lead out of the folder.",
    )


# --- lock ----------------------------------------------------------------------------------------


class FolderLock:
    """Says that one program writes in a folder. Not thread-safe.

    The system holds the lock as long as the process lives, so a killed program never blocks the next one. The
    file `lock` stays in the folder (removing it would let two programs lock two different files); its text
    says who holds it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK_NAME
        self._handle: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._handle is not None

    def acquire(self) -> None:
        """Take the lock, or return at once if this object holds it already.

        Raises:
            ProjectLockedError: another program (or another object) holds it; the message says who and since
                when.
            StorageError: the folder cannot be written, or its disk knows no locks.
        """
        if self._handle is not None:
            return
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | _BINARY, 0o666)
            with contextlib.ExitStack() as undo:
                undo.callback(os.close, handle)
                self._take(handle)
                undo.pop_all()
        except OSError as error:
            raise storage_error(self.path, "locked", error) from error
        self._handle = handle

    def release(self) -> None:
        """Give the lock back; nothing happens if it is not held."""
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
        os.close(handle)

    def _take(self, handle: int) -> None:
        if not _lock_handle(handle):
            raise ProjectLockedError(
                f"This folder is open in another Maskloop{_holder(handle)}.",
                "Close it there, or open the folder read-only here.",
            )
        since = datetime.now().astimezone().isoformat(timespec="seconds")
        text = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": since})
        # On a full disk the lock holds as well; it only cannot say whose it is.
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
            os.lseek(handle, 0, os.SEEK_SET)
            _write_all(handle, text.encode())


def _holder(handle: int) -> str:
    """Return who holds the lock, as far as the text in the file says it."""
    try:
        info = json.loads(os.pread(handle, 4096, 0) if hasattr(os, "pread") else os.read(handle, 4096))
        since = datetime.fromisoformat(info["since"]).strftime("%Y-%m-%d %H:%M")
        return f" (on {info['host']}, process {info['pid']}, since {since})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


if sys.platform == "win32":  # pragma: no cover - the other systems are tested
    import msvcrt

    # Far behind the text, which others must be able to read.
    _LOCKED_BYTE = 1 << 30

    def _lock_handle(handle: int) -> bool:
        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EDEADLK):
                os.lseek(handle, 0, os.SEEK_SET)
                return False
            raise
        return True

else:
    import fcntl

    def _lock_handle(handle: int) -> bool:
        """Take the lock of an open file without waiting; returns whether it was free."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
