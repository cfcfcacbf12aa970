from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from app.algo.fuse import fuse_regions
from app.algo.outline import rasterise
from app.algo.render import Claim, Crop, winner_map, winner_map_with
from app.errors import Refused
from app.models import Geometry, Point


def claim(
    *points: tuple[float, float, int, float], outline: object = None, priority: int = 0, order: int = 0
) -> Claim:
    geometry = Geometry(points=[Point(x=x, y=y, label=label, r=r) for x, y, label, r in points])  # type: ignore[arg-type]
    geometry.outline = outline  # type: ignore[assignment]
    return Claim(class_id=1 + order, priority=priority, order=order, geometry=geometry)


def square(x0: float, y0: float, x1: float, y1: float) -> list[list[tuple[float, float]]]:
    return [[(x0, y0), (x1, y0), (x1, y1), (x0, y1)]]


def two_halves() -> np.ndarray:
    image = np.full((60, 80, 3), (200, 40, 40), np.uint8)
    image[:, 40:] = (40, 40, 200)
    return image


def test_regions_without_outline_compete_for_the_pixels_along_the_image() -> None:
    winners = winner_map(two_halves(), [claim((10, 30, 1, 4)), claim((70, 30, 1, 4))])
    assert winners.dtype == np.uint16
    assert (winners[:, :39] == 1).all()
    assert (winners[:, 41:] == 2).all()


def test_an_outline_without_points_is_exact_and_does_not_compete() -> None:
    outline = square(30, 10, 50, 20)
    winners = winner_map(two_halves(), [claim((10, 30, 1, 4)), claim(outline=outline, priority=5)])
    assert ((winners == 2) == rasterise(outline, (60, 80))).all()
    assert (winners[winners != 2] == 1).all()


def test_the_points_of_an_outlined_region_hold_its_neighbour_off() -> None:
    image = two_halves()
    # The outline leaves a rim of its half that nothing covers but the negative point's background.
    neighbour = claim((10, 30, 1, 4), (60, 5, 0, 2))
    outlined = claim((70, 40, 1, 4), outline=square(42, 20, 78, 58))
    winners = winner_map(image, [neighbour, outlined])
    assert ((winners == 2) == rasterise(square(42, 20, 78, 58), (60, 80))).all()
    assert (winners[:, :39] == 1).all()
    assert winners[5, 60] == 0


def test_what_an_outline_gives_up_goes_to_the_nearest_neighbour_and_leaves_no_gap() -> None:
    regions = [
        claim((10, 30, 1, 4)),
        claim((70, 50, 1, 4), outline=square(60, 40, 80, 60)),
        claim((75, 3, 1, 2)),
    ]
    winners = winner_map(np.zeros((60, 80, 3), np.uint8), regions)
    assert winners.all()
    assert ((winners == 2) == rasterise(square(60, 40, 80, 60), (60, 80))).all()
    assert winners[25, 78] == 3
    assert winners[58, 50] == 1


def test_what_an_outline_gives_up_goes_to_another_outline_that_covers_it_whatever_its_priority() -> None:
    regions = [
        claim((10, 30, 1, 4), priority=9),
        claim((70, 30, 1, 4), outline=square(60, 20, 80, 40), priority=5),
        claim(outline=square(40, 0, 60, 60), priority=1),
    ]
    winners = winner_map(two_halves(), regions)
    assert (winners[:, 41:60] == 3).all()


def test_a_region_gains_nothing_outside_its_box_or_on_its_negative_points() -> None:
    regions = [
        Claim(1, 0, 0, Geometry(points=[Point(x=10, y=30, label=1, r=4)], box=(0, 0, 30, 60))),
        claim((20, 30, 1, 2), (28.5, 30.5, 1, 0), outline=square(15, 25, 25, 35)),
        claim((75, 3, 1, 2), (28.5, 30.5, 0, 0)),
    ]
    winners = winner_map(np.zeros((60, 80, 3), np.uint8), regions)
    assert not (winners[:, 30:] == 1).any()
    assert winners[30, 28] != 3


def test_a_fixed_mask_is_exact_and_what_its_points_won_elsewhere_leaves_no_gap() -> None:
    mask = Crop(np.ones((10, 20), bool), 50, 40)
    regions = [claim((10, 30, 1, 4)), claim((60, 45, 1, 4)), claim((75, 3, 1, 2))]
    winners = winner_map(np.zeros((60, 80, 3), np.uint8), regions, [None, mask, None])
    assert ((winners == 2) == mask.full((60, 80))).all()
    assert winners.all()
    assert {int(winners[45, 49]), int(winners[39, 60])} <= {1, 3}


