import dataclasses
import pickle
from typing import Any, get_args

import numpy as np
import pytest

from engine import messages
from engine.annotate.annotation import Annotation
from engine.annotate.geometry import Box
from engine.annotate.journal import History
from engine.errors import ImageError
from engine.project.manifest import Split
from engine.project.pyramid import build_pyramid
from engine.project.store import LoadedAnnotation
from models.inspection import InspectionKind
from tests.support.learning import CLASSES, LOSS, NETWORK, TRAINING

PROBLEM = messages.Problem(message="The file is gone.", hint="Open the folder again.")
ITEM = messages.PoolItem(image_id="a.png", image_path="/x/a.png", size=(4, 6), split=Split.TRAIN, revision=3)
EXPORT_ITEM = messages.ExportItem(image_id="a.png", image_path="/x/a.png", size=(4, 6))
PREDICTION = messages.Prediction(
    image_id="a.png",
    size=(4, 6),
    box=Box(0, 0, 2, 3),
    label_map=np.ones((2, 3), np.uint8),
    confidence=np.full((2, 3), 0.5, np.float32),
    step=7,
    checkpoint="c.pt",
)
VIEW = messages.InspectedView(
    name="features",
    kind=InspectionKind.HEATMAP,
    title="Features",
    explanation="How strongly it responds.",
    values=np.zeros((2, 3), np.float32),
)

