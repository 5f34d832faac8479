"""The thread that owns the network, its inbox and its states; see `engine.worker.states` for the drawing."""

from engine.worker.thread import Worker

__all__ = ["Worker"]
