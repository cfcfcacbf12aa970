"""Alphas of the targets of a matte, frame by frame: what is seen of a target, a band around its boundary as wide as its
regions are unsure, and alpha within the band.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from app.algo.matting import Matte, matte
from app.errors import Refused
from app.matting import MatteParameters
from app.models import Region
from tasks.channel import write_aside
from tasks.given_masks import GivenMasks
from tasks.matte_files import Target
from tasks.rendering import read_frame, winner_map
from tasks.snapshot import FrameEntry

THREADS: dict[str, int] = {"matte-fast": 4, "matte-fine": 2}
"""Frames that an engine works on at once, at most; each needs the memory of one."""
UNREACHED = 0.5
"""Doubt about pixels of a region that lie within the reach of none of its points."""
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
_MOST = 65535

T = TypeVar("T")
Image = NDArray[np.uint8]
Alpha = NDArray[np.float32]


class Made(NamedTuple):
    """A frame: by target, alpha (H, W) float32, None where it has no mask; engine → masks that were not at hand."""

    entry: FrameEntry
    alphas: list[Alpha | None]
    stood_in: dict[str, int]


def masks_of(
    entry: FrameEntry, winners: NDArray[np.uint16], targets: Sequence[Target]
) -> list[NDArray[np.bool_]]:
    """What is seen of each target: (H, W) bool."""
    masks = []
    for target in targets:
        table = np.zeros(len(entry.specs) + 1, bool)
        table[[position + 1 for position in target.wanted(entry)]] = True
        masks.append(table[winners])
    return masks


def doubt(entry: FrameEntry, winners: NDArray[np.uint16], target: Target) -> NDArray[np.float32] | None:
    """How unsure the boundary of a target's regions is: (H, W) float32, 0..1, on the pixels of each region.

    By what is known of the region as a whole, and where no point of it reaches. None where all are sure.
    """
    regions = {region.id: region for region in entry.regions}
    wanted = target.wanted(entry)
    table = np.zeros(len(entry.specs) + 1, np.float32)
    for position in wanted:
        table[position + 1] = unsure(regions[entry.specs[position].id])
    out = table[winners]
    for position in wanted:
        circles = [p for p in entry.specs[position].geometry.points if p.label and p.r]
        if entry.specs[position].geometry.outline or not circles:
            continue
        beyond = np.ones(winners.shape, np.uint8)
        for p in circles:
            cv2.circle(beyond, (int(p.x), int(p.y)), round(p.r), 0, -1)
        mine = (winners == position + 1) & (beyond > 0)
        out[mine] = np.maximum(out[mine], UNREACHED)
    return out if out.any() else None


def unsure(region: Region) -> float:
    """0..1: what the certificate, the tracker and the walks there and back leave open."""
    sure = [1.0 if region.certificate is None else min(region.certificate.iou, region.certificate.boundary_f)]
    sure += [value for value in (region.score, region.agreement) if value is not None]
    return float(np.clip(1 - min(sure), 0, 1))


def made(
    entries: Iterable[FrameEntry],
    targets: Sequence[Target],
    engine: str,
    parameters: MatteParameters,
    data: Path,
    check: Callable[[], None],
) -> Generator[Made]:
    """The frames in order, each done by one of a few threads; `check` is called while one takes its time.

    Close it when it is not used up. Raises Refused for a frame that cannot be read.
    """

    def make(entry: FrameEntry) -> Made:
        given = GivenMasks(data)
        found = mattes_of(entry, read_frame(entry), targets, engine, parameters, given)
        return Made(entry, [None if one is None else one.alpha for one in found], given.missing)

    return ahead(make, entries, min(THREADS.get(engine, 1), os.cpu_count() or 1), check)


def ahead(
    make: Callable[[FrameEntry], T], entries: Iterable[FrameEntry], threads: int, check: Callable[[], None]
) -> Generator[T]:
    """What `make` makes of the entries, in order, by threads that are at most as many frames ahead.

    `check` is called every second while a frame takes its time, and may raise. Close it when it is not used up.
    """
    waiting: deque[Future[T]] = deque()
    left = iter(entries)
    with ThreadPoolExecutor(threads, "matte") as pool:
        try:
            waiting.extend(pool.submit(make, entry) for entry in islice(left, threads))
            while waiting:
                while not wait([waiting[0]], timeout=1).done:
                    check()
                found = waiting.popleft().result()
                waiting.extend(pool.submit(make, entry) for entry in islice(left, 1))
                yield found
        finally:
            pool.shutdown(cancel_futures=True)


def mattes_of(
    entry: FrameEntry,
    image: Image,
    targets: Sequence[Target],
    engine: str,
    parameters: MatteParameters,
    given: GivenMasks,
) -> list[Matte | None]:
    """By target, alpha and trimap on one frame, None where nothing of it is seen."""
    if not any(target.wanted(entry) for target in targets):
        return [None] * len(targets)
    winners = winner_map(entry, given, image)
    found: list[Matte | None] = []
    for target, mask in zip(targets, masks_of(entry, winners, targets), strict=True):
        unsure_map = doubt(entry, winners, target) if mask.any() else None
        found.append(
            matte(image, mask, engine=engine, parameters=parameters, uncertainty=unsure_map)
            if mask.any()
            else None
        )
    return found


def write_alpha(path: Path, alpha: Alpha) -> None:
    """(H, W) float32 alpha 0..1 as a 16-bit grey PNG, written aside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(".png", np.rint(np.clip(alpha, 0, 1) * _MOST).astype(np.uint16), _PNG)
    if not done:
        raise Refused("An alpha could not be written as PNG.")
    write_aside(path, data.tobytes())


def read_alpha(path: Path, shape: tuple[int, int]) -> Alpha | None:
    """The alpha (H, W) float32 of a frame; None where there is no file, or a damaged one."""
    try:
        raw = np.frombuffer(path.read_bytes(), np.uint8)
    except FileNotFoundError:
        return None
    found = cv2.imdecode(raw, cv2.IMREAD_UNCHANGED) if raw.size else None
    if found is None or found.dtype != np.uint16 or found.shape != shape:
        return None
    return np.divide(found, np.float32(_MOST), dtype=np.float32)