def test_the_points_of_a_fixed_mask_hold_its_neighbour_off() -> None:
    regions = [claim((10, 30, 1, 4)), claim((70, 30, 1, 4))]
    outlined = [regions[0], claim((70, 30, 1, 4), outline=square(60, 20, 70, 40))]
    mask = Crop(np.ones((20, 10), bool), 60, 20)
    winners = winner_map(two_halves(), regions, [None, mask])
    assert (winners == winner_map(two_halves(), outlined)).all()
    assert (winners[:, 41:60] == 1).all()


def test_an_outline_comes_before_a_fixed_mask_and_none_changes_nothing() -> None:
    regions = [claim((10, 30, 1, 4), (30, 30, 0, 3)), claim((70, 50, 1, 4), outline=square(60, 40, 80, 60))]
    wrong = Crop(np.ones((5, 5), bool))
    plain = winner_map(two_halves(), regions)
    assert (winner_map(two_halves(), regions, [None, wrong]) == plain).all()
    assert (winner_map(two_halves(), regions, [None, None]) == plain).all()


def test_the_engine_is_not_asked_where_every_mask_is_fixed() -> None:
    def never(_: Sequence[Claim]) -> list[Crop]:
        raise AssertionError

    regions = [claim((1, 1, 1, 0), priority=1), claim((3, 3, 1, 0))]
    masks = [Crop(np.ones((2, 2), bool)), Crop(np.ones((4, 4), bool))]
    winners = winner_map_with(never, (4, 4), regions, masks)
    assert winners.tolist() == [[1, 1, 2, 2]] * 2 + [[2] * 4] * 2


@pytest.mark.parametrize(("priorities", "winner"), [((1, 2), 2), ((2, 1), 1), ((1, 1), 2)])
def test_priority_decides_where_regions_overlap_and_the_later_one_at_a_tie(
    priorities: tuple[int, int], winner: int
) -> None:
    regions = [
        claim(outline=square(0, 0, 10, 10), priority=priorities[0]),
        claim(outline=square(5, 5, 15, 15), priority=priorities[1]),
    ]
    assert winner_map(np.zeros((20, 20, 3), np.uint8), regions)[7, 7] == winner


def test_crops_and_whole_masks_give_the_same_map() -> None:
    rng = np.random.default_rng(3)
    shape = (40, 50)
    masks, crops, regions = [], [], []
    for index in range(12):
        x0, y0 = int(rng.integers(0, 40)), int(rng.integers(0, 30))
        crop = rng.random((10, 10)) < 0.7
        full = np.zeros(shape, bool)
        full[y0 : y0 + 10, x0 : x0 + 10] = crop
        masks.append((int(rng.integers(0, 3)), index, 1 + index, full))
        crops.append(Crop(crop, x0, y0))
        regions.append(claim((1, 1, 1, 0), priority=masks[-1][0], order=index))
    assert (winner_map_with(lambda _: crops, shape, regions) == fuse_regions(masks, shape)).all()


def test_the_engine_is_not_asked_where_every_region_has_an_outline() -> None:
    def never(_: Sequence[Claim]) -> list[Crop]:
        raise AssertionError

    assert winner_map_with(never, (4, 4), [claim(outline=square(0, 0, 2, 2))]).sum() == 4
    assert not winner_map_with(never, (4, 4), []).any()


def test_an_outline_that_leaves_the_frame_is_cut_off_and_one_outside_claims_nothing() -> None:
    regions = [claim(outline=square(-5, -5, 3, 3)), claim(outline=square(100, 100, 120, 120))]
    winners = winner_map(np.zeros((10, 10, 3), np.uint8), regions)
    assert (winners[:3, :3] == 1).all()
    assert winners.sum() == 9


def test_a_region_that_loses_everywhere_has_no_pixel() -> None:
    regions = [claim((30.5, 30.5, 1, 3)), claim((30.5, 30.5, 1, 3))]
    assert set(np.unique(winner_map(two_halves(), regions))) <= {1, 2}


def test_an_engine_that_forgets_a_region_is_refused() -> None:
    with pytest.raises(Refused, match="0 masks for 1"):
        winner_map_with(lambda _: [], (4, 4), [claim((1, 1, 1, 0))])


def test_an_outline_with_a_coordinate_that_is_no_number_is_refused() -> None:
    with pytest.raises(Refused, match="not a number"):
        winner_map(np.zeros((4, 4, 3), np.uint8), [claim(outline=[[(0, 0), (float("nan"), 1), (1, 1)]])])
