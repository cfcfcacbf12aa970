"""How videos and frames are cut for mattes, and what that costs."""

from __future__ import annotations

from itertools import pairwise

import pytest

from app.matte_memory import CAP, TILE_OVERLAP, capped, chunks, fitted, need, seam, tiles
from app.matting import MatteParameters

GIB = 1 << 30


@pytest.mark.parametrize(("frames", "length", "overlap"), [(1, 16, 2), (16, 16, 2), (17, 16, 8), (100, 7, 3)])
def test_chunks_cover_every_frame_and_their_weights_sum_up_to_one(
    frames: int, length: int, overlap: int
) -> None:
    spans = chunks(3, 3 + frames, length, overlap)
    assert (spans[0][0], spans[-1][1]) == (3, 3 + frames)
    assert all(0 < end - begin <= length for begin, end in spans)
    assert all(before[1] - after[0] == overlap for before, after in pairwise(spans))
    for at in range(3, 3 + frames):
        weights = [seam(spans, index, at) for index, (begin, end) in enumerate(spans) if begin <= at < end]
        assert len(weights) <= 2
        assert min(weights) > 0
        assert sum(weights) == pytest.approx(1)


def test_weights_fall_in_a_straight_line_from_one_chunk_to_the_next() -> None:
    spans = chunks(0, 12, 8, 3)
    assert [seam(spans, 1, at) for at in (5, 6, 7, 8)] == [0.25, 0.5, 0.75, 1]


@pytest.mark.parametrize("size", [(1024, 576), (576, 1024), (704, 832)])
def test_frames_of_the_training_size_are_done_whole(size: tuple[int, int]) -> None:
    assert tiles(size) == ([(0, size[0])], [(0, size[1])])


@pytest.mark.parametrize(
    ("size", "side"), [((1920, 1088), 0), ((1088, 1920), 0), ((3840, 64), 0), ((2048, 1152), 512)]
)
def test_larger_frames_are_cut_into_tiles_that_overlap(size: tuple[int, int], side: int) -> None:
    for spans, length in zip(tiles(size, side), size, strict=True):
        assert (spans[0][0], spans[-1][1]) == (0, length)
        assert len({end - begin for begin, end in spans}) == 1
        assert all(begin % 8 == 0 and (end - begin) % 64 == 0 for begin, end in spans)
        assert all(before[1] - after[0] >= TILE_OVERLAP for before, after in pairwise(spans))
    columns, rows = tiles(size, side)
    assert columns[0][1] * rows[0][1] <= (side * side or 1024 * 576)


def test_sizes_are_fitted_to_what_the_engines_take() -> None:
    assert fitted((1920, 1080)) == (1920, 1088)
    assert fitted((100, 1)) == (128, 64)
    assert capped((1920, 1080)) == (1920, 1080)
    assert capped((2160, 3840)) == (CAP, 1920)
    assert capped((1, 400)) == (96, 400)


def test_memory_follows_the_published_shapes() -> None:
    whole = need("videomama", (1024, 576), 16, MatteParameters(), gpu=True)
    assert (whole.chunks, whole.tiles, whole.seconds) == (1, 1, None)
    assert 11 * GIB < (whole.memory or 0) < 13 * GIB
    large = need("videomama", (1920, 1080), 100, MatteParameters(), gpu=True)
    assert (large.chunks, large.tiles) == (7, 4)
    assert large.memory == whole.memory, "tiles keep the memory of large frames at that of small ones"
    person = need("matanyone", (1920, 1080), 10, MatteParameters())
    assert 3.5 * GIB < (person.memory or 0) < 5 * GIB
    assert need("matanyone", (3840, 2160), 10, MatteParameters()).memory == person.memory


def test_time_is_told_only_where_it_was_measured() -> None:
    once = need("matanyone", (512, 288), 22, MatteParameters(warm_up=10))
    assert once.seconds == pytest.approx(1.5 * (22 + 22))
    assert need("matanyone", (512, 288), 22, MatteParameters(), gpu=True).seconds is None
    fast, fine = (need(name, (1920, 1080), 10, MatteParameters()) for name in ("matte-fast", "matte-fine"))
    assert 0 < (fast.seconds or 0) < (fine.seconds or 0)
    assert need("sam3", (640, 480), 10, MatteParameters()).memory is None
