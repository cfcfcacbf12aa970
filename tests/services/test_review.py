"""The review queue of a project, from a real database: what is in it, why, and what takes a frame out of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from app import store as db
from app.errors import NotFound, Refused
from app.models import Asset, Certificate, Frame, Region, Track, frame_id, new_id
from app.quality import Measure, Measured
from app.services import review
from app.services.lasting import Lasting
from app.services.review import Entry
from app.store import Store
from tasks.layers import ranks_of
from tests.store import rows

FRAMES = 60
AREA = 1000


class Scene:
    """An asset of 60 frames of one project in a real store, into which tests put tracks, regions and measures."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.published: list[Any] = []
        events = SimpleNamespace(publish=lambda *news: self.published.append(news))
        # The queue needs nothing else of a Context.
        self.ctx: Any = SimpleNamespace(store=store, lasting=Lasting(store), events=events)
        template = store.write(lambda cur: db.class_templates.insert(cur, rows.template()))
        self.ranks = ranks_of(template)
        self.project = store.write(lambda cur: db.projects.insert(cur, rows.project(template.id)))
        self.asset, self.frames = self.add_asset()

    def add_asset(self, count: int = FRAMES) -> tuple[Asset, list[Frame]]:
        asset = replace(rows.asset(self.project.id), frame_count=count, width=100, height=80)
        frames = rows.frames(asset.id, count)
        self.store.write(lambda cur: (db.assets.insert(cur, asset), db.frames.upsert_many(cur, frames)))
        return asset, frames

    def track(self, at: dict[int, Any] | None = None, name: str = "car 1", asset: Asset | None = None) -> str:
        """A track with a region on every frame; `at`: frame → what is different about that region, None = no region."""
        asset, at = asset or self.asset, at or {}
        track = Track(id=new_id(), project_id=self.project.id, class_id=1, name=name)
        self.store.write(lambda cur: db.tracks.insert(cur, track))
        made = [
            self.region(index, track.id, asset, **at.get(index, {}))
            for index in range(asset.frame_count)
            if at.get(index, {}) is not None
        ]
        self.store.write(lambda cur: db.regions.insert_many(cur, made))
        return track.id

    def region(self, index: int, track: str | None, asset: Asset | None = None, **fields: Any) -> Region:
        frame = frame_id((asset or self.asset).id, index)
        made = rows.region(frame, certificate=rows.CERTIFICATE)
        return replace(
            made, **{"track_id": track, "anchor": False, "area": AREA, "updated_at": 100.0, **fields}
        )

    def measure(
        self, track: str, changed: dict[int, float], *, contested: dict[int, int] | None = None
    ) -> None:
        """As the job does: the track is steady but where `changed` says how much it flickers."""
        regions = self.store.read(lambda cur: list(db.regions.of_asset(cur, self.asset.id, 0, 10_000)))
        of: dict[int, list[Region]] = {}
        for region in regions:
            of.setdefault(int(region.frame_id[25:]), []).append(region)
        facts, found = [], []
        for index in range(FRAMES):
            both = of.get(index, []) + of.get(index - 1, [])
            facts.append(
                Measured(
                    asset_id=self.asset.id,
                    frame_index=index,
                    regions=len(both),
                    revisions=sum(one.revision for one in both),
                    updated_at=max((one.updated_at for one in both), default=0.0),
                    ranks=self.ranks,
                    contested=(contested or {}).get(index, 0),
                )
            )
            for track_id in ("", track):
                found.append(
                    Measure(
                        asset_id=self.asset.id,
                        frame_index=index,
                        class_id=1,
                        track_id=track_id,
                        area=AREA,
                        warped_iou=None if index == 0 else 1 - changed.get(index, 0.03),
                    )
                )
        self.store.write(lambda cur: db.measures.store(cur, self.asset.id, facts, found))

    def queue(self, **options: Any) -> list[Entry]:
        return review.queue(self.ctx, self.project.id, **options).queue

    def told(self, **options: Any) -> dict[int, list[str]]:
        """Index → sentences."""
        return {entry.index: [reason.text for reason in entry.reasons] for entry in self.queue(**options)}


@pytest.fixture
def scene(tmp_path: Path) -> Any:
    store = Store.open(tmp_path)
    yield Scene(store)
    store.close()


def test_every_sign_of_trouble_is_told_in_a_sentence(scene: Scene) -> None:
    track = scene.track(
        {
            8: {"area": 660},
            20: {"agreement": 0.8},
            30: {"score": 0.25},
            40: {"certificate": Certificate(engine="classic", iou=0.81, boundary_f=0.8)},
        }
    )
    scene.measure(track, {50: 0.31, 51: 0.3}, contested={56: 212})
    assert scene.told() == {
        8: ["car 1 loses 34 % of its area for one frame"],
        20: ["Forward and backward differ by 20 % on car 1"],
        30: ["The engine was not sure of car 1: score 0.25"],
        40: ["Certificate 0.81 of car 1, target 0.95"],
        50: ["Flicker 0.31 on car 1, limit 0.17"],
        56: ["212 px are claimed by classes of equal priority"],
    }
    gains = [entry.gain for entry in scene.queue()]
    assert gains == sorted(gains, reverse=True)


