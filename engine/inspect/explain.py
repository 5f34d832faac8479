"""Why a pixel got its label: what each class added to the margin of the label over the runner-up.

How that is known depends on the network. Where nothing but the last layer stands between what a class
contributes and the logits, contributions add up to the margin. Where attention and activations stand between
(IDRNet's class vectors), a class is deleted and the head runs again. Where only weights or gates are known to
belong to classes (MCIBI's memory, SPGNet's guidance), these are shown. Worker thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from engine.inspect.look import Look, at
from engine.messages import Contribution, Method, PixelExplained
from models.explanation import Explanation

_LITTLE = 0.1
"""Share of the margin below which deleting a class explains nothing worth naming."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Why:
    method: Method
    values: dict[int, float]
    remainder: float
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pixel:
    """A pixel under question: its place at working size, and the two channels in the lead there."""

    place: tuple[int, int]
    label: int
    second: int
    margin: float


def explain(look: Look, request_id: int, y: int, x: int) -> PixelExplained:
    """Say why the pixel (y, x) of the whole image got its label."""
    place = look.place(y, x)
    logits = at(look.logits, place, look.frame).double()
    indices, names = look.classes.indices, look.classes.names
    best: list[int] = logits.argsort(descending=True).tolist()
    second = best[1] if len(best) > 1 else best[0]
    margin = float(logits[best[0]] - logits[second])
    pixel = _Pixel(place=place, label=best[0], second=second, margin=margin)
    why = _why(look, pixel)
    ordered = sorted(why.values.items(), key=lambda item: -abs(item[1]))
    return PixelExplained(
        request_id=request_id,
        image_id=look.image_id,
        y=y,
        x=x,
        label=indices[best[0]],
        runner_up=indices[second] if len(best) > 1 else None,
        margin=margin,
        probabilities=dict(zip(indices, logits.softmax(dim=0).tolist(), strict=True)),
        contributions=tuple(
            Contribution(name=names[channel], class_index=indices[channel], value=value)
            for channel, value in ordered
        ),
        remainder=why.remainder,
        method=why.method,
        sentence=why.sentence,
        nearest_memory=_nearest_memory(look, place),
        influence=_influence(look, place),
    )


def how(look: Look) -> str:
    """Return how pixels of a look are explained, in one sentence; "" where they cannot be."""
    explanation = look.explanation
    if explanation is None:
        return ""
    if look.representations is not None and look.representations.diagnosed:
        return "By deletion: how much the margin falls when what a class tells the others is taken away."
    if explanation.gates and look.is_measured:
        return "By deletion: how much the margin falls when the channels a class opens are left neutral."
    if look.representations is not None and not explanation.gates:
        return "By weights: how much this place takes of what is remembered of each class."
    if explanation.gates:
        return "By gates: how far the channels that each class opens are open here."
    return "Exactly: what the features that speak for each class add to the margin; with the rest it adds up."


def _why(look: Look, pixel: _Pixel) -> _Why:
    explanation, known = look.explanation, look.representations
    if explanation is None:
        return _Why(
            method=Method.WEIGHTS,
            values={},
            remainder=0.0,
            sentence="This network shows how probable it finds each class here, not why.",
        )
    if known is not None and (known.diagnosed or (explanation.gates and look.is_measured)):
        return _by_deletion(look, pixel)
    weights = None if known is None else known.taken()
    if weights is not None:
        return _by_weights(look, pixel, weights[0])
    if explanation.gates:
        return _by_gates(look, pixel, explanation)
    return _linear(look, pixel, explanation)


def _by_deletion(look: Look, pixel: _Pixel) -> _Why:
    values = {}
    for channel in look.present():
        logits = look.without_at(channel, pixel.place)
        values[channel] = pixel.margin - float(logits[pixel.label] - logits[pixel.second])
    gated = look.explanation is not None and bool(look.explanation.gates)
    return _Why(
        method=Method.DELETION,
        values=values,
        remainder=0.0,
        sentence=said_by_deletion(
            look.classes.names, values, pixel.margin, (pixel.label, pixel.second), gated=gated
        ),
    )


