"""Labels are carried along with what a frame shows, and only where that is known."""

import gc
from itertools import pairwise
from weakref import ref

import numpy as np
import pytest

from app.algo.motion import between, picture

HEIGHT, WIDTH = 96, 128


def texture(seed: int, shape: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8: blobs of a few pixels, which a flow can follow."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (shape[0] // 4 + 1, shape[1] // 4 + 1, 3)).astype(np.uint8)
    return np.kron(coarse, np.ones((4, 4, 1), np.uint8))[: shape[0], : shape[1]]


def shot(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Frame `index` and its labels: a textured square (5) that moves 3 px right a frame over texture (2)."""
    image, labels = texture(1, (HEIGHT, WIDTH)), np.full((HEIGHT, WIDTH), 2, np.uint16)
    left = 30 + 3 * index
    image[30:60, left : left + 30] = texture(2, (30, 30))
    labels[30:60, left : left + 30] = 5
    return image, labels


def test_labels_are_carried_with_what_moves():
    (first, first_labels), (second, second_labels) = shot(0), shot(1)
    motion = between(picture(first), picture(second))
    carried, valid = motion.carry(first_labels)
    assert not motion.cut
    assert carried.dtype == np.uint16
    assert valid.mean() > 0.85
    assert np.mean(carried[valid] == second_labels[valid]) > 0.99


def test_labels_are_carried_back():
    (first, first_labels), (second, second_labels) = shot(0), shot(1)
    carried, valid = between(picture(first), picture(second)).carry_back(second_labels)
    assert valid.mean() > 0.85
    assert np.mean(carried[valid] == first_labels[valid]) > 0.99


def test_what_was_hidden_before_is_not_known():
    (first, labels), (second, _) = shot(0), shot(3)
    _, valid = between(picture(first), picture(second)).carry(labels)
    uncovered = valid[32:58, 31:38]
    assert uncovered.mean() < 0.3


def test_nothing_is_carried_across_a_cut():
    first, labels = shot(0)
    second = 255 - np.roll(texture(9, (HEIGHT, WIDTH)), 40, axis=1) // 3
    motion = between(picture(first), picture(second))
    assert motion.cut
    assert not motion.carry(labels)[1].any()
    assert not motion.carry_back(labels)[1].any()


def test_frames_of_different_sizes_are_of_different_shots():
    first, _ = shot(0)
    assert between(picture(first), picture(first[:, :100].copy())).cut


def test_two_steps_lead_to_the_frame_before_the_last():
    frames = [shot(index) for index in range(3)]
    pictures = [picture(image) for image, _ in frames]
    steps = [between(*pair).fields for pair in pairwise(pictures)]
    assert steps[0] is not None
    assert steps[1] is not None
    carried, valid = steps[1][0].through(steps[0][0]).carry(frames[0][1])
    assert valid.mean() > 0.7
    assert np.mean(carried[valid] == frames[2][1][valid]) > 0.98


def test_a_large_frame_is_compared_at_a_small_size_and_carried_at_its_own():
    big = np.kron(texture(3, (360, 480)), np.ones((3, 3, 1), np.uint8))
    kept = picture(big)
    labels = np.zeros(big.shape[:2], np.uint16)
    labels[300:600, 400:700] = 3
    assert kept.grey.size < big.shape[0] * big.shape[1] / 4
    carried, valid = between(kept, picture(np.roll(big, 12, axis=1))).carry(labels)
    moved = np.roll(labels, 12, axis=1)
    assert valid[:, 50:-50].mean() > 0.9
    assert np.mean(carried[valid] == moved[valid]) > 0.998


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (15, 15), (16, 17)])
def test_tiny_frames_are_no_error(shape: tuple[int, int]):
    image = texture(4, shape)
    labels = np.ones(shape, np.uint16)
    carried, valid = between(picture(image), picture(image)).carry(labels)
    assert valid.all()
    assert (carried == 1).all()


def test_a_motion_is_computed_once_and_keeps_no_picture():
    pictures = [picture(shot(index)[0]) for index in range(3)]
    motion = between(*pictures[:2])
    assert between(*pictures[:2]) is motion
    assert between(pictures[0], pictures[2]) is not motion
    between(*pictures[1:])
    gone = ref(pictures[0])
    del pictures[0]
    gc.collect()
    assert gone() is None
