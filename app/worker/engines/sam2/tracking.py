"""Objects through a video, each in an inference session of its own.

The package steps all objects of a session together, but what one of them is given then shows in the others'
memory (it is encoded for all alike) and none can be removed. Apart they are independent of each other: a mask is
the same whichever objects are tracked beside it. The image features, the expensive part, are shared all the same.

Method: N. Ravi et al., "SAM 2: Segment Anything in Images and Videos", 2024, section 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
import torch
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

from app.worker.engines import Anchor, Plan, Seen, Walk
from app.worker.engines.sam2.features import Encoder, Features
from app.worker.engines.sam2.segment import full

MAX_ANCHORS = 8
"""Anchors that an object remembers at a time, those nearest to the frame: a person may confirm every frame."""
OBJECT = 1
"""The number of a session's only object."""


class Tracker(Protocol):
    """What of the engine is needed here."""

    model: Any
    device: str
    encoder: Encoder

    def calling(self) -> AbstractContextManager[None]: ...


class Session(Sam2VideoInferenceSession):
    """A session that never holds images: the features of the frame at hand are put into its cache."""

    def __init__(self, count: int, shape: tuple[int, int], device: str) -> None:
        super().__init__(
            video_height=shape[0],
            video_width=shape[1],
            inference_device=device,
            inference_state_device=device,
            video_storage_device=device,
            dtype=torch.float32,
        )
        self._count = count

    @property
    def num_frames(self) -> int:
        """Of the whole video, which the model asks for to place memories in time."""
        return self._count


class Followed:
    """One object on its way through the frames of a plan."""

    def __init__(self, engine: Tracker, plan: Plan, class_id: int) -> None:
        self._engine, self._plan, self.class_id = engine, plan, class_id
        self._session = Session(plan.count, plan.shape, engine.device)
        self._index = self._session.obj_id_to_idx(OBJECT)
        self._outputs: dict[str, dict[int, dict[str, Any]]] = self._session.output_dict_per_obj[self._index]
        self._anchors: dict[int, np.ndarray] = {}

    @property
    def nbytes(self) -> int:
        """Memory of what is remembered of earlier frames."""
        entries = [entry for kind in self._outputs.values() for entry in kind.values()]
        tensors = [value for entry in entries for value in entry.values() if isinstance(value, torch.Tensor)]
        return sum(tensor.untyped_storage().nbytes() for tensor in tensors)

    def add(self, anchor: Anchor, at: int) -> None:
        """Take an anchor while the walk is at position `at`; one behind it corrects what was tracked."""
        self._anchors[anchor.position] = np.asarray(anchor.mask, bool)
        self._known.pop(anchor.position, None)
        if (at - anchor.position) * self._plan.step > 0:
            # What was tracked since, or led there, is what the person found wrong.
            self._recent.clear()
            self._session.frames_tracked_per_obj[self._index].clear()

    def begun(self, at: int) -> bool:
        """Whether the walk has come to an anchor of this object."""
        return any((at - position) * self._plan.step >= 0 for position in self._anchors)

    def remember(self, at: int) -> Iterator[None]:
        """Encode the masks of the nearest anchors that are not in memory yet, yielding after each."""
        behind = self._plan.step
        nearest = sorted(self._anchors, key=lambda p: (abs(p - at), (p - at) * behind))[:MAX_ANCHORS]
        for position in [position for position in self._known if position not in nearest]:
            del self._known[position]
        for position in nearest:
            if position not in self._known:
                self._encode(position)
                yield None

    def step(self, at: int) -> tuple[Any, float]:
        """The mask (H, W) bool at a position, None where the object is not seen, and its score."""
        if at in self._anchors:
            return self._anchors[at], 1.0
        features: Features = self._plan.prepared(at, "track")
        engine, session = self._engine, self._session
        with engine.calling():
            session.cache.cache_vision_features(at, engine.encoder.video_features(features))
            try:
                found = engine.model(session, frame_idx=at, reverse=self._plan.step < 0)
                mask = full(found.pred_masks[0], self._plan.shape)[0]
                score = float(torch.sigmoid(found.object_score_logits.float().flatten()[0]))
            finally:
                session.cache.clear_all()
        self._trim(at)
        return (mask if mask.any() else None), score

    @property
    def _known(self) -> dict[int, dict[str, Any]]:
        """Position → what is remembered of an anchor there."""
        return self._outputs["cond_frame_outputs"]

    @property
    def _recent(self) -> dict[int, dict[str, Any]]:
        """Position → what is remembered of a tracked frame."""
        return self._outputs["non_cond_frame_outputs"]

    def _encode(self, position: int) -> None:
        engine, session = self._engine, self._session
        # Anchors are what the memory hangs on, so the frame must not count as tracked.
        self._recent.pop(position, None)
        session.frames_tracked_per_obj[self._index].pop(position, None)
        features: Features = self._plan.prepared(position, "track")
        with engine.calling():
            session.cache.cache_vision_features(position, engine.encoder.video_features(features))
            session.add_mask_inputs(self._index, position, self._at_model_size(self._anchors[position]))
            session.obj_with_new_inputs = [OBJECT]
            try:
                engine.model(session, frame_idx=position)
            finally:
                session.obj_with_new_inputs = []
                session.remove_mask_inputs(self._index, position)
                session.cache.clear_all()
        _lighten(self._known[position])

    def _at_model_size(self, mask: np.ndarray) -> torch.Tensor:
        """(1, 1, S, S) float32 of 0 and 1. Of a mask too thin to survive, every pixel it touches."""
        side = self._engine.model.image_size
        given = torch.as_tensor(mask, dtype=torch.float32, device=self._engine.device)[None, None]
        small = torch.nn.functional.interpolate(
            given, size=(side, side), mode="bilinear", align_corners=False, antialias=True
        )
        kept = small >= 0.5
        return (kept if kept.any() else small > 0).float()

    def _trim(self, at: int) -> None:
        """Forget what the next steps will not look at: masks at once, maps and pointers with the distance."""
        config = self._engine.model.config
        for position, entry in list(self._recent.items()):
            distance = (at - position) * self._plan.step
            if distance >= config.max_object_pointers_in_encoder:
                del self._recent[position]
            elif distance >= config.num_maskmem:
                for name in [name for name in entry if name != "object_pointer"]:
                    del entry[name]
            else:
                _lighten(entry)
        tracked = self._session.frames_tracked_per_obj[self._index]
        for position in [position for position in tracked if position not in self._recent]:
            del tracked[position]


def track(engine: Tracker, plan: Plan) -> Walk:
    """See `Engine.track`."""
    objects: dict[int, Followed] = {}
    arrived = list(plan.anchors)
    for at in plan.positions:
        for anchor in [*arrived, *plan.more()]:
            if anchor.object not in objects:
                objects[anchor.object] = Followed(engine, plan, anchor.class_id)
            objects[anchor.object].add(anchor, at)
        arrived = []
        seen: list[Seen] = []
        for number, followed in objects.items():
            if not followed.begun(at):
                continue
            yield from followed.remember(at)
            mask, score = followed.step(at)
            seen.append(Seen(number, mask, score, followed.class_id))
            yield None
        yield at, seen


def _lighten(entry: dict[str, Any]) -> None:
    """Drop the masks, large and needed for no later frame."""
    for name in ("pred_masks", "high_res_masks"):
        entry.pop(name, None)
