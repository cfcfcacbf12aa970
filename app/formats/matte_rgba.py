"""Files that keep alpha: WebM (VP9), MOV (ProRes 4444) and a zip of PNGs. Alpha is straight, not premultiplied.

Colours are kept a little way beyond the last pixel that shows and are black from there on: scaling and codecs mix
neighbours, so a fringe needs colours around it, but a cut-out must not carry its background along.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from app.formats.video_out import TimedOut, Timing, in_bt709, in_milliseconds, tag
from app.formats.video_out_sound import SoundFile

REACH = 16
"""Pixels beyond the last that shows where colours are still kept."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def levels(alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(H, W) alpha 0..1 as (H, W) uint8 0..255, rounded."""
    return cv2.addWeighted(alpha, 255, alpha, 0, 0, dtype=cv2.CV_8U).astype(np.uint8, copy=False)


def cut_out(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8, black farther than REACH from every pixel of (H, W) uint8 `alpha` that is not 0."""
    around = np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8)
    near = cv2.dilate((alpha > 0).view(np.uint8), around)
    return cv2.copyTo(rgb, near).astype(np.uint8, copy=False)


class Codec(NamedTuple):
    """How a video with alpha is written. `top`: the largest value of its alpha."""

    encoder: str
    container: str
    pixels: str
    top: int
    options: dict[str, str]


CODECS: dict[str, Codec] = {
    "webm": Codec(
        "libvpx-vp9",
        "webm",
        "yuva420p",
        255,
        # Alternate reference frames are never shown and have no alpha beside them. Without a look-ahead no frame is
        # held back.
        {
            "auto-alt-ref": "0",
            "lag-in-frames": "0",
            "deadline": "realtime",
            "cpu-used": "8",
            "row-mt": "1",
            "crf": "16",
            "b": "0",
        },
    ),
    "prores": Codec(
        "prores_ks",
        "mov",
        "yuva444p10le",
        1023,
        # Other programs ask for the vendor that writes ProRes by this name.
        {"profile": "4444", "vendor": "apl0", "alpha_bits": "16"},
    ),
}


class RgbaVideo(TimedOut):
    """A video with alpha, of one of CODECS; sides may be odd. WebM takes Opus, MOV takes AAC and MP3."""

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        timing: Timing,
        codec: Codec,
        *,
        sound: SoundFile | None = None,
        threads: int = 0,
    ) -> None:
        """`size` = (width, height); `threads` of the encoder, 0 = as many as it likes."""
        webm = codec.container == "webm"
        super().__init__(
            av.open(str(path), "w", format=codec.container),
            codec.encoder,
            timing,
            scale=1000 if webm else timing.scale,
            sound=sound,
            threads=threads,
        )
        if webm and not in_milliseconds(timing):
            self.notes.append("WebM counts milliseconds: the times of the frames are rounded to them.")
        self._codec = codec
        context = self._stream.codec_context
        context.width, context.height = size
        context.pix_fmt = codec.pixels
        context.options = dict(codec.options)
        tag(context)

    def add(self, rgb: NDArray[np.uint8], alpha: NDArray[np.float32]) -> None:
        """The next frame: (H, W, 3) uint8 estimated colours and (H, W) float32 alpha 0..1."""
        seen = levels(alpha)
        frame = in_bt709(
            cv2.merge([cut_out(rgb, seen), seen]).astype(np.uint8, copy=False), self._codec.pixels
        )
        if self._codec.top > 255:
            _fill_alpha(frame, alpha, self._codec.top)
        self.put(frame)


def _fill_alpha(frame: VideoFrame, alpha: NDArray[np.float32], top: int) -> None:
    """Alpha with more than the 8 bits that RGBA has: uint16 0..`top`."""
    plane = frame.planes[3]
    rows = np.zeros((plane.height, plane.line_size // 2), np.uint16)
    rows[:, : alpha.shape[1]] = cv2.addWeighted(alpha, top, alpha, 0, 0, dtype=cv2.CV_16U)
    plane.update(rows.tobytes())


class RgbaZip:
    """8-bit RGBA PNGs in a zip, stored, without times of files: equal frames, equal bytes."""

    def __init__(self, path: Path, stem: str, first: int) -> None:
        """The images are `<stem>_<number>.png` with six digits, numbered from `first`."""
        self.notes: list[str] = []
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)
        self._stem = stem
        self._number = first

    def add(self, rgb: NDArray[np.uint8], alpha: NDArray[np.float32]) -> None:
        """The next frame: (H, W, 3) uint8 estimated colours and (H, W) float32 alpha 0..1."""
        seen = levels(alpha)
        red, green, blue = cv2.split(cut_out(rgb, seen))
        written, png = cv2.imencode(".png", cv2.merge([blue, green, red, seen]), _PNG)
        if not written:
            raise ValueError("OpenCV could not encode a PNG.")
        entry = zipfile.ZipInfo(f"{self._stem}_{self._number:06d}.png", _EPOCH)
        entry.external_attr = 0o644 << 16
        self._zip.writestr(entry, png.tobytes())
        self._number += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()
