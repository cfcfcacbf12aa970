"""Label maps as palette, index or colour PNG, one a frame, and `classes.json` beside them. Exact."""

from __future__ import annotations

from app.formats import label_png
from app.formats.out.model import Files, FrameOut, Pages, Plan, Streamed, classes_file

_MODES: dict[str, label_png.Mode] = {"palette-png": "palette", "index-png": "index", "colour-png": "colour"}


class LabelMaps:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._mode: label_png.Mode = _MODES[plan.format]
        self._shared = plan.options.shared_values
        self._unlabelled = label_png.check_classes(
            plan.classes, self._mode, plan.options.unlabelled_value, shared=self._shared
        )
        self.notes = label_png.unlabelled_note(plan.options.unlabelled_value, self._unlabelled)

    def frame_files(self, frame: FrameOut) -> Files:
        return {
            f"{frame.path}.png": label_png.encode(
                frame.label_map,
                self._plan.classes,
                mode=self._mode,
                unlabelled=self._unlabelled,
                shared=self._shared,
            )
        }

    def image_name(self, frame: FrameOut) -> str:
        return f"images/{frame.path}{frame.suffix}"

    def finish(self, pages: Pages) -> Streamed:
        yield classes_file(self._plan, mode=self._mode, unlabelled=self._unlabelled)


open_writer = LabelMaps