def test_a_reason_names_class_track_and_region(scene: Scene) -> None:
    track = scene.track({20: {"agreement": 0.5}})
    worse = scene.region(20, track, agreement=0.3)
    scene.store.write(lambda cur: db.regions.insert(cur, worse))
    (entry,) = [entry for entry in scene.queue() if entry.index == 20]
    (reason,) = [reason for reason in entry.reasons if reason.kind == "agreement"]
    assert (reason.class_id, reason.track_id, reason.region_id, reason.value) == (1, track, worse.id, 0.3)
    assert (entry.frame_id, entry.asset_id, entry.asset_name) == (
        frame_id(scene.asset.id, 20), scene.asset.id, scene.asset.name,
    )  # fmt: skip


def test_regions_of_no_track_are_told_by_their_class(scene: Scene) -> None:
    loose = [scene.region(index, None, area=10 if index == 9 else AREA) for index in range(20)]
    scene.store.write(lambda cur: db.regions.insert_many(cur, loose))
    assert scene.told() == {9: ["road is missing for a moment"]}


def test_a_lost_object_is_told_where_the_loss_begins_unless_somebody_drew_it(scene: Scene) -> None:
    track = scene.track(dict.fromkeys(range(10, 60)), "bicyclist 2")
    lost = {scene.asset.id: [(10, 5), (30, 3)]}
    scene.store.write(lambda cur: db.tracks.update(cur, replace(db.tracks.get(cur, track), lost=lost)))
    assert scene.told() == {10: ["bicyclist 2 is lost here"], 30: ["bicyclist 2 is lost here"]}
    scene.store.write(
        lambda cur: db.regions.insert(cur, scene.region(10, track, anchor=True, updated_at=50.0))
    )
    assert sorted(scene.told()) == [11, 30]


def test_neighbours_of_a_later_correction_are_told_until_they_are_made_anew(scene: Scene) -> None:
    scene.track({30: {"anchor": True, "updated_at": 200.0}})
    told = scene.told()
    assert told
    assert set(told) <= {*range(25, 30), *range(31, 36)}
    assert {text for texts in told.values() for text in texts} == {
        "Next to a correction of car 1 on frame 31"
    }
    scene.store.write(lambda cur: cur.run("update region set updated_at = 300 where not anchor"))
    assert scene.told() == {}


def test_measures_that_are_out_of_date_are_not_believed(scene: Scene) -> None:
    track = scene.track()
    scene.measure(track, {20: 0.4, 21: 0.4, 40: 0.4, 41: 0.4}, contested={50: 900})
    assert sorted(scene.told()) == [20, 40, 50]
    changed = next(r for r in scene.store.read(lambda cur: db.regions.of_frame(cur, scene.frames[20].id)))
    scene.store.write(lambda cur: db.regions.update(cur, changed))
    assert sorted(scene.told()) == [40, 50]
    scene.store.write(lambda cur: cur.run("update measured set ranks = 'others'"))
    assert scene.told() == {}


def test_what_was_looked_at_stays_out_until_a_job_changes_it(scene: Scene) -> None:
    scene.track({20: {"score": 0.1}, 40: {"score": 0.2}})
    frame = scene.frames[20].id
    review.look(scene.ctx, frame, actor="ann")
    found = review.queue(scene.ctx, scene.project.id)
    assert ([entry.index for entry in found.queue], found.to_review, found.seen) == ([40], 1, 1)
    assert found.share_seen == pytest.approx(1 / FRAMES)
    (region,) = scene.store.read(lambda cur: db.regions.of_frame(cur, frame))
    scene.store.write(lambda cur: db.regions.update(cur, region))
    assert {entry.index for entry in scene.queue()} == {20, 40}
    edit = rows.edit(scene.project.id, frame_id=frame)
    scene.store.write(lambda cur: db.edits.append(cur, edit))  # it was a person who changed it, on this frame
    assert {entry.index for entry in scene.queue()} == {40}


def test_looking_twice_is_kept_once_and_told_once(scene: Scene) -> None:
    scene.track()
    before = scene.store.sequence
    for _ in range(3):
        review.look(scene.ctx, scene.frames[3].id, actor="ann")
    assert scene.store.sequence == before + 1
    assert [news[0] for news in scene.published] == ["seen"]
    with pytest.raises(NotFound):
        review.look(scene.ctx, frame_id(new_id(), 0), actor="ann")


