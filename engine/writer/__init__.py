"""The disk thread."""

from engine.writer.disk_thread import Writer

__all__ = ["Writer"]
