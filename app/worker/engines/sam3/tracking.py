"""Objects followed through a video by the tracker of the model, frame by frame, at constant memory.

Every object has an inference state of the package for itself: its anchors may lie on frames of their own, and it
may join at any time. All states read the same features, which the worker keeps; none is kept here.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from app.worker.engines import Anchor, Plan, Seen, Walk

if TYPE_CHECKING:
    from app.worker.engines.sam3 import Sam3

Step = Generator[None, None, Any]
"""Work in small parts: yields None between them and returns its result."""

REACH = 16
"""Frames: the memory of older ones is never looked at (the tracker reads 6 masks and 15 pointers back)."""
ONLY = 0
"""The number of the only object of a state."""
ANCHORED, FOLLOWED = "cond_frame_outputs", "non_cond_frame_outputs"
"""The package's names for what it keeps of frames with an anchor and of others."""


class Tracker:
    """The model's tracker, given the features of the one frame that it works on."""

    def __init__(self, engine: Sam3, plan: Plan) -> None:
        self.plan = plan
        self._engine = engine
        self._features: dict[int, tuple[torch.Tensor, Any]] = {}
        self._image = torch.zeros(1, 3, 1, 1, device=engine.device)
        """Stands for the frame: the tracker passes it on and looks at features only."""
        self._constants: dict[str, Any] = {}

    @property
    def conditions(self) -> int:
        """How many anchors the model looks at for one frame."""
        return self._engine.tracker.max_cond_frames_in_attn

    def state(self) -> dict[str, Any]:
        """An inference state of the package for one object."""
        height, width = self.plan.shape
        with self._engine.calling():
            state = self._engine.tracker.init_state(
                video_height=height,
                video_width=width,
                num_frames=self.plan.count,
                cached_features=self._features,
                offload_state_to_cpu=self._engine.device == "cpu",
            )
        state["constants"] = self._constants
        return state

    @contextmanager
    def on(self, position: int) -> Iterator[Any]:
        """The package's tracker, ready for calls that concern this frame alone."""
        prepared = self.plan.prepared(position, "track")
        self._features[position] = (self._image, self._engine.clicks_of(prepared))
        try:
            with self._engine.calling():
                yield self._engine.tracker
        finally:
            self._features.clear()


