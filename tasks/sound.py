"""The sound of a source, in a process of its own: looked at for the page, cut out for a video export.

An export runs `cut_out`, which starts the job "sound" in a folder beside its own files; a source that makes a
decoder crash or hang costs the sound, not the export.
"""

from __future__ import annotations

import shutil
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from app.errors import Refused
from app.formats import video_out_sound
from app.formats.video_out_sound import Codec, Cut
from tasks import child
from tasks.channel import Channel, read_result, request_cancel
from tasks.queue import ISOLATED

KIND = "sound"
_POLL_S = 0.05


class SoundArgs(Struct, kw_only=True):
    """`begin`, `end`: seconds from the first frame of the source as fractions; `codec`: what becomes of sound that is
    not copied; without `target` it is looked at.
    """

    source: str
    target: str = ""
    begin: str = "0"
    end: str = "0"
    codec: Codec = "aac"


def run(channel: Channel, args: dict[str, Any]) -> dict[str, Any] | None:
    """The `Sound` of a source, or the `Cut` that was written to `target`, as a dict; None where there is none.

    Raises Refused where the source cannot be read, Cancelled.
    """
    asked = msgspec.convert(args, SoundArgs)
    source = Path(asked.source)
    if not asked.target:
        return _plain(video_out_sound.look(source))
    begin, end, target = Fraction(asked.begin), Fraction(asked.end), Path(asked.target)
    return _plain(video_out_sound.cut(source, target, begin, end, codec=asked.codec, check=channel.check))


def _plain(found: Struct | None) -> dict[str, Any] | None:
    return None if found is None else msgspec.to_builtins(found)


def cut_out(
    channel: Channel, source: Path, target: Path, begin: Fraction, end: Fraction, codec: Codec = "aac"
) -> Cut | None:
    """`video_out_sound.cut` in a child process. Raises Refused with its sentence, Cancelled."""
    folder = channel.folder / KIND
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    args = SoundArgs(source=str(source), target=str(target), begin=str(begin), end=str(end), codec=codec)
    worker = threading.Thread(
        target=child.run,
        args=(folder, KIND, msgspec.to_builtins(args)),
        kwargs={"memory_mb": ISOLATED[KIND]},
        daemon=True,
    )
    worker.start()
    try:
        while worker.is_alive():
            channel.check()
            worker.join(_POLL_S)
    except BaseException:
        request_cancel(folder)
        worker.join(child.CANCEL_GRACE_S)
        raise
    result = read_result(folder)
    if result is None or not result.ok:
        raise Refused(result.sentence if result is not None and result.sentence else "It cannot be read.")
    return None if result.value is None else msgspec.convert(result.value, Cut)
