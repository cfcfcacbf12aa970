"""The engine without weights follows objects over the real pipe."""

from __future__ import annotations

import cv2
import numpy as np

from app.algo.outline import rasterise
from app.models import Geometry
from app.worker.protocol import AddAnchor, RegionSpec, Track, TrackAnchor, Tracked
from tests.drawing import scene

from .conftest import ASSET, Bench, FrameRef

COUNT, WIDTH, HEIGHT = 8, 160, 120


def frames(bench: Bench) -> list[FrameRef]:
    folder = bench.data / "assets" / ASSET / "frames"
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(COUNT):
        cv2.imwrite(str(folder / f"{index:06d}.png"), scene(index, WIDTH, HEIGHT)[0][..., ::-1])
    return [bench.frame(index) for index in range(COUNT)]


def anchor(position: int, number: int) -> TrackAnchor:
    """Object 1 is the disc of the scene, object 2 the bar, drawn exactly."""
    mask = (scene(position, WIDTH, HEIGHT)[1] == number).astype(np.uint8)
    rings, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    geometry = Geometry(outline=[[(float(x), float(y)) for x, y in ring[:, 0]] for ring in rings])
    region = RegionSpec(id=f"{number:024x}", class_id=number, priority=0, order=0, geometry=geometry)
    return TrackAnchor(position=position, object=number, region=region)


def iou(reply: Tracked, number: int) -> float:
    (found,) = [one for one in reply.objects if one.object == number]
    truth = scene(reply.position, WIDTH, HEIGHT)[1] == number
    if found.geometry is None:
        return 0.0
    mask = rasterise([np.array(ring) for ring in found.geometry.outline or []], (HEIGHT, WIDTH))
    return float(np.count_nonzero(mask & truth) / np.count_nonzero(mask | truth))


def test_objects_are_followed_and_one_that_arrives_late_joins_them(bench: Bench) -> None:
    asked = Track(
        frames=frames(bench),
        anchors=[anchor(2, 1), anchor(7, 1)],
        start=0,
        stop=COUNT - 1,
        engine="classic",
    )
    replies: list[Tracked] = []
    stream = bench.client.stream(asked)
    for reply in stream:
        replies.append(reply)
        if reply.position == 2:
            bench.client.tell(AddAnchor(track=stream.number, anchor=anchor(2, 2)))
    assert [reply.position for reply in replies] == list(range(COUNT))
    assert [[one.object for one in reply.objects] for reply in replies[:3]] == [[], [], [1]]
    assert [one.object for one in replies[-1].objects] == [1, 2]
    assert min(iou(reply, 1) for reply in replies[2:]) > 0.9
    assert iou(replies[-1], 2) > 0.9
