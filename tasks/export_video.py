"""Exports that are videos: overlay, original and overlay side by side, masks of classes or tracks.

Every frame is read and rendered once for several files, and no more than a few frames are held. A file is written
aside and renamed; after a kill the unfinished ones are begun anew and the finished ones kept.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from app.algo.labels import hex_colour
from app.errors import Refused
from app.formats.frames import fitted
from app.formats.out.names import plain_name, unique
from app.formats.out.options import Options
from app.formats.overlay import Look, Painter
from app.formats.overlay_labels import Labeller, Named
from app.formats.video_out import Form, Timing, VideoOut, timing
from app.formats.video_out_sound import SoundFile
from app.models import ClassDef
from tasks.channel import Channel
from tasks.export_frames import read_notes, write_notes
from tasks.given_masks import GivenMasks, added, notes_of
from tasks.rendering import classes_of, read_frame, winner_map
from tasks.snapshot import FrameEntry, Section, Snapshot
from tasks.sound import cut_out
from tasks.videos import end_of, full_disk, size_of

AT_ONCE = 8
"""Mask videos that are written in one pass over the frames: each holds an encoder."""

RENDERERS = 4
"""Threads that read and render frames."""

MOST = 200
"""Mask videos of one export."""

Image = NDArray[np.uint8]
Written = tuple[list[str], int, int]
"""Names of the files, frames written, frames skipped."""


class Work(NamedTuple):
    """What a video export works with. `end`: when the last frame's time is over, None where nobody knows."""

    channel: Channel
    snapshot: Snapshot
    out: Path
    data: Path
    options: Options
    end: float | None
    notes: list[str]

    @property
    def classes(self) -> list[ClassDef]:
        return self.snapshot.header.class_template.classes

    def section(self) -> Section:
        """The one asset of the export. Raises Refused where it is not one, or has no frames."""
        sections = [section for section in self.snapshot.sections if section.frames]
        if len(sections) != 1:
            raise Refused("A video is made of one asset with frames: choose which.")
        return sections[0]


def overlay(work: Work) -> Written:
    """`<stem>_overlay.mp4`."""
    return _picture(work, "overlay", lambda original, painted: painted, (1, 1))


def side_by_side(work: Work) -> Written:
    """`<stem>_side-by-side.mp4`: the original left of the overlay, or above it."""
    stacked = work.options.arrangement == "stacked"
    join = np.vstack if stacked else np.hstack
    return _picture(
        work,
        "side-by-side",
        lambda original, painted: join((original, painted)),
        (1, 2) if stacked else (2, 1),
    )


def _picture(
    work: Work, suffix: str, compose: Callable[[Image, Image], Image], panels: tuple[int, int]
) -> Written:
    section, options = work.section(), work.options
    target = work.out / f"{plain_name(section.asset.stem, 'frames')}_{suffix}.mp4"
    if not target.exists():
        size = _panel(size_of(work.snapshot, section), panels, options.max_side)
        look = Look(opacity=options.opacity, outlines=options.outlines, width=options.outline_width)
        painter, labeller = Painter(work.classes, look), Labeller()
        naming = _Naming(work)
        clock = timing(section.times, section.asset.fps, end_of(section, work.end))
        missing: dict[str, int] = {}
        notes: list[str] = []
        whole = (size[0] * panels[0], size[1] * panels[1])
        with _sound(work, section, clock, notes) as sound:
            part = target.with_name(target.name + ".part")
            with (
                _files([part], whole, clock, options.quality, sound) as (video,),
                closing(_frames(work, section, missing, images=True)) as frames,
            ):
                for done, (entry, image, winners) in enumerate(frames, 1):
                    work.channel.check()
                    assert image is not None
                    painted = scaled = _fit(image, size)
                    if winners is not None:
                        painted = painter.paint(scaled, _fit(classes_of(entry, winners), size))
                        if options.labels != "none":
                            painted = painted.copy() if painted is scaled else painted
                            labeller.draw(painted, _fit(winners, size), naming.of(entry))
                    video.add(compose(scaled, painted))
                    work.channel.report(done, section.frames)
                work.channel.report(section.frames, section.frames, "Finishing the video", now=True)
            write_notes(work.out, [*notes, *video.notes, *notes_of(missing)])
            part.replace(target)
    work.notes.extend(read_notes(work.out))
    return [target.name], section.frames, 0


class _Frame(NamedTuple):
    """A frame with its image, None where that is not wanted, and its winner map, None where it has no region."""

    entry: FrameEntry
    image: Image | None
    winners: NDArray[np.uint16] | None