def said_by_deletion(
    names: Sequence[str], values: Mapping[int, float], margin: float, best: tuple[int, int], *, gated: bool
) -> str:
    """Say what the largest part of a margin is worth: a large part of next to nothing explains nothing.

    Args:
        names: Of the classes, by channel.
        values: What each deleted channel takes from the margin.
        margin: Lead of the label, logits >= 0.
        best: Channels of the label and of the runner-up.
        gated: Whether a class is deleted by leaving the channels it opens neutral.
    """
    if not values:
        return "No class tells the others anything here."
    most, value = max(values.items(), key=lambda item: abs(item[1]))
    share = abs(value) / max(margin, 1e-9)
    label, second, named = (f"“{names[channel]}”" for channel in (*best, most))
    if share < _LITTLE:
        alone = "the channels any one class opens left neutral" if gated else "any one class deleted"
        return (
            f"Classes say little to each other here: with {alone}, {label} leads by {share:.0%} more or less."
        )
    gone = f"With the channels that {named} opens left neutral"
    gone = gone if gated else f"Without what {named} tells the others"
    if value > margin:
        return f"{gone}, {second} would overtake {label}; each class was deleted alone."
    way = "shrink" if value > 0 else "grow"
    return f"{gone}, the lead of {label} would {way} most, by {share:.0%}; each class was deleted alone."


def _by_weights(look: Look, pixel: _Pixel, weights: Tensor) -> _Why:
    here = at(weights.float(), pixel.place, look.frame).tolist()
    most = _most(look, enumerate(here))
    return _Why(
        method=Method.WEIGHTS,
        values=dict(enumerate(here)),
        remainder=0.0,
        sentence=f"This place takes most from what is remembered of {most} ({max(here):.0%}).",
    )


def _by_gates(look: Look, pixel: _Pixel, explanation: Explanation) -> _Why:
    gate = explanation.gates[-1]
    here = at(gate.by_class(len(look.logits))[0].float(), pixel.place, look.frame).tolist()
    opened = set(gate.opened_by.tolist())
    values = {channel: value for channel, value in enumerate(here) if channel in opened}
    return _Why(
        method=Method.WEIGHTS,
        values=values,
        remainder=0.0,
        sentence=(
            f"The prediction of stage {gate.stage} opens the channels of {_most(look, values.items())} "
            f"most for the next stage."
        ),
    )


def _linear(look: Look, pixel: _Pixel, explanation: Explanation) -> _Why:
    """Split the margin by the class that each channel of the last features speaks for: exact."""
    here = at(explanation.features[0].float(), pixel.place, look.frame).double()
    weight, bias = explanation.weight.cpu().double(), explanation.bias.cpu().double()
    pull = (weight[pixel.label] - weight[pixel.second]) * here
    sums = torch.zeros(len(weight), dtype=pull.dtype)
    sums.index_add_(0, explanation.spoken_for().cpu(), pull)
    values = {channel: value for channel, value in enumerate(sums.tolist()) if value}
    remainder = float(bias[pixel.label] - bias[pixel.second])
    return _Why(
        method=Method.LINEAR,
        values=values,
        remainder=remainder,
        sentence=(
            f"Features that speak for {_most(look, values.items()) or _name(look, pixel.label)} decide; "
            f"all parts and the rest ({remainder:+.2f}) add up to the margin."
        ),
    )


def _name(look: Look, channel: int) -> str:
    return f"“{look.classes.names[channel]}”"


def _most(look: Look, values: Iterable[tuple[int, float]]) -> str:
    largest = max(values, key=lambda item: abs(item[1]), default=None)
    return "" if largest is None else _name(look, largest[0])


def _nearest_memory(look: Look, place: tuple[int, int]) -> int | None:
    """Return the permanent index of the class whose memory points most nearly the way of this pixel."""
    explanation = look.explanation
    if explanation is None or explanation.memory is None or explanation.remembered is None:
        return None
    here = at(explanation.remembered[0].float(), place, look.frame)
    memory = explanation.memory.float().cpu()
    filled = (memory != 0).any(dim=2)
    if not bool(filled.any()):
        return None
    likeness = F.cosine_similarity(memory, here[None, None], dim=2).masked_fill(~filled, -2.0)
    return look.classes.indices[int(likeness.amax(dim=1).argmax())]


def _influence(look: Look, place: tuple[int, int]) -> NDArray[np.float32] | None:
    known = look.representations
    if known is None:
        return None
    y, x = ((position + 0.5) / length for position, length in zip(place, look.frame, strict=True))
    with torch.inference_mode():
        places = known.influence(y, x)
    if places is None:
        return None
    values = np.array(places[0].float().cpu().numpy(), np.float32)
    values.setflags(write=False)
    return values
