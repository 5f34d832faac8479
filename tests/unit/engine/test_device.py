import pytest
import torch

from engine.config import Device, Precision
from engine.errors import DeviceMemoryError
from engine.learn import device as devices
from engine.learn.device import available_cores, bfloat16_gain, choose_precision, resolve_device
from engine.predict.compute import autocast, dtype_of, is_out_of_memory, release_memory, shortage_told
from models.build import build_model
from tests.support.learning import NETWORK

CPU = torch.device("cpu")


@pytest.fixture
def no_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.usefixtures("no_accelerator")
@pytest.mark.parametrize("wanted", Device)
def test_what_the_machine_does_not_have_becomes_the_processor(wanted: Device) -> None:
    found = resolve_device(wanted)
    assert found.device == CPU
    assert found.title.startswith("processor, ")
    assert ("runs on the processor" in found.notice) == (wanted in (Device.CUDA, Device.MPS))


def test_a_card_is_taken_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Card 9000")
    assert resolve_device(Device.AUTO).title == "Card 9000"
    assert resolve_device(Device.CUDA).device.type == "cuda"
    assert resolve_device(Device.CPU).device == CPU


def test_an_apple_processor_is_taken_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device(Device.AUTO).device.type == "mps"
    assert resolve_device(Device.MPS).notice == ""


@pytest.mark.parametrize(
    ("gain", "chosen"), [(0.4, Precision.FLOAT32), (1.1, Precision.FLOAT32), (2.0, Precision.BFLOAT16)]
)
def test_the_trial_decides_on_the_processor(
    monkeypatch: pytest.MonkeyPatch, gain: float, chosen: Precision
) -> None:
    monkeypatch.setattr(devices, "bfloat16_gain", lambda model: gain)
    model = build_model(NETWORK, 3, seed=0)
    assert choose_precision(Precision.AUTO, model, CPU) is chosen
    assert choose_precision(Precision.FLOAT32, model, CPU) is Precision.FLOAT32
    # The processor has no use for fp16.
    assert choose_precision(Precision.FLOAT16, model, CPU) is Precision.BFLOAT16


@pytest.mark.parametrize("has_bf16", [True, False])
def test_a_card_takes_16_bit_numbers(monkeypatch: pytest.MonkeyPatch, has_bf16: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    model = build_model(NETWORK, 3, seed=0)
    chosen = choose_precision(Precision.AUTO, model, torch.device("cuda"))
    assert chosen is (Precision.BFLOAT16 if has_bf16 else Precision.FLOAT16)
    assert choose_precision(Precision.AUTO, model, torch.device("mps")) is Precision.FLOAT32


def test_the_trial_leaves_no_trace_and_ends_in_time() -> None:
    model = build_model(NETWORK, 3, seed=0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    calls = []

    def clock() -> float:
        calls.append(None)
        return len(calls) * 0.2  # every look at the clock costs a fifth of a second

    assert bfloat16_gain(model, clock=clock) == pytest.approx(1.0)
    assert len(calls) <= 8
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"), True),
        (RuntimeError("GET was unable to find an engine to execute this computation"), True),
        (RuntimeError("Unable to find an engine to execute this computation"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_BAD_PARAM"), False),
        (RuntimeError("shape '[2]' is invalid"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_lack_of_memory_is_told_from_other_errors(error: Exception, short: bool) -> None:
    assert is_out_of_memory(error) is short


def test_number_formats_have_types() -> None:
    assert dtype_of(Precision.FLOAT16) is torch.float16
    with pytest.raises(ValueError, match="choose"):
        dtype_of(Precision.AUTO)
    with autocast(CPU, Precision.BFLOAT16):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.bfloat16
    with autocast(CPU, Precision.FLOAT32):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.float32
    release_memory(CPU)


def test_there_is_at_least_one_core() -> None:
    assert available_cores() >= 1


def test_a_shortage_is_told_in_plain_words_and_nothing_else() -> None:
    with pytest.raises(DeviceMemoryError, match="not enough memory") as caught, shortage_told():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
    for remedy in ("Stop training", "smaller network", "close other programs"):
        assert remedy in caught.value.hint
    with pytest.raises(RuntimeError, match="another"), shortage_told():
        raise RuntimeError("another matter")
