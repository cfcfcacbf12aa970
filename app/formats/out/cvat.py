"""CVAT for images 1.1: one XML, every mask as run lengths over its box. Exact; streamed.

Run lengths go row by row over the box, beginning with unset pixels. `group_id` is the number of the track.
An attribute is written where the class declares it: CVAT takes no others.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from app.formats.out.model import (
    Files,
    FrameOut,
    Pages,
    Plan,
    RegionOut,
    Streamed,
    classes_file,
    fragments,
    things,
)
from app.formats.out.names import xml_text
from app.models import AttributeDef, ClassDef

_IMAGE, _UNDECLARED = "@image", "@undeclared"
_KINDS = {"choice": "select", "check": "checkbox"}


class Cvat:
    def __init__(self, plan: Plan) -> None:
        self.notes: list[str] = []
        self._plan = plan
        self._names = {c.id: xml_text(c.name) for c in plan.classes}
        self._declared = {c.id: {a.name for a in c.attributes} for c in plan.classes}

    def frame_files(self, frame: FrameOut) -> Files:
        name = xml_text(frame.path + frame.suffix)
        head = f'id="{frame.position}" name="{name}" width="{frame.width}" height="{frame.height}"'
        lines = [f"  <image {head}>\n"]
        files: Files = {}
        for thing in things(frame, self._plan.objects):
            region, (height, width) = thing.region, thing.mask.shape
            group = f' group_id="{region.track}"' if region and region.track is not None else ""
            lines.append(
                f'    <mask label="{self._names[thing.class_id]}" source="manual" occluded="0" '
                f'rle="{_run_lengths(thing.mask)}" left="{thing.x0}" top="{thing.y0}" width="{width}" '
                f'height="{height}" z_order="0"{group}>\n'
            )
            if region:
                lines += self._attributes(region)
                if region.attributes.keys() - self._declared[region.class_id]:
                    files[_UNDECLARED] = b""
            lines.append("    </mask>\n")
        lines.append("  </image>\n")
        files[_IMAGE] = "".join(lines).encode()
        return files

    def _attributes(self, region: RegionOut) -> Iterator[str]:
        for name, value in region.attributes.items():
            if name in self._declared[region.class_id]:
                yield f'      <attribute name="{xml_text(name)}">{xml_text(value)}</attribute>\n'

    def image_name(self, frame: FrameOut) -> str:
        return f"images/{frame.path}{frame.suffix}"

    def finish(self, pages: Pages) -> Streamed:
        yield classes_file(self._plan)
        yield "annotations.xml", self._document(pages)
        undeclared = sum(1 for _ in fragments(pages, _UNDECLARED))
        if undeclared:
            self.notes.append(
                f"In {undeclared} frames regions have attributes that their class does not declare; they were "
                "left out."
            )

    def _document(self, pages: Pages) -> Iterator[bytes]:
        count = sum(1 for _ in fragments(pages, _IMAGE))
        labels = "".join(_label(known) for known in self._plan.classes)
        yield (
            '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
            f"  <meta><task><name>{xml_text(self._plan.title)}</name><size>{count}</size>"
            f"<mode>annotation</mode><labels>\n{labels}  </labels></task></meta>\n"
        ).encode()
        yield from fragments(pages, _IMAGE)
        yield b"</annotations>\n"


def _label(known: ClassDef) -> str:
    attributes = "".join(_attribute(a) for a in known.attributes)
    return (
        f"    <label><name>{xml_text(known.name)}</name><color>{known.colour}</color>"
        f"<attributes>{attributes}</attributes></label>\n"
    )


def _attribute(wanted: AttributeDef) -> str:
    values = ["true", "false"] if wanted.kind == "check" else wanted.choices
    return (
        f"<attribute><name>{xml_text(wanted.name)}</name><mutable>True</mutable>"
        f"<input_type>{_KINDS.get(wanted.kind, 'text')}</input_type>"
        f"<default_value>{xml_text(wanted.default)}</default_value>"
        f"<values>{'&#10;'.join(map(xml_text, values))}</values></attribute>"
    )


def _run_lengths(mask: np.ndarray) -> str:
    flat = mask.ravel()
    edges = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [flat.size]])
    counts = np.diff(edges).tolist()
    return ", ".join(map(str, [0, *counts] if flat[0] else counts))


open_writer = Cvat
