"""Walks through videos over the real pipe, with the engine without pixels; faults on demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.algo.outline import rasterise
from app.errors import PointillistError, Refused
from app.matting import MatteParameters
from app.models import Geometry
from app.worker.protocol import (
    AddAnchor,
    Find,
    Label,
    Labelled,
    LoadEngine,
    Matte,
    Ping,
    RegionSpec,
    TextClass,
    Track,
    TrackAnchor,
    Tracked,
    UnloadEngine,
)
from app.worker.replying import Interrupted, Stream

from .conftest import Bench, click, predict

MakeBench = Callable[..., Bench]


def square(x: float, y: float, size: float) -> Geometry:
    return Geometry(outline=[[(x, y), (x + size, y), (x + size, y + size), (x, y + size)]])


def anchor(position: int, number: int, geometry: Geometry, class_id: int = 1) -> TrackAnchor:
    region = RegionSpec(id=f"{number:024x}", class_id=class_id, priority=0, order=0, geometry=geometry)
    return TrackAnchor(position=position, object=number, region=region)


def track(bench: Bench, anchors: Sequence[TrackAnchor], start: int, stop: int, frames: int = 6) -> Track:
    return Track(
        frames=[bench.frame(i) for i in range(frames)],
        anchors=list(anchors),
        start=start,
        stop=stop,
        engine="fake",
    )


def strike(bench: Bench, *lines: str) -> None:
    """Let faults strike the next walk."""
    path = bench.data / "run" / "fake-walk"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines))


def positions(stream: Stream) -> list[int]:
    return [reply.position for reply in stream]


def test_a_track_comes_frame_by_frame_with_certified_outlines(bench: Bench) -> None:
    geometry = square(40, 30, 20)
    replies: list[Tracked] = list(bench.client.stream(track(bench, [anchor(0, 7, geometry, 3)], 0, 5)))
    assert [reply.position for reply in replies] == [0, 1, 2, 3, 4, 5]
    for reply in replies:
        (found,) = reply.objects
        assert (found.object, found.class_id, found.area) == (7, 3, 400)
        assert found.geometry is not None
        assert found.certificate is not None
        assert found.certificate.iou == 1
        drawn = rasterise(found.geometry.outline or [], (120, 160))
        assert (drawn == rasterise(geometry.outline or [], (120, 160))).all()


def test_backward_and_an_object_that_begins_later(bench: Bench) -> None:
    anchors = [anchor(4, 1, square(10, 10, 9)), anchor(2, 2, square(50, 50, 9))]
    replies = list(bench.client.stream(track(bench, anchors, 4, 0)))
    assert [reply.position for reply in replies] == [4, 3, 2, 1, 0]
    assert [[found.object for found in reply.objects] for reply in replies][:3] == [[1], [1], [1, 2]]


def test_clicks_are_answered_between_two_frames_and_anchors_join(bench: Bench) -> None:
    strike(bench, "wait 2")
    stream = bench.client.stream(track(bench, [anchor(0, 1, square(10, 10, 9))], 0, 5))
    replies = iter(stream)
    first = [next(replies), next(replies)]
    assert [reply.position for reply in first] == [0, 1]
    clicked = bench.client.submit(predict(bench.frame(), click(5, 5)))
    bench.client.tell(AddAnchor(track=stream.number, anchor=anchor(2, 9, square(80, 10, 9))))
    # The reading thread takes messages in order: with the answer to this one the anchor has arrived.
    bench.client.request(Ping())
    strike(bench)
    assert clicked.result(30).candidates
    rest = list(replies)
    assert [reply.position for reply in rest] == [2, 3, 4, 5]
    assert [found.object for found in rest[-1].objects] == [1, 9]


def test_closing_a_stream_stops_the_work_and_keeps_what_came(bench: Bench) -> None:
    strike(bench, "wait 3")
    with bench.client.stream(track(bench, [anchor(0, 1, square(10, 10, 9))], 0, 5)) as stream:
        replies = iter(stream)
        kept = [next(replies).position for _ in range(3)]
    strike(bench)
    assert kept == [0, 1, 2]
    assert bench.client.request(predict(bench.frame(), click(5, 5))).candidates
    assert positions(bench.client.stream(track(bench, [anchor(0, 1, square(10, 10, 9))], 0, 1))) == [0, 1]


def test_out_of_memory_in_the_middle_goes_on_with_less(bench: Bench) -> None:
    strike(bench, "oom 3")
    replies = list(bench.client.stream(track(bench, [anchor(0, 1, square(10, 10, 9))], 0, 5)))
    assert [reply.position for reply in replies] == [0, 1, 2, 3, 4, 5]
    assert all(reply.objects[0].area == 81 for reply in replies)


@pytest.mark.parametrize("fault", ["die", "hang"])
def test_a_worker_lost_in_the_middle_leaves_what_came_and_comes_back(fresh: MakeBench, fault: str) -> None:
    bench = fresh(timeout_s=0.5)
    strike(bench, f"{fault} 2")
    replies = iter(bench.client.stream(track(bench, [anchor(0, 1, square(10, 10, 9))], 0, 5)))
    assert [next(replies).position, next(replies).position] == [0, 1]
    with pytest.raises(Interrupted):
        next(replies)
    assert positions(bench.client.stream(track(bench, [anchor(1, 1, square(10, 10, 9))], 2, 5))) == [
        2,
        3,
        4,
        5,
    ]


def test_texts_become_objects_of_their_classes(bench: Bench) -> None:
    texts = [TextClass(text="car", class_id=4), TextClass(text="tree", class_id=5)]
    asked = Find(
        frames=[bench.frame(i) for i in range(3)],
        texts=texts,
        start=0,
        stop=2,
        engine="fake",
        first_object=20,
    )
    replies = list(bench.client.stream(asked))
    assert [reply.position for reply in replies] == [0, 1, 2]
    assert [(found.object, found.class_id) for found in replies[0].objects] == [(20, 4), (21, 5)]


def test_what_was_found_can_be_corrected_under_the_number_it_was_given(bench: Bench) -> None:
    strike(bench, "wait 2")
    asked = Find(
        frames=[bench.frame(i) for i in range(5)],
        texts=[TextClass(text="car", class_id=4)],
        start=0,
        stop=4,
        engine="fake",
        first_object=20,
    )
    stream = bench.client.stream(asked)
    replies = iter(stream)
    assert [next(replies).objects[0].object for _ in range(2)] == [20, 20]
    bench.client.tell(AddAnchor(track=stream.number, anchor=anchor(2, 20, square(10, 10, 9), class_id=4)))
    bench.client.request(Ping())
    strike(bench)
    rest = list(replies)
    assert [[(found.object, found.area) for found in reply.objects] for reply in rest] == [[(20, 81)]] * 3


def test_label_maps_are_written_into_the_folder(bench: Bench) -> None:
    (bench.data / "labels").mkdir()
    frames = [bench.frame(i) for i in range(3)]
    asked = Label(frames=frames, names=["a", "b", "c"], folder="labels", engine="fake", start=1)
    replies: list[Labelled] = list(bench.client.stream(asked))
    assert [(reply.position, reply.file) for reply in replies] == [(1, "labels/b.png"), (2, "labels/c.png")]
    label_map = cv2.imread(str(bench.data / "labels" / "b.png"), cv2.IMREAD_UNCHANGED)
    assert np.unique(label_map[:, :80]).tolist() == [1]
    assert sorted(Path(bench.data / "labels").iterdir()) == [
        bench.data / "labels" / n for n in ("b.png", "c.png")
    ]


def test_mattes_are_written_as_alphas_into_the_folder(bench: Bench) -> None:
    (bench.data / "alphas").mkdir()
    asked = Matte(
        frames=[bench.frame(i) for i in range(3)],
        anchors=[anchor(2, 0, square(40, 30, 20))],
        names=["a", "b", "c"],
        folder="alphas",
        start=2,
        stop=1,
        engine="fake",
    )
    replies = list(bench.client.stream(asked))
    assert [(reply.position, reply.file) for reply in replies] == [(2, "alphas/c.png"), (1, "alphas/b.png")]
    alpha = cv2.imread(str(bench.data / "alphas" / "b.png"), cv2.IMREAD_UNCHANGED)
    assert [int(alpha[40, x]) for x in (39, 40, 41, 50)] == [0, 32768, 65535, 65535]
    asked.done = [2]
    assert positions(bench.client.stream(asked)) == [1]
    asked.anchors.append(anchor(2, 1, square(4, 4, 9)))
    with pytest.raises(Refused, match="one object"):
        list(bench.client.stream(asked))
    asked.parameters = MatteParameters(chunk=3)
    with pytest.raises(Refused, match="Chunk must lie between 4 and 64"):
        list(bench.client.stream(asked))


def test_engines_of_the_consumer_are_never_loaded(bench: Bench) -> None:
    with pytest.raises(Refused, match="runs in jobs"):
        bench.client.request(LoadEngine(engine="matte-fast"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"anchors": []}, "nothing to track"),
        ({"stop": 6}, "outside the frames"),
        ({"start": -1}, "outside the frames"),
        ({"engine": "deeplabv3"}, "cannot track"),
    ],
)
def test_tracks_that_cannot_be_are_refused_with_a_sentence(bench: Bench, change: dict, words: str) -> None:
    asked = track(bench, [anchor(0, 1, square(10, 10, 9))], 0, 5)
    for name, value in change.items():
        setattr(asked, name, value)
    with pytest.raises(Refused, match=words):
        list(bench.client.stream(asked))


def test_label_maps_stay_in_the_data_folder(bench: Bench, tmp_path: Path) -> None:
    asked = Label(frames=[bench.frame()], names=["a"], folder=str(tmp_path), engine="fake")
    with pytest.raises(Refused, match="data folder"):
        list(bench.client.stream(asked))


def test_an_engine_is_loaded_and_unloaded_on_request(bench: Bench) -> None:
    loaded = bench.client.request(LoadEngine(engine="fake"))
    assert (loaded.device, loaded.bytes, loaded.classes) == ("cpu", 1 << 20, ["background", "left", "right"])
    assert [resident.engine for resident in bench.client.request(Ping()).residents] == ["fake"]
    assert bench.client.request(UnloadEngine(engine="fake")).residents == []


def test_an_engine_that_cannot_load_says_why_and_is_remembered(bench: Bench) -> None:
    with pytest.raises(PointillistError) as caught:
        bench.client.request(LoadEngine(engine="sam3"))
    assert "weights" in caught.value.sentence
    assert bench.client.request(Ping()).failed == {"sam3": caught.value.sentence}


def test_two_walks_between_two_anchors_are_fused_and_say_how_far_they_agree(bench: Bench) -> None:
    folder = bench.data / "jobs" / "walk"
    folder.mkdir(parents=True, exist_ok=True)
    anchors = [
        anchor(0, 1, square(40, 30, 20)),
        anchor(4, 1, square(44, 30, 20)),
        anchor(0, 2, square(90, 9, 9)),
    ]
    there = track(bench, anchors, 0, 5)
    there.keep = "jobs/walk"
    assert positions(bench.client.stream(there)) == [0, 1, 2, 3, 4, 5]
    back = track(bench, anchors[:2], 4, 0)
    back.fuse = "jobs/walk"
    replies = list(bench.client.stream(back))
    # Anchors are nobody's to report, and the second object has but one of them.
    found = {reply.position: reply.objects for reply in replies}
    assert {at: len(objects) for at, objects in found.items()} == {4: 0, 3: 1, 2: 1, 1: 1, 0: 0}
    for at in (1, 2, 3):
        (one,) = found[at]
        assert one.agreement == pytest.approx(16 / 24)
        assert one.geometry is not None
        columns = np.flatnonzero(rasterise(one.geometry.outline or [], (120, 160)).any(axis=0))
        # What one of them alone saw beside the other's mask is believed.
        assert (columns[0], columns[-1]) == (40, 63)


def test_masks_of_a_walk_stay_in_the_data_folder(bench: Bench) -> None:
    outside = track(bench, [anchor(0, 1, square(10, 10, 9))], 0, 5)
    outside.keep = "../elsewhere"
    with pytest.raises(Refused, match="data folder"):
        list(bench.client.stream(outside))
