"""All regions of a frame compete: what the seeds guarantee and what the image decides."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.algo.compete import RegionSeeds, masks_of, prepare_compete, render_points, seeds_of
from app.errors import Refused
from app.models import Geometry, Point


def seeds(*points: tuple[float, float, int, float], box: tuple[float, ...] | None = None) -> RegionSeeds:
    return RegionSeeds(np.array(points, float).reshape(-1, 4), box)  # type: ignore[arg-type]


def two_halves(height: int = 60, width: int = 80, edge: int = 31) -> np.ndarray:
    image = np.full((height, width, 3), 60, np.uint8)
    image[:, edge:] = 190
    return image


def test_two_regions_meet_at_the_edge_in_the_image() -> None:
    winners = render_points(two_halves(), [seeds((5.5, 30.5, 1, 0)), seeds((70.5, 30.5, 1, 0))])
    assert (winners[:, :30] == 1).all()
    assert (winners[:, 32:] == 2).all()


def test_without_negative_points_the_regions_partition_the_frame() -> None:
    image = np.random.default_rng(0).integers(0, 255, (50, 70, 3), np.uint8)
    winners = render_points(image, [seeds((3, 3, 1, 2)), seeds((60, 40, 1, 5)), seeds((30, 20, 1, 0))])
    assert set(np.unique(winners)) == {1, 2, 3}


def test_a_negative_point_makes_background_where_nothing_claims() -> None:
    winners = render_points(two_halves(), [seeds((5.5, 30.5, 1, 0), (70.5, 30.5, 0, 0))])
    assert (winners[:, :30] == 1).all()
    assert (winners[:, 32:] == 0).all()


def test_a_negative_point_inside_another_regions_disc_takes_nothing_from_it() -> None:
    regions = [seeds((5.5, 30.5, 1, 0), (60.5, 30.5, 0, 3)), seeds((62.5, 30.5, 1, 15))]
    winners = render_points(two_halves(), regions)
    assert (winners[:, 32:] == 2).all()


def test_a_disc_of_reach_is_its_regions_whatever_the_image_shows() -> None:
    image = np.random.default_rng(1).integers(0, 255, (60, 60, 3), np.uint8)
    winners = render_points(image, [seeds((30.5, 30.5, 1, 20)), seeds((2.5, 2.5, 1, 0))])
    y, x = np.mgrid[:60, :60]
    assert (winners[np.hypot(x - 30, y - 30) <= 19] == 1).all()


def test_of_overlapping_discs_the_smaller_keeps_its_pixels() -> None:
    winners = render_points(two_halves(), [seeds((20.5, 20.5, 1, 4)), seeds((22.5, 20.5, 1, 18))])
    assert winners[20, 18] == 1
    assert winners[20, 30] == 2


def test_a_box_limits_its_region() -> None:
    winners = render_points(two_halves(), [seeds((20.5, 30.5, 1, 0), box=(10, 12, 25, 40))])
    assert winners[12:40, 10:25].all()
    assert winners.sum() == 28 * 15


def test_a_box_alone_seeds_its_middle_and_nothing_leaves_it() -> None:
    first, second = masks_of(two_halves(), [seeds(box=(5, 5, 25, 25)), seeds((70, 50, 1, 0))])
    assert first[10:20, 10:20].all()
    assert not first[:, 25:].any()
    assert second[50, 70]


def test_no_seed_gives_an_empty_map() -> None:
    assert not render_points(two_halves(), []).any()
    assert not render_points(two_halves(), [seeds(), seeds((5, 5, 0, 3))]).any()


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_every_click_is_honoured_and_the_last_one_wins_a_shared_pixel(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 24)), data.draw(st.integers(1, 24))
    image = np.random.default_rng(data.draw(st.integers(0, 5))).integers(0, 255, (height, width, 3), np.uint8)
    point = st.tuples(
        st.integers(-3, width + 2), st.integers(-3, height + 2), st.integers(0, 1), st.floats(0, 12)
    )
    drawn = data.draw(st.lists(st.lists(point, max_size=4), min_size=1, max_size=4))
    regions = [seeds(*[(x + 0.5, y + 0.5, label, r) for x, y, label, r in rows]) for rows in drawn]
    winners = render_points(image, regions)
    assert winners.shape == (height, width)
    assert winners.dtype == np.uint16
    last: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for index, rows in enumerate(drawn):
        for x, y, label, _ in rows:
            if 0 <= x < width and 0 <= y < height:
                last.setdefault((x, y), []).append((index + 1, label))
    for (x, y), clicks in last.items():
        expected = None
        for index, label in clicks:
            if label:
                expected = index
            elif expected == index:
                expected = None
            # A lone negative click only forbids its own region.
        if expected is not None:
            assert winners[y, x] == expected
        forbidden = clicks[-1]
        if not forbidden[1]:
            assert winners[y, x] != forbidden[0]


def test_points_outside_the_frame_are_harmless() -> None:
    winners = render_points(two_halves(), [seeds((-900, 4, 1, 3), (1e6, 1e6, 1, 1e5)), seeds((40, 30, 1, 0))])
    assert winners[30, 40] == 2


def test_a_prepared_image_renders_the_same_pixels_and_again() -> None:
    image = np.random.default_rng(2).integers(0, 255, (50, 70, 3), np.uint8)
    regions = [seeds((10, 10, 1, 4)), seeds((50, 30, 1, 4), (3, 40, 0, 2))]
    prepared = prepare_compete(image)
    first = render_points(prepared, regions)
    assert np.array_equal(first, render_points(image, regions))
    assert np.array_equal(first, render_points(prepared, regions))


def test_a_thin_frame_is_divided_by_distance() -> None:
    winners = render_points(np.zeros((1, 9, 3), np.uint8), [seeds((0.5, 0.5, 1, 0)), seeds((8.5, 0.5, 1, 0))])
    assert winners[0, 1] == 1
    assert winners[0, 7] == 2


def test_grey_images_are_accepted_and_others_refused() -> None:
    grey = two_halves()[..., 0]
    assert np.array_equal(
        render_points(grey, [seeds((5, 5, 1, 0)), seeds((60, 5, 1, 0))]),
        render_points(cv2.merge([grey] * 3), [seeds((5, 5, 1, 0)), seeds((60, 5, 1, 0))]),
    )
    for bad in (np.zeros((4, 4, 3)), np.zeros((4,), np.uint8), np.zeros((0, 0, 3), np.uint8)):
        with pytest.raises(Refused):
            prepare_compete(bad)


def test_a_geometrys_points_become_seeds() -> None:
    found = seeds_of(Geometry(points=[Point(x=1.5, y=2.5, label=0, r=3)], box=(0, 0, 4, 4)))
    assert found.points.tolist() == [[1.5, 2.5, 0, 3]]
    assert found.box == (0, 0, 4, 4)
    assert seeds_of(Geometry()).points.shape == (0, 4)
