"""The held-out images of the demo: their truth, and how well predictions agree with it. Imports torch."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from engine.catalog import networks
from engine.cli.networks import make_predictor
from engine.cli.outcome import HeldOutPicture, LabelMap
from engine.learn.device import ResolvedDevice
from engine.measure.annotator import Truth, know
from engine.measure.metrics import ConfusionMatrix
from engine.project.images import read_image
from engine.sample.scenes import SAMPLE_CLASSES, truth_folder
from models.build import build_model
from models.configs import NetworkConfig


class Truths:
    """The exact label maps of a sample; each is read when it is first needed."""

    def __init__(self, images: Path) -> None:
        """Read nothing yet; ``images`` is the sample's images folder."""
        self._images = images
        self._known: dict[str, Truth] = {}

    def __getitem__(self, image_id: str) -> Truth:
        """The truth of an image."""
        if image_id not in self._known:
            with Image.open(truth_folder(self._images) / image_id) as image:
                self._known[image_id] = know(np.array(image, np.uint8))
        return self._known[image_id]

    def score(self, found: Mapping[str, LabelMap]) -> ConfusionMatrix:
        """Count how predictions, by image id, agree with the truth."""
        matrix = ConfusionMatrix(len(SAMPLE_CLASSES))
        channel_of = SAMPLE_CLASSES.channel_of()
        for name, label_map in found.items():
            matrix.update(channel_of[label_map], channel_of[self[name].label_map])
        return matrix

    def pictures(
        self, before: Mapping[str, LabelMap], after: Mapping[str, LabelMap]
    ) -> tuple[HeldOutPicture, ...]:
        """Images with truth and two predictions, for the report."""
        return tuple(
            HeldOutPicture(
                image_id=name,
                image=read_image(self._images / name),
                truth=self[name].label_map,
                before=before[name],
                after=after[name],
            )
            for name in before
        )


def predict_untrained(
    network: NetworkConfig,
    images: Path,
    names: tuple[str, ...],
    device: ResolvedDevice,
    notice: Callable[[str], None],
) -> dict[str, LabelMap]:
    """What the network says before it has learnt anything.

    Args:
        network: the project's network; its weights are drawn like the worker's.
        images: folder of the images.
        names: which of them.
        device: where to predict.
        notice: called with sentences worth reading.
    """
    model = build_model(network, len(SAMPLE_CLASSES), seed=0, notice=notice, specs=networks())
    predictor = make_predictor(model, SAMPLE_CLASSES, device)
    return {name: predictor.predict_whole(read_image(images / name))[0] for name in names}
