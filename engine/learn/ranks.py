"""Which of several processes this one is, as `torchrun` tells it (torch-free; any thread)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from engine.errors import EngineError

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """One of several processes that share a piece of work.

    Attributes:
        number: 0 for the one that speaks and writes files.
        count: How many there are, on all machines.
        local: Number on this machine, which is that of its graphics card.
        local_count: How many there are on this machine.
        restarts: How often torchrun has started all of them again after one had died.
    """

    number: int = 0
    count: int = 1
    local: int = 0
    local_count: int = 1
    restarts: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this process speaks and writes the files that exist once."""
        return self.number == 0

    @property
    def spoken(self) -> str:
        """Words before a sentence that more than one process may say; "" for the only one."""
        return "" if self.count == 1 else f"process {self.number + 1} of {self.count}: "

    def share(self, items: Sequence[_T]) -> Sequence[_T]:
        """Return what falls to this process: every `count`-th item."""
        return items[self.number :: self.count]

    def part_of(self, batch: int) -> int:
        """Return how many of a step's `batch` crops this process draws; all draw alike, at least one."""
        return max(1, batch // self.count)


ALONE = Rank()
"""The only process."""


def current_rank(environment: Mapping[str, str] = os.environ) -> Rank:
    """Return what torchrun's environment variables say; `ALONE` without them.

    Raises:
        EngineError: They make no sense.
    """
    if "WORLD_SIZE" not in environment:
        return ALONE
    names = {
        "number": "RANK",
        "count": "WORLD_SIZE",
        "local": "LOCAL_RANK",
        "local_count": "LOCAL_WORLD_SIZE",
        "restarts": "TORCHELASTIC_RESTART_COUNT",
    }
    try:
        values = {field: int(environment[name]) for field, name in names.items() if name in environment}
    except ValueError as error:
        raise EngineError(
            "The environment variables of torchrun are no numbers.", hint="Start through torchrun."
        ) from error
    rank = Rank(**values)
    if not 0 <= rank.number < rank.count:
        raise EngineError(
            f"RANK {rank.number} of WORLD_SIZE {rank.count} does not exist.", hint="Start through torchrun."
        )
    return rank
