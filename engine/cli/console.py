"""What the command line says: results on stdout, progress and troubles on stderr."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from engine.errors import EngineError

_QUIET_S = 10.0
_FRAME_S = 0.1
_WIDTH = 28


def say(text: str = "") -> None:
    """Write a line of the result to stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Write one line about a trouble to stderr."""
    sys.stderr.write("maskloop: " + " ".join(text.split()) + "\n")
    sys.stderr.flush()


def complain_about(error: EngineError, *, who: str = "") -> None:
    """Write an error as one line: what, why, what to do; `who` says it, where there are several."""
    complain(f"{who}{error.message} {error.hint}".strip())


@contextlib.contextmanager
def silent(is_silent: bool) -> Iterator[None]:
    """Say nothing for a while, neither results nor progress: another process says it already."""
    if not is_silent:
        yield
        return
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


class Bar:
    """A progress bar on stderr; where that is no terminal, a line now and then.

    Use as a context manager, so that the terminal's line is finished whatever happens.
    """

    def __init__(self, title: str, total: int, stream: TextIO | None = None) -> None:
        """Show nothing yet.

        Args:
            title: what is being done, such as ``Predicting``.
            total: number of pieces; 0 where it is not known.
            stream: where to draw; stderr by default.
        """
        self._title = title
        self._total = total
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._start = self._shown = time.monotonic()
        self._done = 0

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_terminal and self._done:
            self._stream.write("\n")
            self._stream.flush()

    def update(self, done: int, note: str = "") -> None:
        """Show that ``done`` pieces are ready, with a short note behind.

        Cheap to call often: it draws ten times a second at most, without a terminal every ten seconds.
        """
        self._done = done
        now = time.monotonic()
        is_last = self._total > 0 and done >= self._total
        if now - self._shown < (_FRAME_S if self._is_terminal else _QUIET_S) and not (
            is_last and self._is_terminal
        ):
            return
        self._shown = now
        line = f"{self._title} {self._picture(done)} {note}".rstrip()
        self._stream.write(f"\r{line}\x1b[K" if self._is_terminal else line + "\n")
        self._stream.flush()

    def _picture(self, done: int) -> str:
        if self._total <= 0:
            return str(done)
        full = min(_WIDTH, _WIDTH * done // self._total)
        elapsed = time.monotonic() - self._start
        left = f", {elapsed / done * (self._total - done):.0f} s left" if 0 < done < self._total else ""
        bar = f"[{'#' * full}{'.' * (_WIDTH - full)}] " if self._is_terminal else ""
        return f"{bar}{done}/{self._total}{left}"
