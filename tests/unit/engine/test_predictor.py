from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.annotate.geometry import Box
from engine.config import Precision, PredictConfig
from engine.errors import DeviceMemoryError
from engine.predict.predictor import Predictor
from engine.predict.tiles import touches
from models.base import MEAN, STD, SegmentationModel
from models.output import SegmentationOutput
from tests.support.learning import BOX, CLASSES, GROUND, SKY, picture

CPU = torch.device("cpu")


class ByColour(SegmentationModel[SegmentationOutput]):
    """Says the class whose colour channel is strongest; sees single pixels, so tiles must not show."""

    def __init__(self) -> None:
        super().__init__(3)
        self.scale = torch.nn.Parameter(torch.tensor(4.0))
        self.largest = 0
        self.limit = 10**9

    def forward(self, image: Tensor, *, inspect: bool = False) -> SegmentationOutput:
        self.largest = max(self.largest, image.shape[-1] * image.shape[-2])
        if image.shape[-1] * image.shape[-2] > self.limit:
            raise torch.OutOfMemoryError("out of memory")
        rgb = image * torch.tensor(STD).view(1, 3, 1, 1) + torch.tensor(MEAN).view(1, 3, 1, 1)
        return SegmentationOutput(logits=rgb * self.scale)

    def extra_losses(self, output: SegmentationOutput, target: Tensor, step: int) -> Mapping[str, Tensor]:
        return {}


def _predictor(model: ByColour, **config: object) -> Predictor:
    return Predictor(model, CLASSES, PredictConfig(**config), CPU, Precision.FLOAT32)  # type: ignore[arg-type]


def _truth(image: np.ndarray) -> np.ndarray:
    return np.array([SKY, GROUND, BOX], np.uint8)[image.argmax(-1)]


def _image(size: tuple[int, int]) -> np.ndarray:
    image = np.random.default_rng(0).permuted(np.tile(np.array([10, 90, 200], np.uint8), (*size, 1)), axis=-1)
    return np.asarray(image, np.uint8)


def test_a_small_image_is_one_tile_in_permanent_indices() -> None:
    image = _image((40, 50))
    (part,) = _predictor(ByColour()).predict(image)
    assert part.box == Box(0, 0, 40, 50)
    assert part.complete
    assert (part.label_map == _truth(image)).all()
    assert part.label_map.dtype == np.uint8
    assert part.confidence.dtype == np.float32
    assert 1 / 3 <= part.confidence.min() <= part.confidence.max() <= 1
    assert not part.label_map.flags.writeable
    assert not part.confidence.flags.writeable


@pytest.mark.parametrize("overlap", [0, 16])
def test_tiles_do_not_show_in_the_result(overlap: int) -> None:
    image = _image((150, 230))
    model = ByColour()
    whole, sure = _predictor(model).predict_whole(image)
    tiled, tiled_sure = _predictor(model, single_tile_megapixels=0.0, tile=64, overlap=overlap).predict_whole(
        image
    )
    assert (whole == _truth(image)).all()
    assert (tiled == whole).all()
    assert np.abs(tiled_sure - sure).max() < 2e-3


def test_neighbours_fade_into_each_other() -> None:
    class BySide(ByColour):
        """Changes its mind from tile to tile: the worst case for a seam."""

        calls = 0

        def forward(self, image: Tensor, *, inspect: bool = False) -> SegmentationOutput:
            type(self).calls += 1
            logits = torch.zeros(1, 3, *image.shape[-2:])
            logits[:, type(self).calls % 2] = 3.0
            return SegmentationOutput(logits=logits)

    predictor = _predictor(BySide(), single_tile_megapixels=0.0, tile=64, overlap=32)
    _, sure = predictor.predict_whole(np.zeros((64, 96, 3), np.uint8))
    steps = np.abs(np.diff(sure[10]))
    # Without blending the step at the seam would be of the size of the confidence itself.
    assert sure[10, 32:64].min() < 0.6
    assert steps.max() < 0.06


def test_tiles_on_screen_come_first_and_a_cancelled_prediction_ends() -> None:
    predictor = _predictor(ByColour(), single_tile_megapixels=0.0, tile=64, overlap=8)
    image, visible = _image((300, 300)), Box(200, 200, 260, 260)
    parts = list(predictor.predict(image, visible=visible))
    on_screen = [touches(part.box, visible) for part in parts]
    assert on_screen == sorted(on_screen, reverse=True)
    assert [part.complete for part in parts] == [False] * (len(parts) - 1) + [True]
    asked = iter([False, False, True])
    assert len(list(predictor.predict(image, cancelled=lambda: next(asked)))) == 2


def test_flipping_averages_both_views() -> None:
    image = _image((33, 47))
    plain, _ = _predictor(ByColour()).predict_whole(image)
    flipped, _ = _predictor(ByColour(), flip=True).predict_whole(image)
    assert (plain == flipped).all()


def test_too_little_memory_makes_tiles_smaller() -> None:
    image, model = _image((600, 800)), ByColour()
    model.limit = 200 * 200
    label_map, _ = _predictor(model).predict_whole(image)
    assert (label_map == _truth(image)).all()
    model.limit = 100
    with pytest.raises(DeviceMemoryError, match="small tiles"):
        _predictor(model).predict_whole(image)


def test_other_errors_are_not_taken_for_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ByColour()

    def fail(image: Tensor, *, inspect: bool = False) -> SegmentationOutput:
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(model, "forward", fail)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        _predictor(model).predict_whole(_image((8, 8)))


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (33, 2)])
def test_images_of_any_shape_have_a_prediction(size: tuple[int, int]) -> None:
    label_map, confidence = _predictor(ByColour()).predict_whole(_image(size))
    assert label_map.shape == confidence.shape == size


def test_predicting_leaves_the_network_in_evaluation_mode_and_without_gradients() -> None:
    model = ByColour().train()
    _predictor(model).predict_whole(picture(0)[0])
    assert not model.training
    assert model.scale.grad is None


def test_something_else_can_have_the_last_word_on_probabilities() -> None:
    """It sees every tile, its probabilities and its place; the network's own predictor stays as it is."""
    image = _image((64, 96))
    seen = []

    def turned(tile: np.ndarray, probabilities: np.ndarray, box: Box) -> np.ndarray:
        assert np.array_equal(tile, image[box.slices])
        seen.append((tile.shape, probabilities.shape, box))
        return np.ascontiguousarray(probabilities[::-1])

    own = _predictor(ByColour(), single_tile_megapixels=0.0, tile=64, overlap=32)
    labels, _ = own.refined_by(turned).predict_whole(image)
    boxes = Box(0, 0, 64, 64), Box(0, 32, 64, 96)
    assert seen == [((64, 64, 3), (3, 64, 64), box) for box in boxes]
    expected = np.array([BOX, GROUND, SKY], np.uint8)[image.argmax(-1)]
    assert (labels == expected).all()
    assert (own.predict_whole(image)[0] == _truth(image)).all()