SAMPLES: tuple[Any, ...] = (
    messages.OpenNetwork(
        network=NETWORK, loss=LOSS, classes=CLASSES, store_folder="/x/maskloop", images_folder="/x"
    ),
    messages.ClassesChanged(classes=CLASSES),
    messages.StartTraining(config=TRAINING, items=(ITEM,)),
    messages.StopTraining(),
    messages.AnnotationChanged(item=ITEM),
    messages.Predict(image_id="a.png", image_path="/x/a.png", request_id=1, visible=Box(0, 0, 1, 1)),
    messages.Evaluate(items=(ITEM,)),
    messages.SaveCheckpoint(name="good"),
    messages.LoadCheckpoint(path="/x/c.pt"),
    messages.Export(
        items=(EXPORT_ITEM,),
        classes=CLASSES,
        format="png",
        folder="/y",
        fill_with_prediction=True,
        store_folder="/x/maskloop",
    ),
    messages.CancelExport(),
    messages.Shutdown(),
    messages.Inspect(request_id=1, image_id="a.png", image_path="/x/a.png"),
    messages.EndInspection(),
    messages.ExplainPixel(request_id=1, image_id="a.png", y=1, x=2),
    messages.DeleteRepresentations(request_id=1, image_id="a.png", deleted=(2, 5)),
    messages.MakeOverlay(
        request_id=1, image_id="a.png", image_path="/x/a.png", kind=messages.OverlayKind.ENTROPY
    ),
    messages.MapMemory(request_id=1, items=(ITEM,)),
    messages.FitCalibration(request_id=1, items=(ITEM,)),
    messages.FindLabelErrors(request_id=1, items=(ITEM,)),
    messages.PreviewEffect(request_id=1, item=ITEM, pinned=(("b.png", "/x/b.png"),)),
    messages.StateChanged(state=messages.WorkerState.FAULTED, problem=PROBLEM),
    messages.Progress(task="Export", done=1, total=2),
    messages.StepsDone(step=1, losses={"cross-entropy": 1.5}, steps_per_second=3.0, learning_rate=0.1),
    messages.EvaluationDone(step=1, miou=None, iou_per_class={"sky": None}, pixel_accuracy=None, images=0),
    messages.PredictionReady(request_id=1, prediction=PREDICTION, complete=True),
    messages.CheckpointSaved(path="/x/c.pt", step=1, miou=0.5, is_best=True),
    messages.NetworkOpened(title="Tiny", parameters=5, device="processor", checkpoint=None),
    messages.ExportDone(folder="/y", files=3, notes=("a",)),
    messages.TrainingStopped(reason="Stopped."),
    messages.Notice(text="Hello."),
    messages.CommandFailed(command="Export", problem=PROBLEM),
    messages.InspectionReady(
        request_id=1,
        image_id="a.png",
        size=(4, 6),
        step=7,
        classes=(2, 5),
        views=(VIEW,),
        label_map=np.ones((4, 6), np.uint8),
        coarse=None,
        can_delete=True,
        explains="By deletion.",
    ),
    messages.PixelExplained(
        request_id=1,
        image_id="a.png",
        y=1,
        x=2,
        label=2,
        runner_up=5,
        margin=1.5,
        probabilities={2: 0.8, 5: 0.2},
        contributions=(messages.Contribution(name="sky", class_index=2, value=1.0),),
        remainder=0.5,
        method=messages.Method.LINEAR,
        sentence="Because.",
    ),
    messages.WhatIfReady(
        request_id=1,
        image_id="a.png",
        deleted=(2,),
        label_map=np.ones((4, 6), np.uint8),
        changes={(2, 5): 24},
    ),
    messages.OverlayReady(
        request_id=1,
        image_id="a.png",
        kind=messages.OverlayKind.MARGIN,
        title="Margin",
        explanation="How far ahead the first class is.",
        values=np.zeros((2, 3), np.float32),
        low=0.0,
        high=1.0,
    ),
    messages.MemoryMapped(
        request_id=1,
        step=7,
        classes={2: ((0.0, 1.0),)},
        strokes=(
            messages.StrokeDot(
                image_id="a.png",
                y=1,
                x=2,
                class_index=2,
                position=(0.0, 0.5),
                nearest=5,
                distance_own=0.5,
                distance_nearest=0.25,
            ),
        ),
        within={2: 0.1},
        between=0.9,
        explained=(0.6, 0.2),
    ),
    messages.CalibrationFitted(
        request_id=1, pixels=10, temperature=1.5, ece=0.02, ece_before=0.1, bins=((0.9, 0.8, 1.0),)
    ),
    messages.LabelErrorsFound(
        request_id=1,
        errors=(
            messages.LabelError(
                image_id="a.png",
                box=Box(0, 0, 2, 3),
                y=1,
                x=1,
                class_index=2,
                suggested=5,
                pixels=6,
                score=0.9,
                loss=2.0,
                distance=0.5,
                contradiction=0.25,
            ),
        ),
        regions=3,
    ),
    messages.EffectPreviewed(
        request_id=1,
        effects=(
            messages.Effect(
                image_id="a.png",
                better=np.ones((2, 3), np.bool_),
                worse=np.zeros((2, 3), np.bool_),
                label_map=np.ones((2, 3), np.uint8),
            ),
        ),
    ),
    messages.AnnotationStored(image_id="a.png", revision=2),
    messages.SnapshotStored(image_id="a.png", revision=2),
    messages.ManifestStored(),
    messages.ClassDeleted(index=1, merge_into=None),
    messages.MasksImported(
        labelled={"a.png": (1, 2)}, sizes={"a.png": (4, 6)}, revisions={"a.png": 1}, notes=()
    ),
    messages.WriteFailed(target="a.png", problem=PROBLEM),
    messages.WriteRecovered(target="a.png"),
    messages.AnnotationSetAside(image_id="a.png", folder="/x/maskloop/set-aside/1"),
    messages.ImagesRelinked(pairs={"old.png": "new.png"}, notes=("a",)),
    messages.RenamedFound(found={"old.png": "new.png"}),
    messages.ImageLoaded(
        image_id="a.png",
        size=(4, 6),
        pyramid=build_pyramid(np.zeros((4, 6, 3), np.uint8)),
        annotation=LoadedAnnotation(annotation=Annotation((4, 6)), history=History()),
    ),
    messages.ImageFailed(image_id="a.png", problem=PROBLEM),
    messages.ThumbnailReady(image_id="a.png", thumbnail=np.zeros((2, 3, 3), np.uint8)),
    messages.PromoteCandidate(path="/x/c.pt"),
    messages.NameCheckpoint(path="/x/c.pt", name="good"),
    messages.DeleteCheckpoints(paths=("/x/c.pt",)),
    messages.CompareCheckpoints(request_id=1, before="/x/c.pt", after="", images={"a.png": "/x/a.png"}),
    messages.CandidateJudged(step=1, miou=0.5, shown_miou=0.6, flipped=0.01, promoted=False, reason="Worse."),
    messages.ScoreImages(paths={"a.png": "/x/a.png"}, describe=("a.png",), score=(), ahead=("a.png",)),
    messages.ImageScored(image_id="a.png", uncertainty=0.5, descriptor=np.zeros(3, np.float32)),
    messages.AllScored(),
    messages.PredictedAhead(prediction=PREDICTION, complete=True),
    messages.CheckpointsChanged(moved={"/x/c.pt": "/x/d.pt"}),
    messages.ShownScored(share=0.15, miou=0.5, images=2, pixels=900),
    messages.ComparisonReady(
        request_id=1,
        image_id="a.png",
        image=np.zeros((2, 3, 3), np.uint8),
        before=np.zeros((2, 3), np.uint8),
        after=np.ones((2, 3), np.uint8),
        changed=1.0,
    ),
)


def test_every_message_has_a_sample() -> None:
    kinds = set(get_args(messages.Command)) | set(get_args(messages.Event))
    assert {type(sample) for sample in SAMPLES} == kinds


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_messages_survive_a_round_trip_to_another_process(sample: Any) -> None:
    again = pickle.loads(pickle.dumps(sample))
    assert type(again) is type(sample)
    assert described(again) == described(sample)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_messages_are_frozen_and_name_their_fields(sample: Any) -> None:
    assert type(sample).__dataclass_params__.frozen
    fields = dataclasses.fields(sample)
    assert all(field.kw_only for field in fields)
    if fields:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(sample, fields[0].name, None)


def test_a_problem_carries_message_and_hint_of_the_error() -> None:
    problem = messages.Problem.from_error(ImageError("It is empty.", "Copy it again."))
    assert (problem.message, problem.hint, problem.report) == ("It is empty.", "Copy it again.", "")


def described(value: Any) -> Any:
    """Turn a message into plain values that compare, arrays and foreign objects included."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, Annotation):
        return value.revision, described(value.label_map), described(value.provenance)
    if dataclasses.is_dataclass(value):
        return {field.name: described(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [described(part) for part in value]
    return value
