"""Black and white PNGs: `masks/<class>/<frame>.png`, or `masks/<class>/<track>/<frame>.png`. Exact.

With `objects="region"` the regions of a track in a frame are one mask; regions without a track are numbered in
the frame: `masks/<class>/untracked/<frame>_1.png`. A mask without a pixel is not written.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from app.formats.out.model import Files, FrameOut, Pages, Plan, Streamed, classes_file
from app.formats.out.names import plain_name, take, unique


class MasksPng:
    def __init__(self, plan: Plan) -> None:
        self.notes: list[str] = []
        self._plan = plan
        folders = unique((c.name for c in plan.classes), otherwise="class")
        self._folders = {c.id: folder for c, folder in zip(plan.classes, folders, strict=True)}
        taken = {"untracked"}
        self._tracks = [take(plain_name(track.name, "track"), taken) for track in plan.tracks]

    def frame_files(self, frame: FrameOut) -> Files:
        if self._plan.objects == "class":
            return {
                f"masks/{self._folders[value]}/{frame.path}.png": _png(frame.label_map == value)
                for value in np.unique(frame.label_map).tolist()
                if value
            }
        groups: dict[str, list[int]] = {}
        loose: dict[int, int] = {}
        for position in np.unique(frame.winners).tolist():
            if not position:
                continue
            region = frame.regions[position - 1]
            place = f"masks/{self._folders[region.class_id]}"
            if region.track is None:
                loose[region.class_id] = loose.get(region.class_id, 0) + 1
                name = f"{place}/untracked/{frame.path}_{loose[region.class_id]}.png"
            else:
                name = f"{place}/{self._tracks[region.track - 1]}/{frame.path}.png"
            groups.setdefault(name, []).append(position)
        return {name: _png(np.isin(frame.winners, members)) for name, members in groups.items()}

    def image_name(self, frame: FrameOut) -> str:
        return f"images/{frame.path}{frame.suffix}"

    def finish(self, pages: Pages) -> Streamed:
        more = {class_id: {"folder": folder} for class_id, folder in self._folders.items()}
        yield classes_file(self._plan, more=more)


def _png(mask: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).save(out, "PNG")
    return out.getvalue()


open_writer = MasksPng
