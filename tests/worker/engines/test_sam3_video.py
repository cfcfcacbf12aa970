"""Tracks and texts over videos with SAM 3: the real package on the CPU at a tiny size.

Its weights are random: where masks lie and which object is whose means nothing. These tests prove plumbing
(order, memory, features shared, objects that do not disturb each other), never accuracy.
"""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np
import pytest

from app.models import Geometry
from app.worker import engines
from app.worker.engines import Anchor, Candidate, Plan, Seen
from app.worker.protocol import AddAnchor, Find, RegionSpec, TextClass, Track, TrackAnchor, Tracked
from app.worker.weights import Found
from tests.conftest import TinyWeights
from tests.worker.conftest import Bench, click, predict

MISSING = [
    name for name in ("torch", "torchvision", "sam3", "open_clip", "triton") if find_spec(name) is None
]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason="the extra [sam3] is not installed"),
    # The package enters CUDA's autocast where there is none, and compiles its transforms the old way.
    pytest.mark.filterwarnings("ignore:.*CUDA is not available:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]

SHAPE = (48, 64)
WORDS = [("disc", 7), ("a red car", 8), ("round thing", 7)]


@pytest.fixture(scope="module")
def sam3(tiny_weights: TinyWeights, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The engine in this process."""
    weights = Found(tiny_weights("sam3"), sha256="0" * 64)
    engine = engines.load("sam3", tmp_path_factory.mktemp("data"), weights=weights)
    yield engine
    engine.close()


class Video:
    """Frames drawn on demand and a cache of prepared ones that keeps `keep`; `made` tells what was prepared.

    From the frame `repeats` on they come again.
    """

    def __init__(self, engine: Any, count: int, *, keep: int = 2, repeats: int = 10**6) -> None:
        self.engine, self.count, self.repeats = engine, count, repeats
        self.made: list[tuple[int, str]] = []
        self._keep = keep
        self._kept: OrderedDict[tuple[int, str], Any] = OrderedDict()

    def image(self, position: int) -> np.ndarray:
        image = np.full((*SHAPE, 3), (40, 90 + position % 100, 60), np.uint8)
        cv2.circle(image, (16 + position % 32, 24), 9, (220, 60, 30), -1)
        return image

    def prepared(self, position: int, purpose: str) -> Any:
        position %= self.repeats
        for tier in self.engine.tiers[purpose]:
            if (position, tier) in self._kept:
                self._kept.move_to_end((position, tier))
                return self._kept[position, tier]
        tier = self.engine.tiers[purpose][0]
        self.made.append((position, tier))
        self._kept[position, tier] = self.engine.prepare(self.image(position), tier)
        while len(self._kept) > self._keep:
            self._kept.popitem(last=False)
        return self._kept[position, tier]

    def plan(self, start: int, stop: int, *anchors: Anchor, later: dict[int, Anchor] | None = None) -> Plan:
        """`later`: anchors that arrive at the given call for more, one call for each frame."""
        calls = iter(range(self.count))
        arriving = later or {}

        def more() -> Sequence[Anchor]:
            call = next(calls)
            return [arriving[call]] if call in arriving else []

        return Plan(self.count, SHAPE, start, stop, anchors, self.prepared, self.image, more)


def box(x: int, y: int, size: int = 16) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[y : y + size, x : x + size] = True
    return mask


def frames(walk: Any) -> dict[int, dict[int, Seen]]:
    """Position → {number: Seen}, in the order in which the frames came."""
    return {step[0]: {one.object: one for one in step[1]} for step in walk if step is not None}


def pixels(seen: Seen) -> bytes:
    return b"" if seen.mask is None else np.packbits(seen.mask).tobytes()


def shown(seen: Seen) -> tuple[bytes, float]:
    return pixels(seen), seen.score


# Tracks


@pytest.mark.parametrize(("start", "stop"), [(0, 39), (39, 0)])
def test_forgetting_old_frames_changes_no_bit(sam3: Any, start: int, stop: int) -> None:
    step = 1 if stop > start else -1
    anchors = [Anchor(start, 1, box(8, 16)), Anchor(start + 25 * step, 1, box(24, 16))]
    tracked = frames(sam3.track(Video(sam3, 40).plan(start, stop, *anchors)))
    assert list(tracked) == list(range(start, stop + step, step))
    for anchor in anchors:
        assert pixels(tracked[anchor.position][1]) == np.packbits(anchor.mask).tobytes()

    video = Video(sam3, 40, keep=40)
    for position, seen in untrimmed(sam3, video, anchors, start, reverse=step < 0).items():
        if position not in (start, start + 25 * step):
            assert pixels(tracked[position][1]) == pixels(seen)
            assert tracked[position][1].score == seen.score


def untrimmed(
    engine: Any, video: Video, anchors: Sequence[Anchor], start: int, *, reverse: bool
) -> dict[int, Seen]:
    """The same by the package's own loop, which forgets nothing."""
    import torch

    no_image = torch.zeros(1, 3, 1, 1)
    features = {at: (no_image, engine.clicks_of(video.prepared(at, "track"))) for at in range(video.count)}
    found: dict[int, Seen] = {}
    with engine.calling():
        state = engine.tracker.init_state(
            video_height=SHAPE[0],
            video_width=SHAPE[1],
            num_frames=video.count,
            cached_features=features,
            offload_state_to_cpu=True,
        )
        for anchor in anchors:
            engine.tracker.add_new_mask(state, anchor.position, 0, torch.from_numpy(anchor.mask))
            # One after the other: the order in which memories are added up decides on the last bit.
            engine.tracker.propagate_in_video_preflight(state)
        for at, _, _, logits, presence in engine.tracker.propagate_in_video(
            state, start, None, reverse, tqdm_disable=True
        ):
            found[at] = Seen(0, (logits[0, 0] > 0).numpy(), float(presence.sigmoid()))
    return {at: Seen(0, one.mask if one.mask.any() else None, one.score) for at, one in found.items()}


def tensor_bytes() -> int:
    """Of all tensors alive in this process."""
    import torch

    gc.collect()
    alive = [one for one in gc.get_objects() if issubclass(type(one), torch.Tensor)]
    storages = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in alive}
    return sum(storages.values())


def next_frame(walk: Any) -> int:
    """Walk on to the next frame and let go of what is shown there."""
    return next(step[0] for step in walk if step is not None)


def test_memory_stays_the_same_however_long_a_track_is(sam3: Any) -> None:
    video = Video(sam3, 200, keep=5, repeats=5)
    often = [Anchor(at, 2, box(24, 8)) for at in range(0, 200, 10)]
    # The model itself keeps a few constants from its first steps on, and the video its five frames.
    frames(sam3.track(video.plan(0, 6, Anchor(0, 1, box(8, 8)))))
    before = tensor_bytes()
    held = {}
    with closing(sam3.track(video.plan(0, 199, Anchor(0, 1, box(8, 8)), *often))) as walk:
        while (reached := next_frame(walk)) < 176:
            if reached in (55, 175):
                held[reached] = tensor_bytes() - before
    assert held[55] == held[175] > 0
    assert tensor_bytes() == before


def test_features_are_computed_once_per_frame_and_only_where_there_are_objects(sam3: Any) -> None:
    video = Video(sam3, 6)
    tracked = frames(sam3.track(video.plan(0, 5, *(Anchor(0, n, box(8 * n, 16)) for n in range(3)))))
    assert all(list(seen) == [0, 1, 2] for seen in tracked.values())
    assert video.made == [(position, "clicks") for position in range(6)]

    later = Video(sam3, 6)
    assert frames(sam3.track(later.plan(0, 5, Anchor(4, 1, box(8, 8)))))[3] == {}
    assert later.made == [(4, "clicks"), (5, "clicks")]


def test_objects_that_join_later_leave_the_others_as_they_are(sam3: Any) -> None:
    first, second, third = (
        Anchor(0, 1, box(8, 16), 3),
        Anchor(3, 2, box(32, 8), 4),
        Anchor(5, 9, box(0, 0), 5),
    )
    alone = frames(sam3.track(Video(sam3, 8).plan(0, 7, first)))
    joined = frames(sam3.track(Video(sam3, 8).plan(0, 7, second, first, later={4: third})))
    assert [sorted(seen) for seen in joined.values()] == [[1]] * 3 + [[1, 2]] * 2 + [[1, 2, 9]] * 3
    assert [pixels(seen[1]) for seen in joined.values()] == [pixels(seen[1]) for seen in alone.values()]
    assert [one.class_id for one in joined[7].values()] == [4, 3, 5]
    assert pixels(joined[5][9]) == np.packbits(third.mask).tobytes()


def test_a_correction_counts_from_then_on(sam3: Any) -> None:
    """What was followed since the first anchor is forgotten: the rest is as if the walk began here."""
    first, other = Anchor(0, 1, box(8, 16)), Anchor(0, 2, box(32, 8))
    as_it_was = frames(sam3.track(Video(sam3, 8).plan(0, 7, first, other)))
    for given in (Anchor(4, 1, box(40, 24)), Anchor(2, 1, box(40, 24))):
        corrected = frames(sam3.track(Video(sam3, 8).plan(0, 7, first, other, later={4: given})))
        anew = frames(sam3.track(Video(sam3, 8).plan(4, 7, first, given)))
        expected = [as_it_was[at][1] for at in range(4)] + [anew[at][1] for at in range(4, 8)]
        assert [shown(seen[1]) for seen in corrected.values()] == [shown(one) for one in expected]
        assert [shown(seen[2]) for seen in corrected.values()] == [
            shown(seen[2]) for seen in as_it_was.values()
        ]
        assert shown(corrected[5][1]) != shown(as_it_was[5][1])


def test_the_nearest_four_anchors_before_the_start_are_looked_at(sam3: Any) -> None:
    anchors = [Anchor(at, 1, box(6 * at, 16)) for at in range(6)]
    walks = [
        frames(sam3.track(Video(sam3, 10).plan(8, 9, *given)))
        for given in (anchors, anchors[2:], anchors[3:])
    ]
    every, four, three = ([shown(seen[1]) for seen in walk.values()] for walk in walks)
    assert every == four != three


def test_a_walk_that_fails_lets_go_of_its_memory(sam3: Any) -> None:
    video = Video(sam3, 6, keep=1)
    video.prepared(0, "track")
    frames(sam3.track(video.plan(0, 1, Anchor(0, 1, box(8, 8)))))
    before = tensor_bytes()
    plan = video.plan(0, 5, Anchor(0, 1, box(8, 8)))

    asked: list[int] = []

    def prepared(position: int, purpose: str) -> Any:
        asked.append(position)
        if asked.count(5) == 2:
            raise engines.OutOfMemory  # in the step of the object
        return video.prepared(position, purpose)

    plan.prepared = prepared
    with pytest.raises(engines.OutOfMemory) as caught:
        frames(sam3.track(plan))
    # The error is still at hand, and with it the mask shown last and constants; features and memory are not.
    assert caught.tb is not None
    assert tensor_bytes() - before < 10_000


# Texts over a video


def test_texts_share_the_features_of_a_keyframe(sam3: Any) -> None:
    video = Video(sam3, 5)
    found = frames(sam3.find(video.plan(0, 4, Anchor(0, 5, box(8, 16), 8)), WORDS, 2, 0.3))
    assert video.made == [(0, "text"), (1, "clicks"), (2, "text"), (3, "clicks"), (4, "text")]
    assert list(found) == [0, 1, 2, 3, 4]
    assert {one.class_id for one in found[0].values()} == {7, 8}
    assert sorted(found[0])[:2] == [5, 6]


class Told:
    """The engine with a detector that finds what the test tells it: random weights detect nothing of worth."""

    def __init__(self, engine: Any, *detections: list[Candidate]) -> None:
        self._engine = engine
        self._detections = iter(detections)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def ground(self, prepared: Any, text: str, threshold: float) -> list[Candidate]:
        assert prepared.text, "the detector needs the frame prepared for text"
        return next(self._detections)


def search(
    engine: Any, plan: Plan, texts: Sequence[tuple[str, int]], every: int
) -> dict[int, dict[int, Seen]]:
    from app.worker.engines.sam3 import finding

    return frames(finding.find(engine, plan, texts, every, 0.5))


def test_a_detection_is_matched_with_the_object_it_shows(sam3: Any) -> None:
    """One that is sure corrects it, one that is not leaves it; what shows nothing new begins nothing."""
    start, far = box(4, 4), box(44, 28)
    once = search(Told(sam3, [Candidate(start, 0.9)], []), Video(sam3, 4).plan(0, 3), [("disc", 7)], 2)
    assert [list(seen) for seen in once.values()] == [[0]] * 4
    there = once[2][0].mask
    moved = there.copy()
    moved[np.flatnonzero(there.any(axis=1))[0]] = False
    found = [Candidate(moved, 0.9), Candidate(far, 0.6), Candidate(far, 0.55)]
    told = Told(sam3, [Candidate(start, 0.9)], found)
    sure = search(told, Video(sam3, 4).plan(0, 3), [("disc", 7)], 2)
    assert {number: pixels(one) for number, one in sure[2].items()} == {
        0: np.packbits(moved).tobytes(),
        1: np.packbits(far).tobytes(),
    }
    assert sure[3][0].score != once[3][0].score
    told = Told(sam3, [Candidate(start, 0.9)], [Candidate(moved, 0.6)])
    unsure = search(told, Video(sam3, 4).plan(0, 3), [("disc", 7)], 2)
    assert [pixels(seen[0]) for seen in unsure.values()] == [pixels(seen[0]) for seen in once.values()]


def test_texts_of_one_class_find_an_object_once_and_other_classes_their_own(sam3: Any) -> None:
    same = [Candidate(box(4, 4), 0.9)]
    texts = [("disc", 7), ("car", 8), ("round thing", 7)]
    found = search(Told(sam3, same, same, same), Video(sam3, 2).plan(0, 1), texts, 5)
    assert [(one.object, one.class_id) for one in found[1].values()] == [(0, 7), (1, 8)]


def test_an_object_that_is_not_detected_again_is_given_up(sam3: Any) -> None:
    video = Video(sam3, 20, keep=1, repeats=1)
    found = search(Told(sam3, [Candidate(box(4, 4), 0.9)], *[[]] * 10), video.plan(0, 19), [("disc", 7)], 4)
    assert [at for at, seen in found.items() if seen] == list(range(16))


def test_the_number_of_objects_is_bounded(sam3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.worker.engines.sam3 import finding

    monkeypatch.setattr(finding, "LIMIT", 3)
    spots = [Candidate(box(x, y, 8), 0.5 + (x + y) / 200) for x in (0, 16, 32) for y in (0, 16)]
    found = search(Told(sam3, spots), Video(sam3, 2).plan(0, 0), [("disc", 7)], 1)
    assert [round(one.score, 2) for one in found[0].values()] == [0.74, 0.66, 0.66]


# Through the pipe, in a worker of its own


@pytest.fixture(scope="module")
def bench(sam3_worker: Bench) -> Bench:
    return sam3_worker


def anchor(position: int, number: int, x: float, y: float, size: float = 30) -> TrackAnchor:
    outline = [[(x, y), (x + size, y), (x + size, y + size), (x, y + size)]]
    region = RegionSpec(
        id=f"{number:024x}", class_id=number, priority=0, order=0, geometry=Geometry(outline=outline)
    )
    return TrackAnchor(position=position, object=number, region=region)


@pytest.fixture(scope="module")
def track(bench: Bench) -> Callable[..., Track]:
    def make(start: int, stop: int, *anchors: TrackAnchor) -> Track:
        """Over frames of which every eighth is the same."""
        seen = [bench.frame(index % 8) for index in range(max(start, stop) + 1)]
        return Track(frames=seen, anchors=list(anchors), start=start, stop=stop, engine="sam3")

    return make


def test_tracks_come_frame_by_frame_in_both_directions(bench: Bench, track: Callable[..., Track]) -> None:
    anchors = [anchor(5, 1, 60, 40), anchor(3, 2, 20, 20)]
    back: list[Tracked] = list(bench.client.stream(track(5, 0, *anchors)))
    assert [reply.position for reply in back] == [5, 4, 3, 2, 1, 0]
    assert [[one.object for one in reply.objects] for reply in back] == [[1], [1], *[[1, 2]] * 4]
    ahead = list(bench.client.stream(track(0, 5, *anchors)))
    assert [[one.object for one in reply.objects] for reply in ahead] == [*[[]] * 3, [2], [2], [1, 2]]
    for own in (back[0].objects[0], ahead[5].objects[0]):
        assert (own.area, own.score, own.class_id) == (900, 1, 1)


def test_an_anchor_sent_in_the_middle_joins(bench: Bench, track: Callable[..., Track]) -> None:
    stream = bench.client.stream(track(0, 59, anchor(0, 1, 60, 40)))
    replies = iter(stream)
    first = next(replies)
    bench.client.tell(AddAnchor(track=stream.number, anchor=anchor(58, 1, 10, 10, 20)))
    bench.client.tell(AddAnchor(track=stream.number, anchor=anchor(58, 4, 90, 10, 20)))
    rest = list(replies)
    assert [reply.position for reply in (first, *rest)] == list(range(60))
    assert [(one.object, one.area) for one in rest[57].objects] == [(1, 400), (4, 400)]
    assert [one.object for one in rest[58].objects] == [1, 4]


def test_clicks_are_served_during_a_track_which_may_end_early(
    bench: Bench, track: Callable[..., Track]
) -> None:
    with bench.client.stream(track(0, 119, anchor(0, 1, 60, 40))) as stream:
        replies = iter(stream)
        came = [next(replies).position]
        assert bench.client.submit(predict(bench.frame(), click(80, 60), engine="sam3")).result(60).candidates
    came += [reply.position for reply in replies]
    assert came == list(range(len(came)))
    assert len(came) < 120
    again = bench.client.stream(track(0, 1, anchor(0, 1, 60, 40)))
    assert [reply.position for reply in again] == [0, 1]


def test_texts_become_tracked_objects_of_their_classes(bench: Bench) -> None:
    asked = Find(
        frames=[bench.frame(index) for index in range(3)],
        texts=[TextClass(text=text, class_id=class_id) for text, class_id in WORDS],
        start=0,
        stop=2,
        every=2,
        threshold=0.3,
        engine="sam3",
        first_object=20,
    )
    replies: list[Tracked] = list(bench.client.stream(asked))
    assert [reply.position for reply in replies] == [0, 1, 2]
    assert min(one.object for one in replies[0].objects) == 20
    assert {one.class_id for one in replies[0].objects} == {7, 8}
    assert any(one.geometry is not None and one.geometry.outline for one in replies[1].objects)
