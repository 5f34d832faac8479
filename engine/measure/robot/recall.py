"""Whether later models still know what the person said on the first images."""

import numpy as np

from engine.annotate.classes import UNLABELLED, Provenance
from engine.config import Voice
from engine.measure.annotator import Sight
from engine.measure.robot.agreement import Agreement
from engine.measure.robot.results import Recalled
from engine.measure.robot.tool import AnnotatedTool, LabelMap


class FirstImages:
    """What had been said on the first images by the time the last of them was left."""

    def __init__(self) -> None:
        self._said: dict[str, LabelMap] = {}
        self._accepted: dict[str, LabelMap] = {}

    def leave(self, image_id: str, sight: Sight) -> None:
        """Take down what was said about an image; which pixels were accepted only where the tool tells."""
        self._said[image_id] = sight.annotation.copy()
        if sight.provenance is not None:
            is_accepted = sight.provenance == Provenance.ACCEPTED
            self._accepted[image_id] = np.where(is_accepted, sight.annotation, np.uint8(UNLABELLED))

    def ask(self, tool: AnnotatedTool, images: int) -> Recalled:
        """Compare it with what the tool predicts now.

        Args:
            tool: The tool under test; no user time passes.
            images: Images left behind by now.
        """
        alone, accepted_alone = self._shares(tool, Voice.MODEL)
        network, accepted_network = self._shares(tool, Voice.NETWORK)
        shown, accepted_shown = self._shares(tool, Voice.SHOWN)
        return Recalled(
            images=images,
            alone=alone,
            shown=shown,
            accepted_alone=accepted_alone,
            accepted_shown=accepted_shown,
            network=network,
            accepted_network=accepted_network,
        )

    def _shares(self, tool: AnnotatedTool, voice: Voice) -> tuple[float | None, float | None]:
        """Share of all pixels that were said, and of those that were accepted."""
        said, accepted = Agreement(self._said, {}), Agreement(self._accepted, {})
        for name, found in tool.predict(list(self._said), voice=voice):
            label_map = None if found is None else found.label_map
            said.add(name, label_map)
            if name in self._accepted:
                accepted.add(name, label_map)
        return said.share, accepted.share
