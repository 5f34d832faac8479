"""Blocks, normalisation of images, inspection views."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from models.base import MEAN, STD, SegmentationModel, normalise
from models.blocks import BatchNorm, conv_norm_act, full_size, norm, pad_to_minimum, resize
from models.configs import NormKind
from models.inspection import InspectionKind
from models.output import InspectionView, SegmentationOutput, check_view


@given(
    kernel=st.sampled_from([1, 3, 5]),
    dilation=st.integers(1, 4),
    size=st.tuples(st.integers(8, 20), st.integers(8, 20)),
    kind=st.sampled_from(NormKind),
)
def test_a_convolution_keeps_the_size(
    kernel: int, dilation: int, size: tuple[int, int], kind: NormKind
) -> None:
    block = nn.Sequential(*conv_norm_act(3, 6, kernel, dilation=dilation, kind=kind))
    result = block(torch.randn(2, 3, *size))
    assert result.shape == (2, 6, *size)
    assert (result >= 0).all()


def test_batch_normalisation_is_torchs_and_survives_a_single_value() -> None:
    ours, theirs = BatchNorm(4), nn.BatchNorm2d(4)
    values = torch.randn(2, 4, 3, 3)
    assert torch.equal(ours(values), theirs(values))
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    before = ours.running_mean.clone() if ours.running_mean is not None else None
    assert torch.isfinite(ours(torch.randn(1, 4, 1, 1))).all()
    assert before is not None
    assert torch.equal(before, ours.running_mean)
    with pytest.raises(ValueError, match="more than 1 value"):
        theirs(torch.randn(1, 4, 1, 1))


@pytest.mark.parametrize("channels", [1, 6, 7, 24, 36])
def test_groups_always_divide_the_channels(channels: int) -> None:
    layer = norm(NormKind.GROUP, channels)
    assert layer(torch.randn(1, channels, 4, 4)).shape == (1, channels, 4, 4)


@given(height=st.integers(1, 70), width=st.integers(1, 70))
def test_padding_is_cut_off_again(height: int, width: int) -> None:
    image = torch.randn(1, 3, height, width)
    padded = pad_to_minimum(image)
    assert padded.shape[-2:] == (max(32, height), max(32, width))
    assert torch.equal(padded[..., :height, :width], image)
    assert torch.equal(padded[..., -1, -1], image[..., -1, -1])
    assert torch.equal(full_size(padded, padded, image), image)


def test_resizing_to_the_same_size_is_nothing() -> None:
    values = torch.randn(1, 2, 5, 6)
    assert resize(values, (5, 6)) is values
    assert resize(values, values.shape[-2:]) is values
    assert resize(values, (10, 3)).shape == (1, 2, 10, 3)


def test_both_orders_of_axes_and_both_ranges_give_the_same_image() -> None:
    rgb = torch.randint(0, 256, (2, 8, 9, 3), dtype=torch.uint8)
    expected = (rgb.permute(0, 3, 1, 2) / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(
        3, 1, 1
    )
    for given_pixels in (rgb, rgb.permute(0, 3, 1, 2), rgb / 255, rgb.permute(0, 3, 1, 2).double() / 255):
        kept = given_pixels.clone()
        found = normalise(given_pixels)
        assert torch.equal(given_pixels, kept)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "pixels", [torch.zeros(3, 4, 4), torch.zeros(1, 4, 4, 4), torch.zeros(1, 4, 4, 3, dtype=torch.int64)]
)
def test_what_is_no_image_is_refused(pixels: Tensor) -> None:
    with pytest.raises(ValueError, match="expected"):
        normalise(pixels)


VALID = {
    InspectionKind.HEATMAP: torch.rand(2, 4, 5),
    InspectionKind.LABEL_MAP: torch.randint(0, 3, (2, 4, 5)),
    InspectionKind.CLASS_HEATMAPS: torch.rand(2, 3, 4, 5),
    InspectionKind.CHANNEL_HEATMAPS: torch.rand(2, 5, 4, 4),
    InspectionKind.CLASS_MATRIX: torch.rand(3, 3),
    InspectionKind.CLASS_VECTORS: torch.rand(3, 8),
    InspectionKind.CLASS_MEMORY: torch.rand(3, 2, 8),
    InspectionKind.CLASS_VALUES: torch.rand(3),
}


def view(kind: InspectionKind, values: Tensor, title: str = "T") -> InspectionView:
    return InspectionView(kind=kind, title=title, explanation="Says something.", values=values)


@pytest.mark.parametrize("kind", InspectionKind)
def test_every_kind_knows_its_shape(kind: InspectionKind) -> None:
    check_view(view(kind, VALID[kind]), 3)
    with pytest.raises(ValueError, match="axes"):
        check_view(view(kind, VALID[kind][None]), 3)
    with pytest.raises(ValueError, match="title"):
        check_view(view(kind, VALID[kind], title=""), 3)
    if kind not in (InspectionKind.HEATMAP, InspectionKind.CHANNEL_HEATMAPS, InspectionKind.LABEL_MAP):
        with pytest.raises(ValueError, match="4 classes"):
            check_view(view(kind, VALID[kind]), 4)
    if kind is not InspectionKind.LABEL_MAP:
        with pytest.raises(ValueError, match="finite"):
            check_view(view(kind, VALID[kind] * torch.nan), 3)
        with pytest.raises(ValueError, match="detached"):
            check_view(view(kind, VALID[kind].clone().requires_grad_()), 3)


def test_labels_of_a_view_are_checked() -> None:
    labels = VALID[InspectionKind.LABEL_MAP]
    with pytest.raises(ValueError, match=r"outside 0\.\.1"):
        check_view(view(InspectionKind.LABEL_MAP, labels.clamp(min=2)), 2)
    with pytest.raises(ValueError, match="int64"):
        check_view(view(InspectionKind.LABEL_MAP, labels.int()), 3)


def test_a_network_has_a_class() -> None:
    class Nothing(SegmentationModel[SegmentationOutput]):
        pass

    assert Nothing(1).num_classes == 1
    assert Nothing(1).head_rate == 1.0
    with pytest.raises(ValueError, match="at least one class"):
        Nothing(0)
