"""SA-V: one JSON a video; for every annotated frame one run length for each masklet, without classes.

Videos run at 24 frames a second and every fourth frame is annotated: `index` counts the frames of the video
(0, 4, 8 …) and `pts` is its time. The step follows from the file's own numbers. A masklet that is not
visible in a frame has empty run lengths and gives no object there.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from app.errors import Refused
from app.formats.truth.json_source import Id, has_key, heads, image_name, item, json_names, read_json
from app.formats.truth.model import Files, TruthFrame
from app.formats.truth.objects import ObjectReader, Sheet
from app.formats.truth.shapes import coco_rle

CLASS = "object"
FPS = 24.0


class _Rle(Struct):
    size: list[int]
    counts: str | list[int]


class _File(Struct):
    masklet: list[msgspec.Raw]
    video_height: float
    video_width: float
    video_id: str = ""
    video_duration: float = 0
    video_frame_count: float = 0
    masklet_id: list[Id] = []


def matches(files: Files) -> bool:
    return any(
        has_key(head, "video_id") and (has_key(head, "masklet") or has_key(head, "video_frame_count"))
        for _, head in heads(files)
    )


def open_reader(files: Files) -> SavReader:
    return SavReader(files)


class SavReader(ObjectReader):
    format = "sav"

    def __init__(self, files: Files) -> None:
        super().__init__(files)
        self.declare(CLASS)
        self._names = json_names(files)
        if not self._names:
            raise Refused(f"“{files.title}” holds no SA-V JSON file.")
        self.count = sum(len(read_json(files, name, _File).masklet) for name in self._names)

    def frames(self) -> Iterator[TruthFrame]:
        for name in self._names:
            file = read_json(self.files, name, _File)
            step = max(1, round(file.video_frame_count / len(file.masklet))) if file.masklet else 1
            timed = file.video_duration > 0 and file.video_frame_count > 0
            fps = file.video_frame_count / file.video_duration if timed else FPS
            video = image_name(file.video_id)[0].rpartition("/")[2] or name.rpartition(".")[0]
            for position, raw in enumerate(file.masklet):
                yield self._frame(file, raw, video, position * step, fps)

    def _frame(self, file: _File, raw: msgspec.Raw, video: str, index: int, fps: float) -> TruthFrame:
        frame = TruthFrame(
            f"{video}/{index:05d}", int(file.video_width), int(file.video_height), index, index / fps
        )
        sheet = Sheet(frame)
        try:
            entries = item(raw, list[msgspec.Raw])
        except Refused as exc:
            sheet.say(f"its masklets are left out: {exc.sentence}")
            return sheet.done()
        for position, entry in enumerate(entries):
            masklet = str(file.masklet_id[position]) if position < len(file.masklet_id) else str(position)
            if bytes(entry) == b"null":
                continue
            try:
                rle = item(entry, _Rle)
            except Refused as exc:
                sheet.say(f"masklet {masklet} is left out: {exc.sentence}")
                continue
            if rle.counts:
                sheet.add(
                    f"masklet {masklet}",
                    self.key_of(CLASS),
                    lambda w, h, rle=rle: coco_rle({"size": rle.size, "counts": rle.counts}, w, h),
                    track=masklet,
                    may_be_empty=True,
                )
        return sheet.done()