class Tracked:
    """One object on its way. Memory: about 1 MiB at full size for each of the last 16 frames, for each of up to
    four anchors behind, and for the next one ahead.
    """

    def __init__(self, tracker: Tracker, number: int) -> None:
        self.number = number
        self.class_id = 0
        self._tracker = tracker
        self._state = tracker.state()
        self._entered: dict[int, Any] = self._state["output_dict"][ANCHORED]
        self._waiting: dict[int, Anchor] = {}
        self._own: dict[int, Anchor] = {}
        """Anchors that the state has, until their frames are over."""

    def give(self, anchor: Anchor) -> None:
        """Take note of an anchor; it counts from the next frame on that is walked."""
        self._waiting[anchor.position] = anchor
        self.class_id = anchor.class_id

    def walk(self, position: int) -> Step:
        """Returns the object as Seen on this frame, or None before its first anchor."""
        for anchor in self._due(position):
            if self._ahead(anchor.position, position) <= 0:
                # Where a person corrects the past, what was seen since may be what the correction is about.
                self._drop(FOLLOWED, list(self._state["output_dict"][FOLLOWED]))
            yield from self.enter(anchor)
        if not self._entered:
            return None
        own = self._own.get(position)
        if own is None:
            self._tracker.plan.prepared(position, "track")
            yield None
            seen = self._step(position)
            yield None
        else:
            seen = Seen(self.number, own.mask, float(np.any(own.mask)), self.class_id)
        self._trim(position)
        return seen

    def enter(self, anchor: Anchor) -> Step:
        """Let the mask condition the tracker from now on."""
        at = anchor.position
        self._waiting.pop(at, None)
        self._own[at] = anchor
        self._tracker.plan.prepared(at, "track")
        yield None
        with self._tracker.on(at) as tracker:
            mask = torch.from_numpy(np.array(anchor.mask, bool))
            tracker.add_new_mask(self._state, frame_idx=at, obj_id=ONLY, mask=mask)
        yield None
        with self._tracker.on(at) as tracker:
            tracker.propagate_in_video_preflight(self._state)
        # The package keeps the mask at the frame's size, of which it needs no more than the position.
        self._state["mask_inputs_per_obj"][ONLY][at] = None
        yield None

    def close(self) -> None:
        """Let go of the memory, even where the traceback of an error still holds the object."""
        self._state.clear()
        self._entered.clear()

    def _due(self, position: int) -> list[Anchor]:
        """Anchors to enter before this frame is tracked: those it looks at behind it, and the next one ahead."""
        ahead = {at: self._ahead(at, position) for at in (*self._waiting, *self._entered)}
        waiting = sorted(self._waiting.values(), key=lambda anchor: ahead[anchor.position])
        behind = [anchor for anchor in waiting if ahead[anchor.position] <= 0]
        for anchor in behind:
            del self._waiting[anchor.position]
        due = behind[-self._tracker.conditions :]
        following = [anchor for anchor in waiting if ahead[anchor.position] > 0][:1]
        if following and (due or self._entered):
            next_ahead = ahead[following[0].position]
            if not any(0 < ahead[at] < next_ahead for at in self._entered):
                due += following
        return due

    def _step(self, position: int) -> Seen:
        with self._tracker.on(position) as tracker:
            ((_, _, _, logits, presence),) = tracker.propagate_in_video(
                self._state,
                start_frame_idx=position,
                max_frame_num_to_track=0,
                reverse=self._tracker.plan.step < 0,
                tqdm_disable=True,
            )
            mask = (logits[0, 0] > 0).cpu().numpy()
            score = float(presence.float().sigmoid())
        return Seen(self.number, mask if mask.any() else None, score, self.class_id)

    def _trim(self, position: int) -> None:
        """Drop what no later frame looks at: the results are the same bit by bit."""
        followed = self._state["output_dict"][FOLLOWED]
        self._drop(FOLLOWED, [at for at in followed if self._ahead(at, position) < -REACH])
        behind = sorted(self._ahead(at, position) for at in self._entered)
        behind = [ahead for ahead in behind if ahead <= 0][: -self._tracker.conditions]
        old = [position + ahead * self._tracker.plan.step for ahead in behind if ahead < -REACH]
        self._drop(ANCHORED, old)
        for at in old:
            self._state["consolidated_frame_inds"][ANCHORED].discard(at)
            self._state["mask_inputs_per_obj"][ONLY].pop(at, None)
        # It only matters for clicks on frames that were tracked, and anchors are masks.
        self._state["frames_already_tracked"].clear()
        self._own = {at: anchor for at, anchor in self._own.items() if self._ahead(at, position) > 0}

    def _drop(self, kind: str, positions: list[int]) -> None:
        """Also from the package's slices for each object, which share the memory."""
        for outputs in (self._state["output_dict"], *self._state["output_dict_per_obj"].values()):
            for at in positions:
                outputs[kind].pop(at, None)

    def _ahead(self, at: int, position: int) -> int:
        """How many frames `at` comes after `position` on the walk; negative before."""
        return (at - position) * self._tracker.plan.step


class Objects(dict[int, Tracked]):
    """The objects of a walk by their numbers."""

    def __init__(self, tracker: Tracker) -> None:
        super().__init__()
        self.tracker = tracker

    def give(self, anchor: Anchor) -> None:
        """To its object, which begins where it is not there yet."""
        if anchor.object not in self:
            self[anchor.object] = Tracked(self.tracker, anchor.object)
        self[anchor.object].give(anchor)

    def walk(self, position: int) -> Step:
        """Returns {number: Seen} of the objects that have begun."""
        seen: dict[int, Seen] = {}
        for number, tracked in list(self.items()):
            one = yield from tracked.walk(position)
            if one is not None:
                seen[number] = one
        return seen

    def close(self) -> None:
        for tracked in self.values():
            tracked.close()
        self.clear()


def track(engine: Sam3, plan: Plan) -> Walk:
    """See `Engine.track`. A score is how sure the model is that the object is in the frame; an object that is
    lost has no mask until it is found again.
    """
    objects = Objects(Tracker(engine, plan))
    try:
        for anchor in plan.anchors:
            objects.give(anchor)
        for position in plan.positions:
            for anchor in plan.more():
                objects.give(anchor)
            seen = yield from objects.walk(position)
            yield position, list(seen.values())
    finally:
        objects.close()
