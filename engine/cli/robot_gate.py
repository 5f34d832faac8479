"""Between worker and robot: while the robot measures, the worker learns nothing."""

import threading

from engine.cli.pump import Pump
from engine.messages import Event, PredictionReady

ANSWER_S = 120.0
"""Real seconds after which an answer is given up."""


class Gate:
    """Hands events over; while measuring, the worker stands still after each answer until it has a new order.

    The worker serves commands before it trains. Held between its answer and the next request, it predicts
    one image after the other and learns nothing meanwhile.

    Attributes:
        is_measuring: whether answers are held.
    """

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        self._go_on = threading.Semaphore(0)
        self.is_measuring = False

    def emit(self, event: Event) -> None:
        """Take an event; any thread. Waits only where an answer to a measurement goes through."""
        holds = self.is_measuring and isinstance(event, PredictionReady) and event.complete
        self._pump.emit(event)
        if holds:
            self._go_on.acquire(timeout=ANSWER_S)

    def release(self) -> None:
        """Let the worker go on."""
        self._go_on.release()
