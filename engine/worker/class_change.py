"""A changed class table, followed by the network and by the run that goes on. Worker thread."""

from __future__ import annotations

from engine.annotate.classes import ClassTable
from engine.worker.network import LiveNetwork
from engine.worker.run import Run


def follow_classes(network: LiveNetwork, run: Run | None, classes: ClassTable) -> bool:
    """Let a network and the run that goes on follow a class table; return whether the channels changed."""
    sources = network.class_sources(classes)
    has_changed = sources != tuple(range(len(network.classes)))
    if run is not None and has_changed:
        run.follow(classes, sources)
    elif run is not None:
        run.pool.set_classes(classes)
    elif has_changed:
        for model in filter(None, (network.model, network.trained)):
            model.follow_classes(sources)
    network.set_classes(classes)
    return has_changed
