"""Deletions that ask less than the whole head answer what the whole head would."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from models.alike import alike_places
from models.build import build_model
from models.context_configs import ContextKind
from models.idrnet_configs import PyramidPlace, Refinement
from models.networks.spgnet import SpgNet
from tests.unit.models.test_explanation import SPECS, K, explanation_of, image, network


@pytest.mark.parametrize("name", ["mcibi", "mcibi++"])
def test_groups_of_places_that_are_alike_answer_as_all_of_them_would(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With few groups allowed, deletions stay those of the whole head within a small part of their effect."""
    model = network(name)
    nothing, deleted = torch.zeros(K, dtype=torch.bool), torch.arange(K) == 1
    with torch.no_grad():
        known: Any = model(image(), inspect=True).explanation.representations
        exact = known.without(deleted)
        plain = known.without(nothing)
        monkeypatch.setattr("models.alike.MOST_GROUPS", 3 * known.taken()[0, 0].numel() // 4)
        few: Any = model(image(), inspect=True).explanation.representations
        few.prepare()
        assert few._quick is not None
        assert torch.allclose(few.without(nothing), plain, atol=1e-5)
        effect = float((exact - plain).abs().max())
        assert float((few.without(deleted) - exact).abs().max()) < 0.05 * effect


def test_places_are_grouped_by_their_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.9, 0.1], [0.2, 0.8], [0.2, 0.8]]).T
    assert alike_places(shares) is None
    monkeypatch.setattr("models.alike.MOST_GROUPS", 3)
    groups = alike_places(shares)
    assert groups is not None
    assert sorted(groups.counts.tolist()) == [2, 3]
    assert float((groups.shares * groups.counts[:, None]).sum()) == pytest.approx(5)
    monkeypatch.setattr("models.alike.MOST_GROUPS", 1)
    assert alike_places(shares) is None


def test_single_places_are_those_of_the_whole_head() -> None:
    tiny: Any = SPECS["idrnet"].tiny()
    config: Any = replace(
        tiny,
        refinement=Refinement.CLASSES,
        context=ContextKind.NONE,
        pyramid=PyramidPlace.NONE,
    )
    model = build_model(config, K, seed=0).eval()
    known = explanation_of(model).representations
    assert known is not None
    for channel in known.present[0].nonzero().flatten().tolist():
        deleted = torch.arange(K) == channel
        with torch.no_grad():
            whole = known.without(deleted).flatten(2)
            places = torch.tensor([0, 7, whole.shape[2] - 1])
            few = known.without_at(deleted, places)
        assert few is not None
        assert torch.allclose(few, whole[:, :, places], atol=1e-5)


def test_a_class_that_guides_nothing_has_its_gates_where_nothing_is_said() -> None:
    model = network("spgnet")
    assert isinstance(model, SpgNet)
    kept = explanation_of(model)
    known = kept.representations
    assert known is not None
    nothing, every = torch.zeros(K, dtype=torch.bool), torch.ones(K, dtype=torch.bool)
    with torch.no_grad():
        assert torch.allclose(known.without(nothing), kept.logits(), atol=1e-5)
        without = known.without(every)
        assert not torch.allclose(without, kept.logits(), atol=1e-5)
        assert torch.allclose(known.without(nothing), kept.logits(), atol=1e-5)
        # A prediction that pulls at no gate at all guides the same way.
        for name, values in model.named_parameters():
            if name.endswith("excitation.weight"):
                values.zero_()
        assert torch.allclose(explanation_of(model).logits(), without, atol=1e-5)

    assert bool(known.present.any())
