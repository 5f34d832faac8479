"""One open project: every intention of a person is a method here, with or without a window.

The package holds the `Session` facade and the rooms behind it: patch makers (`editing`), the review queue
and the honest split (`review`), predictions of the images on screen (`predictions`), training control
(`training`), looking inside the network (`inspection`) and the changes of the class table that reach into
every annotation (`class_changes`).
"""

from engine.session.session import Session

__all__ = ["Session"]