def _frames(work: Work, section: Section, missing: dict[str, int], *, images: bool) -> Generator[_Frame]:
    """The frames of a section in order, read and rendered by a few threads that are at most as many frames ahead.

    Masks that were not at hand are counted in `missing`. Close it when it is not used up.
    """

    def render(entry: FrameEntry) -> tuple[_Frame, dict[str, int]]:
        given, image = GivenMasks(work.data), read_frame(entry) if images else None
        winners = winner_map(entry, given, image) if entry.specs else None
        return _Frame(entry, image, winners), given.missing

    waiting: deque[Future[tuple[_Frame, dict[str, int]]]] = deque()
    threads = max(1, min(RENDERERS, os.cpu_count() or 1))
    with ThreadPoolExecutor(threads, "render") as pool:
        try:
            entries = work.snapshot.frames(section)
            waiting.extend(pool.submit(render, entry) for entry in islice(entries, threads))
            while waiting:
                frame, lacking = waiting.popleft().result()
                waiting.extend(pool.submit(render, entry) for entry in islice(entries, 1))
                added(missing, lacking)
                yield frame
        finally:
            pool.shutdown(cancel_futures=True)


class _Naming:
    """Which names stand at the regions of a frame."""

    def __init__(self, work: Work) -> None:
        self._classes = {known.id: known for known in work.classes}
        header = work.snapshot.header
        by_track = work.options.labels == "track"
        self._tracks = {track.id: track.name for track in header.tracks} if by_track else {}

    def of(self, entry: FrameEntry) -> list[Named | None]:
        tracks = {region.id: region.track_id for region in entry.regions}
        found: list[Named | None] = []
        for number, spec in enumerate(entry.specs):
            known = self._classes.get(spec.class_id)
            track = tracks.get(spec.id)
            if known is None:
                found.append(None)
                continue
            text = self._tracks.get(track or "", "") or known.name
            found.append(Named(track or f"{spec.class_id} {number}", text, hex_colour(known.colour)))
        return found


# ── masks ────────────────────────────────────────────────────────────


class _Mask(NamedTuple):
    """A file: the pixels of a class, or those of a track."""

    name: str
    class_id: int | None
    track_id: str | None

    def of(self, entry: FrameEntry, winners: NDArray[np.uint16]) -> Image:
        """(H, W) uint8, 255 on the class or track."""
        tracks = {region.id: region.track_id for region in entry.regions}
        table = np.zeros(len(entry.specs) + 1, np.uint8)
        for number, spec in enumerate(entry.specs, 1):
            mine = (
                spec.class_id == self.class_id
                if self.track_id is None
                else tracks.get(spec.id) == self.track_id
            )
            table[number] = 255 if mine else 0
        return table[winners]


