"""Why a pixel got its label. Worker thread."""

from __future__ import annotations

from engine.inspect.look import Look
from engine.messages import Method, PixelExplained


def explain(look: Look, request_id: int, y: int, x: int) -> PixelExplained:
    """Say why the pixel (y, x) of the whole image got its label."""
    row, column = look.place(y, x)
    logits = look.logits[:, row, column]
    indices = look.classes.indices
    best = logits.argsort(descending=True).tolist()
    second = best[1] if len(best) > 1 else None
    probabilities = logits.softmax(dim=0).tolist()
    return PixelExplained(
        request_id=request_id,
        image_id=look.image_id,
        y=y,
        x=x,
        label=indices[best[0]],
        runner_up=None if second is None else indices[second],
        margin=0.0 if second is None else float(logits[best[0]] - logits[second]),
        probabilities=dict(zip(indices, probabilities, strict=True)),
        contributions=(),
        remainder=0.0,
        method=Method.WEIGHTS,
        sentence="This network shows how probable it finds each class here, not why.",
    )
