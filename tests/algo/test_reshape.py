"""A frame's regions that are made to show another map: what changes, what stays, and that certificates are true."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.algo.certificate import iou
from app.algo.compete import prepare_compete, seeds_of
from app.algo.fuse import fuse_regions
from app.algo.outline import rasterise, trace
from app.algo.render import Claim, Claims, Crop, competing, region_masks
from app.algo.reshape import Reshaped, reshape
from app.algo.what_if import layers_of
from app.models import Geometry, Point
from tests import drawing

WIDTH, HEIGHT = 96, 72
SHAPE = (HEIGHT, WIDTH)
IMAGE, SCENE = drawing.scene(0, WIDTH, HEIGHT)
PREPARED = prepare_compete(IMAGE)
MADE = (9, 50, 9)
"""Class, priority and order of a region that is made."""


def outlined(mask: np.ndarray, priority: int = 0, class_id: int = 1) -> Claim:
    rings = [[(x, y) for x, y in ring.tolist()] for ring in trace(mask)]
    return Claim(class_id, priority, class_id, Geometry(points=[], outline=rings))


def clicked(x: float, y: float, r: float, priority: int = 0, class_id: int = 1) -> Claim:
    return Claim(class_id, priority, class_id, Geometry(points=[Point(x=x, y=y, r=r)]))


def draw(claims: Sequence[Claims]) -> list[Crop]:
    def compete(drawn: Sequence[Claims]) -> list[Crop]:
        return competing(PREPARED, [seeds_of(claim.geometry) for claim in drawn])

    return region_masks(compete, SHAPE, claims)


def shown(claims: Sequence[Claims]) -> np.ndarray:
    return fuse_regions(layers_of(claims, draw(claims)), SHAPE)


def ask(
    claims: Sequence[Claim], layers: list[int], target: np.ndarray, locked: Sequence[int] = (), **more: float
) -> Reshaped | None:
    held = [index in locked for index in range(len(claims))]
    return reshape(claims, layers, held, target.astype(np.uint16), lambda layer: MADE, draw, **more)


def after(claims: Sequence[Claim], found: Reshaped) -> list[Claim]:
    """The regions as they are stored then."""
    kept = [
        Claim(one.class_id, one.priority, one.order, found.changed[i].geometry) if i in found.changed else one
        for i, one in enumerate(claims)
        if i not in found.gone
    ]
    return [*kept, *(Claim(*MADE, shape.geometry) for _, shape in found.added)]


def box(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


LOW, HIGH = box(10, 10, 60, 60), box(30, 20, 50, 40)
MAPS = arrays(np.uint16, (6, 8), elements=st.integers(0, 4))


def grown(small: np.ndarray) -> np.ndarray:
    return small.repeat(12, axis=0).repeat(12, axis=1)


@settings(max_examples=40, deadline=None)
@given(MAPS, MAPS, st.sets(st.integers(0, 2)))
def test_regions_show_exactly_what_is_wanted_but_for_what_is_locked(
    before: np.ndarray, wanted: np.ndarray, locked: set[int]
) -> None:
    now, target = grown(before), grown(wanted)
    layers = [layer for layer in (1, 2, 3) if (now == layer).any()]
    # The lowest lies under all others, too.
    claims = [
        outlined((now == layer) | ((now > 0) & (place == 0)), layer, layer)
        for place, layer in enumerate(layers)
    ]
    current = np.array([0, *layers])[shown(claims)]
    found = ask(claims, layers, target, sorted(locked), iou_target=1.0)
    held = [layers[place] for place in locked if place < len(layers)]
    still = np.isin(current, held) | np.isin(target, held)
    if found is None:
        assert ((target == current) | still | (current != target)).all()
        result, stored = current, claims
    else:
        result, stored = found.layers, after(claims, found)
        assert not set(found.changed) & locked
        assert not set(found.gone) & locked
    owners = [layers[i] for i in range(len(layers)) if found is None or i not in found.gone]
    owners += [layer for layer, _ in found.added] if found else []
    assert (np.array([0, *owners])[shown(stored)] == result).all()
    # A layer that is locked has the pixels it had; a locked region that lies hidden keeps others where they are.
    for layer in held:
        assert ((result == layer) == (current == layer)).all()
    if not held:
        assert (result == target).all()


def test_only_what_has_to_change_does_and_hidden_parts_stay() -> None:
    far = box(70, 50, 90, 70)
    claims = [outlined(LOW), outlined(HIGH, 5, 2), outlined(far, 3, 3)]
    target = np.where(HIGH, 2, np.where(LOW, 1, np.where(far, 3, 0)))
    target[40:46, 30:50] = 2
    found = ask(claims, [1, 2, 3], target, iou_target=1.0)
    assert found is not None
    assert (sorted(found.changed), found.gone, found.added) == ([1], [], [])
    assert (found.layers == target).all()
    target[20:46, 30:50] = 1
    gone = ask(claims, [1, 2, 3], target, iou_target=1.0)
    assert gone is not None
    assert (gone.changed, gone.gone) == ({}, [1])
    # The upper one shrinks towards nobody: the lower one is cut where it would come to light, and only there.
    target = np.where(HIGH, 2, np.where(LOW, 1, np.where(far, 3, 0)))
    target[20:24, 30:50] = 0
    cut = ask(claims, [1, 2, 3], target)
    assert cut is not None
    assert sorted(cut.changed) == [0, 1]
    outline = cut.changed[0].geometry.outline
    assert outline is not None
    mask = rasterise(outline, SHAPE)
    assert iou(mask, LOW & ~box(30, 20, 50, 24)) > 0.98
    assert mask[24:40, 30:50].mean() > 0.9


def test_a_layer_that_is_back_gets_a_region_and_gains_go_to_the_nearest_one() -> None:
    left, right = box(4, 4, 20, 20), box(70, 4, 90, 20)
    claims = [outlined(left), outlined(right)]
    target = np.where(left | right | box(60, 4, 70, 20), 1, 0)
    target[40:60, 40:60] = 7
    found = ask(claims, [1, 1], target)
    assert found is not None
    assert sorted(found.changed) == [1]
    assert found.changed[1].area == 30 * 16
    ((layer, shape),) = found.added
    assert (layer, shape.area, shape.iou) == (7, 400, 1.0)
    (point,) = shape.geometry.points
    assert (40 < point.x < 60, 40 < point.y < 60, point.label, point.r) == (True, True, 1, 10.0)


def test_a_locked_region_that_lies_hidden_does_not_come_to_light() -> None:
    claims = [outlined(LOW), outlined(HIGH, 5, 2), outlined(box(35, 25, 45, 35), 3, 3)]
    target = np.where(LOW, 1, 0)
    found = ask(claims, [1, 2, 3], target, locked=[2], iou_target=1.0)
    assert found is not None
    assert not (found.layers == 3).any()
    assert (found.layers[25:35, 35:45] == 2).all()
    assert (found.layers[20:25, 30:50] == 1).all()


def test_points_that_compete_leave_their_neighbours_as_they_are() -> None:
    disc, bar = SCENE == 1, SCENE == 2
    claims = [
        clicked(6.5, 6.5, 5, class_id=1),
        clicked(WIDTH * 0.3, HEIGHT * 0.45, 8, 5, 2),
        clicked(WIDTH * 0.75, HEIGHT * 0.6, 5, 4, 3),
    ]
    now = shown(claims)
    assert iou(now == 2, disc) > 0.9
    assert iou(now == 3, bar) > 0.9
    target = np.where(now == 2, 0, now)  # the disc becomes nobody's
    # The floor would grow into what the disc leaves: where it is locked, the disc stays.
    assert ask(claims, [1, 2, 3], target, locked=[0]) is None
    edge = (now == 2) & ~np.roll(now == 2, 3, axis=1)
    kept = ask(claims, [1, 2, 3], np.where(edge, 3, target), locked=[0])
    assert kept is not None
    assert (kept.layers == np.where(edge, 3, now)).all()
    for locked in ([], [2]):
        found = ask(claims, [1, 2, 3], target, locked)
        assert found is not None
        stored = after(claims, found)
        assert np.count_nonzero((found.layers > 0) & (now == 2)) < 50
        owners = np.array([0, *(i + 1 for i in range(3) if i not in found.gone)])
        assert (owners[shown(stored)] == found.layers).all()
        for index in locked:
            assert index not in found.changed
            assert ((found.layers == index + 1) == (now == index + 1)).all()


def test_certificates_say_how_well_what_is_seen_was_met() -> None:
    disc = SCENE == 1
    claims = [outlined(np.ones(SHAPE, bool)), outlined(disc, 5, 2)]
    target = np.where(drawing.scene(3, WIDTH, HEIGHT)[1] == 1, 2, 1)
    found = ask(claims, [1, 2], target, iou_target=0.96)
    assert found is not None
    shape = found.changed[1]
    assert 0.96 <= shape.iou < 1
    assert shape.iou == iou(found.layers == 2, target == 2)
    assert shape.boundary_f > 0.9
    assert sum(len(ring) for ring in shape.geometry.outline or []) < 20
