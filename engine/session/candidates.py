"""Candidates and checkpoints as a person sees them: verdicts, names, and pictures of what would change.

Owner thread only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from engine.messages import (
    CandidateJudged,
    CheckpointSaved,
    CheckpointsChanged,
    Command,
    CompareCheckpoints,
    ComparisonReady,
    DeleteCheckpoints,
    NameCheckpoint,
    PromoteCandidate,
)
from engine.project.manifest import Manifest
from engine.project.project import Project

_CURVE = 500


class CandidateControl:
    """What was judged, and what a person wants done with it.

    Args:
        project: The project.
        post: Sends a command to the worker; does nothing where there is none.
        update: Stores a changed manifest.
    """

    def __init__(
        self, project: Project, post: Callable[[Command], None], update: Callable[[Manifest], None]
    ) -> None:
        self._project = project
        self._post = post
        self._update = update
        self._request_id = 0
        self.verdict: CandidateJudged | None = None
        self.curve: list[CandidateJudged] = []
        self.pictures: dict[str, ComparisonReady] = {}

    @property
    def pinned(self) -> tuple[str, ...]:
        """Ids of the images whose change a person wants to see, in the order they were pinned."""
        manifest = self._project.manifest
        return tuple(name for name in manifest.pinned if name in manifest.images)

    def pin(self, image_id: str, pinned: bool) -> None:
        """Pin an image, or let it go."""
        others = tuple(name for name in self.pinned if name != image_id)
        manifest = self._project.manifest
        self._update(replace(manifest, pinned=(*others, image_id) if pinned else others))
        if not pinned:
            self.pictures.pop(image_id, None)

    def promote(self, path: Path | None = None) -> None:
        """Show a kept checkpoint, or the weights being trained now, although they were not found better."""
        self._post(PromoteCandidate(path="" if path is None else str(path)))

    def name(self, path: Path, name: str) -> None:
        """Name a checkpoint: it is then never deleted by itself. An empty name takes the name away."""
        self._post(NameCheckpoint(path=str(path), name=name))

    def delete(self, paths: tuple[Path, ...]) -> None:
        """Delete checkpoints; the one in use stays."""
        self._post(DeleteCheckpoints(paths=tuple(map(str, paths))))

    def compare(self, before: Path | None, after: Path | None) -> None:
        """Ask for pictures of the pinned images; `ComparisonReady` follows for each.

        Args:
            before: Checkpoint file; None for the weights shown now.
            after: Checkpoint file; None for the weights being trained now.
        """
        self._request_id += 1
        self.pictures.clear()
        self._post(
            CompareCheckpoints(
                request_id=self._request_id,
                before="" if before is None else str(before),
                after="" if after is None else str(after),
                images={name: str(self._project.image_path(name)) for name in self.pinned},
            )
        )

    def handle(self, event: CandidateJudged | CheckpointsChanged | ComparisonReady | CheckpointSaved) -> None:
        """Take in what the worker says about candidates and checkpoints."""
        match event:
            case CandidateJudged():
                self.verdict = event
                self.curve = [*self.curve[1 - _CURVE :], event]
                if event.promoted and event.checkpoint:
                    self._use(event.checkpoint)
            case CheckpointSaved():
                if event.better:
                    self._use(event.path)
            case CheckpointsChanged():
                self._moved(event.moved)
            case ComparisonReady():
                if event.request_id == self._request_id:
                    self.pictures[event.image_id] = event

    def _use(self, path: str) -> None:
        """Open this checkpoint next time."""
        if not self._project.read_only:
            self._update(replace(self._project.manifest, checkpoint=self._relative(path)))

    def _moved(self, moved: Mapping[str, str]) -> None:
        manifest = self._project.manifest
        for old, new in moved.items():
            if new and manifest.checkpoint == self._relative(old):
                self._use(new)

    def _relative(self, path: str) -> str:
        relative = Path(path).resolve().relative_to(self._project.folder.resolve())
        return str(PurePosixPath(relative))
