"""Pictures by the quick model of one moment. Worker thread."""

from __future__ import annotations

from collections.abc import Iterator

from engine.annotate.geometry import Box
from engine.predict.predictor import PredictedPart
from engine.project.images import ImageArray
from engine.quick.features import FeatureGrid
from engine.quick.head import Readout
from engine.quick.picture import parts
from engine.quick.samples import Cells


class QuickPredictor:
    """Predicts whole images with the quick model of one moment, keeping nothing of them.

    Args:
        readout: The model.
    """

    def __init__(self, readout: Readout) -> None:
        self._readout = readout

    def predict(self, image: ImageArray) -> Iterator[PredictedPart]:
        """Predict an (H, W, 3) uint8 RGB image part by part."""
        return predicted(self._readout.look(image), self._readout, None)


def predicted(
    grid: FeatureGrid, readout: Readout, visible: Box | None, said: Cells | None = None
) -> Iterator[PredictedPart]:
    """Predict an image, bands on screen first. Arguments as `engine.quick.picture.parts`."""
    for part in parts(grid, readout, visible, said):
        yield PredictedPart(
            box=part.box, label_map=part.label_map, confidence=part.confidence, complete=part.complete
        )
