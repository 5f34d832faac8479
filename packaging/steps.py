"""Running one step of the set-up: what is being done, for how long, what it said last, and the log."""

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_TICK_S = 1.0
_QUIET_S = 10.0
_WIDTH = 110

_CAUSES = (
    (("No space left on device", "not enough space on the disk"), "the disk is full (about 9 GB are needed)"),
    (
        (
            "Temporary failure in name resolution",
            "NewConnectionError",
            "ConnectTimeout",
            "Network is unreachable",
        ),
        "the network could not be reached",
    ),
    (("SSLError", "CERTIFICATE_VERIFY_FAILED"), "the network's certificate was not accepted"),
    (
        ("No matching distribution found", "Could not find a version"),
        "a package has no build for this Python",
    ),
    (("Permission denied", "Read-only file system"), "a folder may not be written"),
)


class SetupError(Exception):
    """The set-up cannot go on; the text is one sentence for the person who started it."""


class Steps:
    """Runs commands one after the other and keeps everything they say in one log file.

    Attributes:
        log: the file; started afresh by the first step.
    """

    def __init__(self, log: Path, out: IO[str] | None = None) -> None:
        self.log = log
        self._out = out or sys.stdout
        self._live = self._out.isatty()
        self._fresh = True

    def say(self, text: str) -> None:
        """Print one line at once."""
        print(text, file=self._out, flush=True)

    def run(
        self, title: str, command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None
    ) -> None:
        """Run a command to its end, showing the title, the time it takes and its last line.

        Raises:
            SetupError: it cannot be started, or ends with another status than 0.
        """
        started = time.monotonic()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("w" if self._fresh else "a", encoding="utf-8") as log:
            self._fresh = False
            log.write(f"$ {' '.join(map(str, command))}\n")
            log.flush()
            start = log.tell()
            status = self._follow(title, command, environment, log, started)
        seconds = time.monotonic() - started
        if status != 0:
            raise SetupError(f"{title} failed: {self._cause(start)}. The whole story: {self.log}")
        self._show(f"{title}: done in {clock(seconds)}", last=True)

    def _follow(
        self,
        title: str,
        command: Sequence[str | Path],
        environment: Mapping[str, str] | None,
        log: IO[str],
        started: float,
    ) -> int:
        try:
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, **(environment or {})},
            )
        except OSError as error:
            raise SetupError(f"{title} failed: {command[0]} cannot be started ({error.strerror})") from error
        with process:
            lines: queue.Queue[str | None] = queue.Queue()
            reader = threading.Thread(target=_read_lines, args=(process.stdout, lines), daemon=True)
            reader.start()
            try:
                self._report(title, lines, log, started)
            except BaseException:
                process.terminate()
                raise
            reader.join()
        return process.returncode

    def _report(self, title: str, lines: "queue.Queue[str | None]", log: IO[str], started: float) -> None:
        """Write lines to the log and show the last one, until the command has nothing more to say."""
        last, shown, shown_at = "", None, started - _QUIET_S
        while True:
            try:
                line = lines.get(timeout=_TICK_S)
                if line is None:
                    return
                log.write(line)
                log.flush()
                last = line.strip() or last
            except queue.Empty:
                pass
            now = time.monotonic()
            if self._live or (now - shown_at >= _QUIET_S and last != shown):
                self._show(f"{title}  {clock(now - started)}  {last}", last=not self._live)
                shown, shown_at = last, now

    def _show(self, text: str, *, last: bool) -> None:
        """Print a line; on a terminal it takes the place of the one before unless that was a last one."""
        if len(text) > _WIDTH:
            text = text[: _WIDTH - 1] + "…"
        if self._live:
            self._out.write("\r\x1b[K" + text + ("\n" if last else ""))
            self._out.flush()
        else:
            self.say(text)

    def _cause(self, start: int) -> str:
        with self.log.open(encoding="utf-8") as log:
            log.seek(start)
            return cause(log.read())


def _read_lines(stream: IO[str] | None, lines: "queue.Queue[str | None]") -> None:
    for line in stream or ():
        lines.put(line)
    lines.put(None)


def clock(seconds: float) -> str:
    """Minutes and seconds, as `1:05`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def cause(output: str) -> str:
    """What went wrong, in plain words where the output is understood, else its last line."""
    for signs, meaning in _CAUSES:
        if any(sign in output for sign in signs):
            return meaning
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "it said nothing"
