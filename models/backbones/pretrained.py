"""Published weights: from torch's cache, else by download, else a sentence that says why not.

Nothing here waits long: whether the server can be reached is tried once per process, in a thread of its own
because looking up a host name knows no timeout.
"""

import hashlib
import os
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import torch
from torch import Tensor, nn

from models.weights import load_state

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in total (0 if the server does not say)."""

Notice = Callable[[str], None]
"""Called with one sentence for the user."""

CONNECT_SECONDS = 3.0
READ_SECONDS = 5.0
_CHUNK = 1 << 18


class PretrainedUnavailableError(Exception):
    """Published weights cannot be had now; the message is one sentence for the user."""


def load_published(url: str, *, progress: Progress | None = None) -> Mapping[str, Tensor]:
    """Returns the tensors of a published weights file, on the CPU.

    Args:
        url: address whose file name ends with the start of its SHA-256, as torchvision's do
            ("name-f37072fd.pth").
        progress: called while downloading; what it raises ends the download and leaves nothing behind.

    Raises:
        PretrainedUnavailableError: not whole in the cache, and not to be downloaded.
    """
    path = cached_path(url)
    if not _intact(path):
        _download(url, path, progress)
    # The file is there and whole, so this reads it from the cache and asks no server.
    state: Mapping[str, Tensor] = torch.hub.load_state_dict_from_url(
        url, map_location="cpu", progress=False, weights_only=True
    )
    return state


def start_from(
    module: nn.Module,
    url: str,
    *,
    own: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]],
    progress: Progress | None = None,
    notice: Notice | None = None,
) -> None:
    """Loads published weights into a backbone; says in one sentence if they cannot be had.

    Args:
        module: the backbone, changed in place.
        url: as in `load_published`.
        own: returns the published tensors under the names of `module`, classifier left out.
        progress: as in `load_published`.
        notice: called with the sentence; the backbone is then untrained.
    """
    try:
        state = own(load_published(url, progress=progress))
    except PretrainedUnavailableError as error:
        if notice is not None:
            notice(f"{error} The network starts untrained and needs more corrections.")
        return
    report = load_state(module, state)
    if not report.complete and notice is not None:
        notice(f"The published weights fit only in part: {report.summary()}")


def cached_path(url: str) -> Path:
    """Returns where torch keeps the file of this address."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name


def is_cached(url: str) -> bool:
    """Returns whether the file of this address lies whole on this computer; asks no server."""
    return _intact(cached_path(url))


def _intact(path: Path) -> bool:
    """Returns whether the file exists and has the SHA-256 that its name promises."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return False
    return _is_promised(path, digest)


def _is_promised(path: Path, digest: str) -> bool:
    return digest.startswith(path.stem.rpartition("-")[2])


@lru_cache(maxsize=8)
def reachable(origin: str) -> bool:
    """Returns whether a server answers within `CONNECT_SECONDS`; asked once per process.

    Args:
        origin: scheme and host, e.g. "https://example.org".
    """
    answered = threading.Event()

    def knock() -> None:
        try:
            with urllib.request.build_opener().open(origin, timeout=CONNECT_SECONDS):
                answered.set()
        except urllib.error.HTTPError as error:
            error.close()
            answered.set()  # it answers, if only to say no
        except (OSError, HTTPException, ValueError):
            return

    thread = threading.Thread(target=knock, name="reachability", daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    return answered.is_set()


def _download(url: str, path: Path, progress: Progress | None) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" or not reachable(f"{parts.scheme}://{parts.netloc}"):
        raise PretrainedUnavailableError(
            f"{path.name} is not on this computer and {parts.netloc} cannot be reached."
        )
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=path.name, suffix=".part", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            digest = _receive(url, file, progress)
        if not _is_promised(path, digest):
            raise PretrainedUnavailableError(f"{path.name} arrived damaged from {parts.netloc}.")
        temporary.replace(path)
    except (OSError, HTTPException) as error:
        raise PretrainedUnavailableError(
            f"{path.name} could not be downloaded from {parts.netloc} ({error})."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _receive(url: str, file: BinaryIO, progress: Progress | None) -> str:
    """Writes what the address returns into a file and returns its SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with urllib.request.build_opener().open(url, timeout=READ_SECONDS) as response:
        expected = int(response.headers.get("Content-Length") or 0)
        done = 0
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            if progress is not None:
                progress(done, expected)
    return digest.hexdigest()
