"""Class state follows the classes, wherever it sits and however many axes it has."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from models.class_rows import Classifier, ClassTensor, FollowsClasses, follow, followed


class Relations(FollowsClasses):
    """What a later network keeps: pairs of classes, slots of memory, and counters."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.pairs: Tensor
        self.memory: Tensor
        self.register_buffer("pairs", torch.arange(classes * classes).view(classes, classes).float())
        self.register_buffer("memory", torch.randn(classes, 2, 3))
        self.register_buffer("counts", torch.arange(classes))
        self.frozen = nn.Parameter(torch.randn(2, classes), requires_grad=False)
        self.classes = classes

    def class_tensors(self) -> tuple[ClassTensor, ...]:
        return (
            ClassTensor(name="pairs", axes=(0, 1), fresh=lambda values: values.fill_(-1)),
            ClassTensor(name="memory", axes=(0,), fresh=lambda values: values.zero_()),
            ClassTensor(name="counts", axes=(0,), fresh=lambda values: values.zero_()),
            ClassTensor(name="frozen", axes=(1,), fresh=lambda values: values.fill_(7)),
        )

    def set_class_count(self, count: int) -> None:
        self.classes = count


SOURCES = st.lists(st.one_of(st.none(), st.integers(0, 4)), min_size=1, max_size=8)


@given(sources=SOURCES)
def test_every_entry_between_known_classes_is_kept(sources: list[int | None]) -> None:
    network = nn.Sequential(nn.Conv2d(3, 6, 1), Relations(5), Classifier(6, 5))
    relations, classifier = network[1], network[2]
    assert isinstance(relations, Relations)
    assert isinstance(classifier, Classifier)
    old = {name: values.clone() for name, values in network.state_dict().items()}
    follow(network, sources)
    assert relations.classes == classifier.out_channels == len(sources)
    assert relations.pairs.shape == (len(sources), len(sources))
    for i, a in enumerate(sources):
        for j, b in enumerate(sources):
            expected = -1.0 if a is None or b is None else float(old["1.pairs"][a, b])
            assert relations.pairs[i, j] == expected
        assert torch.equal(relations.memory[i], torch.zeros(2, 3) if a is None else old["1.memory"][a])
        assert torch.equal(
            relations.frozen[:, i], torch.full((2,), 7.0) if a is None else old["1.frozen"][:, a]
        )
        if a is not None:
            assert torch.equal(classifier.weight[i], old["2.weight"][a])
    assert relations.counts.dtype == torch.int64
    assert not relations.frozen.requires_grad
    assert classifier.weight.requires_grad
    assert torch.equal(network.state_dict()["0.weight"], old["0.weight"])


def test_buffers_stay_buffers_and_parameters_stay_parameters() -> None:
    module = Relations(3)
    before = dict.fromkeys(module.state_dict())
    follow(module, [2, None, 1, 0])
    assert dict.fromkeys(module.state_dict()) == before
    assert {name for name, _ in module.named_parameters()} == {"frozen"}
    assert {name for name, _ in module.named_buffers()} == {"pairs", "memory", "counts"}


def test_a_new_class_starts_within_the_bounds_of_a_new_convolution() -> None:
    classifier = Classifier(16, 2)
    nn.init.constant_(classifier.weight, 9.0)
    follow(classifier, [0, None])
    assert (classifier.weight[0] == 9).all()
    assert classifier.weight[1].abs().max() <= 0.25
    assert classifier.weight[1].std() > 0.05


def test_nothing_known_is_all_fresh() -> None:
    item = ClassTensor(name="x", axes=(0, 2), fresh=lambda values: values.fill_(4))
    assert torch.equal(followed(torch.zeros(3, 2, 3), item, [None]), torch.full((1, 2, 1), 4.0))


def test_class_axes_need_not_be_neighbours() -> None:
    item = ClassTensor(name="x", axes=(0, 2), fresh=lambda values: values.fill_(-1))
    old = torch.randn(3, 4, 3)
    new = followed(old, item, [2, None, 0])
    assert new.shape == (3, 4, 3)
    assert torch.equal(new[0, :, 2], old[2, :, 0])
    assert torch.equal(new[2, :, 2], old[0, :, 0])
    assert (new[1] == -1).all()
