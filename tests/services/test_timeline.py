"""Lanes of the timeline: where classes and tracks have regions, anchors, losses and doubts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app import store as db
from app.errors import NotFound
from app.models import Certificate, Region, Track, new_id
from app.services import timeline
from app.services.lasting import Lasting
from app.store import Store
from tests.store import rows

BELOW = Certificate(engine="classic", iou=0.9, boundary_f=0.9)


class Scene:
    """An asset of eight frames in a real store, into which tests put regions and tracks."""

    def __init__(self, store: Store) -> None:
        self.store = store
        # Lanes need nothing else of a Context.
        self.ctx: Any = SimpleNamespace(store=store, lasting=Lasting(store))
        self.project, self.asset, self.frames = store.write(lambda cur: rows.scene(cur, count=8))

    def track(self, name: str, **fields: Any) -> str:
        track = Track(id=new_id(), project_id=self.project.id, class_id=1, name=name, **fields)
        return self.store.write(lambda cur: db.tracks.insert(cur, track)).id

    def regions(self, track: str | None, at: list[int], class_id: int = 1, **fields: Any) -> None:
        made = [
            Region(
                id=new_id(),
                frame_id=self.frames[index].id,
                class_id=class_id,
                geometry=rows.region(self.frames[index].id).geometry,
                track_id=track,
                **{"anchor": False, "certificate": rows.CERTIFICATE, **fields},
            )
            for index in at
        ]
        self.store.write(lambda cur: db.regions.insert_many(cur, made))

    def lanes(self, **options: Any) -> Any:
        return timeline.lanes(self.ctx, self.asset.id, **options)


@pytest.fixture
def scene(tmp_path: Path) -> Any:
    store = Store.open(tmp_path)
    yield Scene(store)
    store.close()


def test_tracks_and_loose_regions_of_a_class_are_runs_of_frames(scene: Scene) -> None:
    car = scene.track("car 1")
    scene.regions(car, [0, 1, 2, 5])
    scene.regions(car, [5], anchor=True)
    scene.regions(None, [3, 3, 7])
    scene.regions(None, [6], class_id=2)
    found = scene.lanes()
    first, second = found.classes
    assert (found.total, first.class_id, second.class_id) == (scene.asset.frame_count, 1, 2)
    assert first.regions == [(0, 4), (5, 1), (7, 1)]
    assert first.loose == [(3, 1), (7, 1)]
    assert [(t.id, t.name, t.regions, t.anchors) for t in first.tracks] == [
        (car, "car 1", [(0, 3), (5, 1)], [5])
    ]
    assert (second.loose, second.tracks) == ([(6, 1)], [])


def test_a_region_is_flagged_for_doubt_and_never_when_a_person_confirmed_it(scene: Scene) -> None:
    car = scene.track("car 1")
    scene.regions(car, [0], score=0.49)
    scene.regions(car, [1], agreement=0.79)
    scene.regions(car, [2], certificate=BELOW)
    scene.regions(car, [3], score=0.5, agreement=0.8)
    scene.regions(car, [4], score=0.1, agreement=0.1, anchor=True)
    scene.regions(car, [5], certificate=None)
    scene.regions(None, [2, 7], score=0.2)
    found = scene.lanes()
    assert found.classes[0].tracks[0].flagged == [(0, 3)]
    assert found.classes[0].loose_flagged == [(2, 1), (7, 1)]
    assert found.flagged == [(0, 3), (7, 1)]


def test_an_object_is_lost_where_it_was_looked_for_and_no_region_says_otherwise(scene: Scene) -> None:
    car = scene.track("car 1", lost={scene.asset.id: [(1, 5), (7, 1)], new_id(): [(0, 8)]})
    scene.regions(car, [0, 3, 7])
    assert scene.lanes().classes[0].tracks[0].lost == [(1, 2), (4, 2)]


def test_tracks_come_by_first_appearance_and_those_beyond_the_limit_are_counted(scene: Scene) -> None:
    late, early, gone = scene.track("late"), scene.track("early"), new_id()
    scene.regions(late, [4])
    scene.regions(early, [1, 2])
    scene.regions(gone, [6])
    lane = scene.lanes().classes[0]
    assert [t.name for t in lane.tracks] == ["early", "late", ""]
    few = scene.lanes(most=1).classes[0]
    assert ([t.name for t in few.tracks], few.more, few.regions) == (["early"], 2, [(1, 2), (4, 1), (6, 1)])


def test_an_asset_without_regions_has_no_lanes_and_an_unknown_one_is_not_found(scene: Scene) -> None:
    assert scene.lanes().classes == []
    with pytest.raises(NotFound):
        timeline.lanes(scene.ctx, new_id())
