"""The files that a matte leaves as: one `MatteWriter` for one kind of `app.matting.OUTPUTS` and one target.

| kind | file | sound |
|---|---|---|
| alpha-mp4 | alpha as grey, H.264 in limited range | – |
| foreground-mp4 | the target on one colour, H.264 | AAC, MP3 |
| preview-mp4 | the target on a checkerboard, H.264 | AAC, MP3 |
| rgba-png | 8-bit RGBA PNGs in a stored zip | – |
| webm | VP9 with alpha | Opus |
| prores | ProRes 4444 | AAC, MP3 |

What shows of the target are its estimated colours, so nothing of the old background spills into the new one. Every
frame has its own time; frames are encoded as they come, in constant memory.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from app.algo.labels import hex_colour
from app.errors import Refused
from app.formats.matte_rgba import CODECS, RgbaVideo, RgbaZip, levels
from app.formats.out.names import plain_name, unique
from app.formats.video_out import ENCODERS, Form, Timing, VideoOut
from app.formats.video_out_sound import ENCODERS as SOUND_ENCODERS
from app.formats.video_out_sound import Codec, SoundFile, can_encode
from app.matting import OUTPUTS

SOUND: dict[str, Codec] = {
    "foreground-mp4": "aac",
    "preview-mp4": "aac",
    "webm": "opus",
    "prores": "aac",
}
"""Kinds that sound belongs to → how it is to be cut out for them."""

_TAKEN: dict[Codec, tuple[str, ...]] = {"aac": ("aac", "mp3"), "opus": ("opus",)}
_LIGHT, _DARK = 204, 153
"""The greys of the checkerboard."""

Image = NDArray[np.uint8]
Alpha = NDArray[np.float32]


class Sink(Protocol):
    """What frames are handed to: (H, W, 3) uint8 estimated colours and (H, W) float32 alpha 0..1."""

    notes: list[str]

    def add(self, rgb: Image, alpha: Alpha) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def available(kind: str, *, without: Collection[str] = ()) -> str | None:
    """None where this FFmpeg can write the kind, else a sentence that says what it lacks.

    `without`: encoders that count as lacking.
    """

    def there(name: str) -> bool:
        return name not in without and can_encode(name)

    if kind not in OUTPUTS:
        return f"There is no output {kind[:40]!r}. Outputs: {', '.join(OUTPUTS)}."
    codec = CODECS.get(kind)
    if codec is not None and not there(codec.encoder):
        return f"This FFmpeg cannot write {OUTPUTS[kind].title}: it has no {codec.encoder}."
    if kind.endswith("-mp4") and not any(map(there, ENCODERS)):
        return f"This FFmpeg cannot write {OUTPUTS[kind].title}: it has no H.264."
    return None


def sound_of(kind: str) -> Codec | None:
    """How sound is to be cut out for a kind (`video_out_sound.cut`); None where it has none or FFmpeg cannot."""
    codec = SOUND.get(kind)
    return codec if codec is not None and can_encode(SOUND_ENCODERS[codec]) else None


def stems(asset: str, targets: Collection[str]) -> list[str]:
    """`<asset>_<target>` for every target as file names that differ; with `suffix` of OUTPUTS, or ".json", files."""
    stem = plain_name(asset, "frames")
    return [f"{stem}_{name}" for name in unique(targets, otherwise="target")]


class MatteWriter:
    """One file of a matte, written as its frames come. `notes` say what the user should know.

    Write aside and rename: the file is complete only after the context is left normally. Left by an exception, or
    with fewer frames than were announced, it is taken away. A full disk is an OSError in every kind.
    """

    def __init__(self, path: Path, size: tuple[int, int], frames: int, sink: Sink) -> None:
        self._path = path
        self._shape = (size[1], size[0])
        self._left = frames
        self._sink = sink
        self.notes = sink.notes

    def add(self, rgb: Image, alpha: Alpha) -> None:
        """The next frame: (H, W, 3) uint8 estimated colours and (H, W) float32 alpha 0..1.

        Raises ValueError for another size, or more frames than were announced.
        """
        if rgb.shape != (*self._shape, 3) or alpha.shape != self._shape:
            raise ValueError(f"Colours {rgb.shape} and alpha {alpha.shape} in a file of {self._shape}.")
        if not self._left:
            raise ValueError("There are more frames than times.")
        self._sink.add(rgb, alpha)
        self._left -= 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        whole = False
        try:
            self._sink.__exit__(kind, exc, trace)
            if kind is None and self._left:
                raise ValueError(f"{self._left} frames of a matte were not written.")
            whole = kind is None
        finally:
            if not whole:
                self._path.unlink(missing_ok=True)


def open_matte(
    kind: str,
    path: Path,
    size: tuple[int, int],
    timing: Timing,
    *,
    background: str = "#00ff00",
    sound: SoundFile | None = None,
    stem: str = "frame",
    first: int = 0,
    threads: int = 0,
) -> MatteWriter:
    """A writer for one kind of OUTPUTS at `path`, for as many frames as `timing` has.

    `size` = (width, height); `background` ("#rrggbb") stands behind foreground-mp4; `sound` is muxed where SOUND has
    the kind and its container takes the codec; images in a zip are `<stem>_<number>.png`, numbered from `first`;
    `threads` of the encoder, 0 = as many as it likes. Raises Refused for a kind that is not `available` or what is
    no colour.
    """
    reason = available(kind)
    if reason is not None:
        raise Refused(reason)
    colour = hex_colour(background)
    notes: list[str] = []
    sound = _fitting(kind, sound, notes)
    sink: Sink
    if kind == "alpha-mp4":
        sink = _Alpha(VideoOut(path, size, timing, form="mask", threads=threads))
    elif kind == "rgba-png":
        sink = RgbaZip(path, stem, first)
    elif kind in CODECS:
        sink = RgbaVideo(path, size, timing, CODECS[kind], sound=sound, threads=threads)
    else:
        form: Form = "high" if kind == "foreground-mp4" else "standard"
        behind = np.empty((size[1], size[0], 3), np.uint8)
        behind[:] = colour if kind == "foreground-mp4" else checkerboard(size)[..., None]
        sink = _Over(VideoOut(path, size, timing, form=form, sound=sound, threads=threads), behind)
    sink.notes[:0] = notes
    return MatteWriter(path, size, len(timing.ticks), sink)


def _fitting(kind: str, sound: SoundFile | None, notes: list[str]) -> SoundFile | None:
    """The sound where the kind takes it; else it is closed, and a note says so where one could expect it."""
    wanted = SOUND.get(kind)
    if sound is None or (wanted and sound.codec in _TAKEN[wanted]):
        return sound
    if wanted:
        notes.append(f"{OUTPUTS[kind].title} has no sound: it cannot hold {sound.codec}.")
    sound.close()
    return None


def over(rgb: Image, alpha: Alpha, behind: Image) -> Image:
    """(H, W, 3) uint8: `rgb` by `alpha` (H, W) 0..1 over `behind`, mixed as the levels are, without a gamma."""
    return cv2.blendLinear(rgb, behind, alpha, 1 - alpha).astype(np.uint8, copy=False)


def checkerboard(size: tuple[int, int]) -> Image:
    """(H, W) uint8: squares of two greys, about 60 along the shorter side, of at least 8 px."""
    width, height = size
    side = max(8, round(min(size) / 60))
    odd = (np.arange(height)[:, None] // side + np.arange(width) // side) % 2
    return np.where(odd, _DARK, _LIGHT).astype(np.uint8)


class _Alpha:
    """Alpha as a grey video."""

    def __init__(self, video: VideoOut) -> None:
        self._video = video
        self.notes = video.notes

    def add(self, rgb: Image, alpha: Alpha) -> None:
        self._video.add(levels(alpha))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._video.__exit__(kind, exc, trace)


class _Over(_Alpha):
    """The target over a picture."""

    def __init__(self, video: VideoOut, behind: Image) -> None:
        super().__init__(video)
        self._behind = behind

    def add(self, rgb: Image, alpha: Alpha) -> None:
        self._video.add(over(rgb, alpha, self._behind))
