"""What jobs that write videos share: the size and the end of their frames, and a full disk said as such."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from av.error import FFmpegError

from tasks.channel import storage_errors
from tasks.snapshot import Section, Snapshot


def size_of(snapshot: Snapshot, section: Section) -> tuple[int, int]:
    """The size (width, height) of a video of the section: that of the asset, or of its first frame."""
    if section.asset.width and section.asset.height:
        return section.asset.width, section.asset.height
    frame = next(snapshot.frames(section)).frame
    return frame.width, frame.height


def end_of(section: Section, behind: float | None) -> float | None:
    """When the time of the last frame is over, on the clock of the frames; None where it can only be guessed.

    `behind`: when the frame behind the section is due, None where there is none.
    """
    asset, last = section.asset, section.times[-1]
    whole = asset.sampling.mode == "every" and asset.sampling.stop is None and asset.state == "ready"
    if behind is not None or last is None or not whole or not asset.duration or asset.kind != "video":
        return behind
    # Some containers know only their own length, in which sound may outlast the pictures.
    step = 1 / asset.fps if asset.fps else 0.04
    return asset.duration if 0.25 * step <= asset.duration - last <= max(1.0, 4 * step) else None


@contextmanager
def full_disk() -> Iterator[None]:
    """FFmpeg says in its own way that the disk is full: turned into StorageFull."""
    with storage_errors():
        try:
            yield
        except FFmpegError as exc:
            raise OSError(exc.errno, "writing the video failed") from exc