def masks(work: Work) -> Written:
    """`<stem>_mask_<class or track>.mp4`, or `.mkv` where they are to be exact: one file each."""
    section = work.section()
    form: Form = "exact" if work.options.lossless else "mask"
    wanted = _wanted_masks(work, section)
    targets = [work.out / mask.name for mask in wanted]
    missing = [pair for pair in zip(wanted, targets, strict=True) if not pair[1].exists()]
    size = size_of(work.snapshot, section)
    clock = timing(section.times, section.asset.fps, end_of(section, work.end))
    total = section.frames * -(-len(wanted) // AT_ONCE)
    before = total - section.frames * -(-len(missing) // AT_ONCE)
    for start in range(0, len(missing), AT_ONCE):
        batch = missing[start : start + AT_ONCE]
        stood_in: dict[str, int] = {}
        parts = [target.with_name(target.name + ".part") for _, target in batch]
        with (
            _files(parts, size, clock, form, None) as videos,
            closing(_frames(work, section, stood_in, images=False)) as frames,
        ):
            for done, (entry, _image, winners) in enumerate(frames, 1):
                work.channel.check()
                for (mask, _), video in zip(batch, videos, strict=True):
                    grey = np.zeros(size[::-1], np.uint8) if winners is None else mask.of(entry, winners)
                    video.add(_fit(grey, size))
                work.channel.report(before + done, total)
        before += section.frames
        write_notes(work.out, [*videos[0].notes, *notes_of(stood_in)])
        for part, (_, target) in zip(parts, batch, strict=True):
            part.replace(target)
    work.notes.extend(read_notes(work.out))
    return [target.name for target in targets], section.frames, 0


def _wanted_masks(work: Work, section: Section) -> list[_Mask]:
    """The files to be made. Raises Refused where there is nothing to make one of, or too much."""
    options, header = work.options, work.snapshot.header
    class_ids, track_ids = set(options.class_ids), set(options.track_ids)
    if not class_ids and not track_ids:
        for entry in work.snapshot.frames(section):
            tracks = {region.id: region.track_id for region in entry.regions}
            if options.objects == "region":
                track_ids.update(track for spec in entry.specs if (track := tracks.get(spec.id)))
            else:
                class_ids.update(spec.class_id for spec in entry.specs)
    found = [(known.name, known.id, None) for known in work.classes if known.id in class_ids]
    found += [(track.name, None, track.id) for track in header.tracks if track.id in track_ids]
    if not found:
        what = "track" if options.objects == "region" else "region"
        raise Refused(f"No frame has a {what} yet that a mask video could be made of.")
    if len(found) > MOST:
        raise Refused(
            f"{len(found)} mask videos are too many at once: choose at most {MOST} classes or tracks."
        )
    stem = plain_name(section.asset.stem, "frames")
    suffix = "mkv" if options.lossless else "mp4"
    names = unique((name for name, _, _ in found), otherwise="mask")
    return [
        _Mask(f"{stem}_mask_{name}.{suffix}", class_id, track_id)
        for name, (_, class_id, track_id) in zip(names, found, strict=True)
    ]


# ── sizes, times, sound ────────────────────────────────────────────────────────────


def _panel(size: tuple[int, int], panels: tuple[int, int], most: int) -> tuple[int, int]:
    """The size (width, height) of one picture where the video of all panels may have sides of `most` px."""
    if not most:
        return size
    return fitted(*size, (max(2, most // panels[0]), max(2, most // panels[1])))


def _fit(image: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Pixels (H, W) or (H, W, 3) scaled to lie in the middle of `size` (width, height), 0 around them.

    Numbers (two axes) are never mixed with each other.
    """
    width, height = size
    if image.shape[:2] == (height, width):
        return image
    ratio = min(width / image.shape[1], height / image.shape[0])
    inner = (max(1, round(image.shape[1] * ratio)), max(1, round(image.shape[0] * ratio)))
    if abs(inner[0] - width) <= 1 and abs(inner[1] - height) <= 1:
        inner = size
    smooth = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(image, inner, interpolation=smooth if image.ndim == 3 else cv2.INTER_NEAREST_EXACT)
    if inner == size:
        return scaled
    canvas = np.zeros((height, width, *image.shape[2:]), image.dtype)
    top, left = (height - inner[1]) // 2, (width - inner[0]) // 2
    canvas[top : top + inner[1], left : left + inner[0]] = scaled
    return canvas


@contextmanager
def _files(
    parts: Sequence[Path],
    size: tuple[int, int],
    clock: Timing,
    form: Form,
    sound: SoundFile | None,
) -> Iterator[list[VideoOut]]:
    """Videos being written; none of them is left behind where something raises."""
    try:
        with full_disk(), ExitStack() as stack:
            yield [
                stack.enter_context(
                    VideoOut(part, size, clock, form=form, sound=sound, threads=0 if len(parts) == 1 else 1)
                )
                for part in parts
            ]
    except BaseException:
        for part in parts:
            part.unlink(missing_ok=True)
        raise


@contextmanager
def _sound(work: Work, section: Section, clock: Timing, notes: list[str]) -> Iterator[SoundFile | None]:
    """The sound of the frames, or None and a note that says why there is none."""
    asset, first = section.asset, section.times[0]
    source = work.data / "assets" / asset.id / asset.source
    reason = ""
    if not work.options.audio:
        yield None
        return
    if asset.kind != "video":
        reason = "images have none"
    elif not clock.exact or first is None:
        reason = "its frames have no times of their own to keep it in step with"
    elif not source.is_file():
        reason = "the source is no longer at hand"
    if reason or first is None:
        notes.append(f"The video has no sound: {reason}.")
        yield None
        return
    work.channel.report(0, section.frames, "Cutting out the sound", now=True)
    target = work.channel.folder / "sound.mp4"
    begin = Fraction(first).limit_denominator(1_000_000)
    try:
        found = cut_out(work.channel, source, target, begin, begin + clock.seconds)
    except Refused as exc:
        found = None
        notes.append(f"The video has no sound: {exc.sentence}")
    else:
        if found is None:
            part = "" if section.frames == asset.frame_count else " for these frames"
            notes.append(f"The video has no sound: the source has none{part}.")
        elif not found.sound.copied:
            notes.append(f"The sound was {found.sound.codec}; it is written as AAC.")
    work.channel.report(0, section.frames, "Writing the frames", now=True)
    try:
        yield None if found is None else SoundFile(target, found.behind)
    finally:
        target.unlink(missing_ok=True)