def test_approved_frames_are_not_in_the_queue_and_done_ones_count_half(scene: Scene) -> None:
    scene.track({10: {"score": 0.2}, 30: {"score": 0.2}, 50: {"score": 0.2}})
    scene.store.write(
        lambda cur: (
            db.frames.set_state(cur, scene.frames[10].id, "approved"),
            db.frames.set_state(cur, scene.frames[30].id, "done"),
        )
    )
    found = review.queue(scene.ctx, scene.project.id)
    assert ([entry.index for entry in found.queue], found.approved) == ([50, 30], 1)
    assert found.queue[1].gain == pytest.approx(found.queue[0].gain / 2, abs=1e-3)


def test_the_next_entry_is_another_one_than_the_open_frame(scene: Scene) -> None:
    scene.track({10: {"score": 0.1}, 40: {"score": 0.3}})
    ahead, behind = scene.frames[10].id, scene.frames[40].id
    ask = review.upcoming

    def following(after: str | None) -> str | None:
        entry = ask(scene.ctx, scene.project.id, after)
        return entry.frame_id if entry else None

    assert (following(None), following(ahead), following(behind)) == (ahead, behind, ahead)
    for frame in (ahead, behind):
        review.look(scene.ctx, frame, actor="ann")
    assert following(None) is None


def test_assets_do_not_mix_and_trashed_ones_do_not_count(scene: Scene) -> None:
    other, _ = scene.add_asset(30)
    scene.track({59: {"score": 0.1}}, "a")
    scene.track({0: {"score": 0.2}, 12: {"area": 500}}, "b", other)
    assert {(entry.asset_id, entry.index) for entry in scene.queue()} == {
        (scene.asset.id, 59), (other.id, 0), (other.id, 12),
    }  # fmt: skip
    assert set(scene.told(asset_id=other.id)) == {0, 12}
    found = review.queue(scene.ctx, scene.project.id, asset_id=scene.asset.id)
    assert (found.frames, found.to_review) == (FRAMES, 1)
    scene.store.write(lambda cur: db.assets.update(cur, replace(other, trashed_at=1.0)))
    assert review.queue(scene.ctx, scene.project.id).frames == FRAMES
    with pytest.raises(NotFound):
        scene.queue(asset_id=other.id)


def test_pages_of_the_queue_fit_together_and_have_a_size(scene: Scene) -> None:
    scene.track({index: {"score": index / 100} for index in range(5, 60, 10)})
    whole = scene.queue()
    assert [*scene.queue(limit=2), *scene.queue(limit=9, offset=2)] == whole
    assert scene.queue(offset=99) == scene.queue(limit=0) == []
    for wrong in ({"limit": review.PAGE_LIMIT + 1}, {"limit": -1}, {"offset": -1}):
        with pytest.raises(Refused):
            scene.queue(**wrong)
    with pytest.raises(NotFound):
        review.queue(scene.ctx, new_id())


def test_an_empty_project_has_nothing_to_look_at(scene: Scene) -> None:
    scene.store.write(lambda cur: db.assets.update(cur, replace(scene.asset, trashed_at=1.0)))
    found = review.queue(scene.ctx, scene.project.id)
    assert (found.frames, found.share_seen, found.queue) == (0, 0.0, [])


FILL = """
insert into region (id, frame_id, asset_id, frame_index, class_id, geometry, track_id, anchor, certificate,
    certified, area, author, revision, created_at, updated_at, attributes, score)
select printf('%024x', $count + i), $asset || '-' || printf('%06d', i), $asset, i, 1, '{}', null, false, null,
    false, if(i % 100 = 7, 500, 1000), '', 1, 1, 1, '{}', 0.9
from range($count) as t(i)
"""


def test_a_hundred_thousand_frames_take_no_more_questions_than_ten(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    execute = db.Cursor._execute  # pyright: ignore[reportPrivateUsage]

    def counted(cur: db.Cursor, sql: str, params: dict[str, Any]) -> Any:
        asked.append(sql)
        return execute(cur, sql, params)

    monkeypatch.setattr(db.Cursor, "_execute", counted)
    questions = []
    for count in (110, 100_000):
        asset, _ = scene.add_asset(0)
        asset = replace(asset, frame_count=count)
        scene.store.write(lambda cur, asset=asset: db.assets.update(cur, asset))
        scene.store.write(lambda cur, asset=asset, count=count: cur.run(FILL, asset=asset.id, count=count))
        asked.clear()
        found = review.queue(scene.ctx, scene.project.id, asset_id=asset.id, limit=1)
        questions.append(len(asked))
        assert found.to_review == len(range(7, count, 100))
    assert questions[0] == questions[1] < 20
