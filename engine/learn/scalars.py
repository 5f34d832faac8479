"""Curves for TensorBoard, where somebody wants them. Main thread of a command line verb."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from engine.errors import EngineError
from engine.files import storage_errors


class _Curves(Protocol):
    """What is used of TensorBoard's writer."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Add a point to a curve."""

    def flush(self) -> None:
        """Write what was added."""

    def close(self) -> None:
        """Close the files."""


class Scalars:
    """Writes named numbers by step into a folder that TensorBoard reads.

    The package is imported only here: nobody else needs it.
    """

    def __init__(self, folder: Path) -> None:
        """Open a log.

        Raises:
            EngineError: the package ``tensorboard`` is missing.
            StorageError: the folder cannot be written.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise EngineError(
                "TensorBoard logs need the package “tensorboard”, which is not installed.",
                hint="Install it with: pip install tensorboard; or leave out --tensorboard.",
            ) from error
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            make: Callable[[str], _Curves] = SummaryWriter
            self._writer = make(str(folder))

    def add(self, values: Mapping[str, float | None], step: int) -> None:
        """Write numbers of one step; those that are not known are left out."""
        for name, value in values.items():
            if value is not None:
                self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        """Write what is left and close the files."""
        self._writer.close()
