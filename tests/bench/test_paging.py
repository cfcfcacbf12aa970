"""The long projects of the benchmarks: what lies in them, and that only tracking takes a long video."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import pytest

from app.bench import long_track, paging
from app.cli_bench import bench
from app.errors import Refused
from app.store import Store, frames, lanes, regions


def test_every_frame_has_a_region_of_one_of_ten_tracks(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        place = paging.fill(store, 500)
        assert store.read(lambda cur: frames.region_runs(cur, place.asset)) == [(0, 500)]
        runs = store.read(lambda cur: lanes.track_runs(cur, place.asset))
        assert [run for found in runs.values() for run in found] == [(50 * n, 50) for n in range(10)]
        found = store.read(lambda cur: lanes.anchors(cur, place.asset))
        assert sorted(at for each in found.values() for at in each) == [0, 250]
        states = store.read(lambda cur: frames.states(cur, place.asset))
        assert states == [(0, 100, "approved"), (100, 150, "done"), (250, 250, "todo")]


def test_the_frames_of_a_long_track_wait_for_their_regions_and_share_their_pictures(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        place = paging.fill(
            store, 150, regions=False, size=long_track.SIZE, file=lambda at: f"frames/{at:06d}.png"
        )
        assert store.read(lambda cur: frames.states(cur, place.asset)) == [(0, 150, "todo")]
        rows = store.read(lambda cur: frames.page(cur, place.asset, 0, 150))
        assert not store.read(lambda cur: regions.of_frames(cur, [row.id for row in rows]))
    long_track._draw(tmp_path / "frames", 150)
    pictures = {os.stat(tmp_path / row.file).st_ino for row in rows}
    assert len(pictures) == long_track.PICTURES
    shown = cv2.imread(str(tmp_path / rows[149].file))
    assert shown is not None
    assert shown.shape[:2] == (rows[149].height, rows[149].width)


def test_only_tracks_are_long_and_not_too_short() -> None:
    with pytest.raises(Refused, match="Only the benchmark track"):
        bench("clicks", None, as_json=True, long=1000)
    with pytest.raises(Refused, match="100 frames"):
        bench("track", None, as_json=True, long=99)
