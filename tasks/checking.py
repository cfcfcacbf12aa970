"""A bundle held against rules: every violation is one sentence about one frame and class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct, field

from app.algo.render import Crop, outlined
from app.errors import Refused
from app.formats import bundle
from app.models import FrameState
from tasks.bundle_index import IndexedBundle
from tasks.bundle_maps import Painter, Pictures, Rendered

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
MAX_RULES = 1 << 20
"""Bytes of a file of rules."""


class Area(Struct, kw_only=True, forbid_unknown_fields=True):
    """Smallest and largest area. `unit`: pixels, or shares of the frame.

    `of`: each region of the class (outlines drawn alone, points by their stored area), or all its pixels of
    the label map of a frame where it occurs.
    """

    min: Annotated[float, Meta(ge=0)] = 0
    max: Annotated[float, Meta(ge=0)] | None = None
    unit: Literal["px", "share"] = "px"
    of: Literal["region", "frame"] = "region"


class Rules(Struct, kw_only=True, forbid_unknown_fields=True):
    """The rules of a check. None and empty = not asked for.

    Shares are 0 to 1, classes are names. Rules that need the label map are violated where it cannot be drawn.
    """

    max_gap: Share | None = None
    """Unlabelled pixels of a frame."""
    max_overlap: Share | None = None
    """Pixels of a frame that outlines of several classes claim."""
    allowed_classes: list[str] | None = None
    required_classes: list[str] = field(default_factory=list)
    """Each must occur on every frame."""
    areas: dict[str, Area] = field(default_factory=dict)
    meet_target: bool = True
    """A certificate below its own target needs an outline."""
    min_iou: Share | None = None
    min_boundary_f: Share | None = None
    min_certified: Share | None = None
    """Regions of the bundle that have a certificate."""
    certificates_required: bool = False
    max_regions: Count | None = None
    max_points: Count | None = None
    """Of all regions of a frame; an outline's corners do not count."""
    frame_states: list[FrameState] | None = None
    empty_frames: bool = True


class Violation(Struct, kw_only=True, omit_defaults=True):
    """`rule`: the field of `Rules`. Empty where it is about no one asset, frame, class or region."""

    rule: str
    sentence: str
    asset: str = ""
    frame: str = ""
    class_name: str = field(default="", name="class")
    region: str = ""

    def line(self) -> str:
        return f"{self.asset or '-'} {self.frame or '-'} {self.class_name or '-'}: {self.sentence}"


class Summary(Struct, kw_only=True):
    """`notes`: what could not be drawn as it was certified."""

    bundle: str
    frames: int
    regions: int
    ok: bool = True
    count: int = 0
    violations: list[Violation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_rules(path: Path) -> Rules:
    """The rules of a JSON file. Raises Refused, naming what is unknown or wrong."""
    try:
        if path.stat().st_size > MAX_RULES:
            raise Refused(f"The rules in {path} are larger than {MAX_RULES >> 20} MiB.")
        return msgspec.json.decode(path.read_bytes(), type=Rules)
    except msgspec.ValidationError as exc:
        known = ", ".join(Rules.__struct_fields__)
        hint = f" There are: {known}." if "unknown field" in str(exc) and "$." not in str(exc) else ""
        raise Refused(f"The rules in {path} cannot be used: {exc}.{hint}") from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Refused(f"The rules in {path} are not JSON: {exc}.") from exc
    except OSError as exc:
        raise Refused(f"The rules in {path} cannot be read: {exc.strerror or exc}.") from exc


def violations(opened: IndexedBundle, rules: Rules, pictures: Pictures) -> Iterator[Violation]:
    """Every violation, frame by frame in the order of the bundle, what concerns all of it last.

    Raises Refused where the rules name a class that the bundle's template lacks in `areas` or
    `required_classes`.
    """
    names = {known.id: known.name for known in opened.header.class_template.classes}
    for wanted in (*rules.areas, *rules.required_classes):
        if wanted not in names.values():
            raise Refused(
                f"The rules name the class {wanted!r}, which the bundle's class template does not have."
            )
    painter = Painter(opened, pictures)
    certified = 0
    for number, frame in opened.frames():
        regions = opened.regions(number)
        certified += sum(line.certificate is not None for line in regions)
        asset, name = opened.label(frame)
        for found in _of_frame(_Frame(frame, regions, names, painter), rules):
            found.asset, found.frame = asset, name
            yield found
    total = opened.region_count
    if rules.min_certified is not None and certified < rules.min_certified * total:
        yield Violation(
            rule="min_certified",
            sentence=f"{certified} of {total} regions have a certificate, fewer than "
            f"{rules.min_certified:.1%}.",
        )


class _Frame:
    """A frame under check; what is costly is made when it is asked for."""

    def __init__(
        self,
        line: bundle.FrameLine,
        regions: list[bundle.RegionLine],
        names: dict[int, str],
        painter: Painter,
    ) -> None:
        self.line = line
        self.regions = regions
        self.names = names
        self.pixels = line.width * line.height
        self._painter = painter
        self._rendered: Rendered | None = None
        self._tried = False
        self._crops: dict[str, Crop | None] = {}

    def rendered(self) -> Rendered | None:
        if not self._tried:
            self._rendered, self._tried = self._painter.paint(self.line, self.regions), True
        return self._rendered

    def outlined(self, region: bundle.RegionLine) -> Crop | None:
        """The mask of a region's outline; None where it has none."""
        if region.id not in self._crops:
            geometry = bundle.geometry_of(region)
            self._crops[region.id] = outlined(geometry, (self.line.height, self.line.width))
        return self._crops[region.id]


def _of_frame(frame: _Frame, rules: Rules) -> Iterator[Violation]:
    yield from _counts(frame, rules)
    yield from _classes(frame, rules)
    for region in frame.regions:
        yield from _certificate(frame, region, rules)
    yield from _areas(frame, rules)
    yield from _gaps(frame, rules)


def _counts(frame: _Frame, rules: Rules) -> Iterator[Violation]:
    if rules.frame_states is not None and frame.line.state not in rules.frame_states:
        wanted = " or ".join(rules.frame_states)
        yield Violation(rule="frame_states", sentence=f"The frame is {frame.line.state}, not {wanted}.")
    if not rules.empty_frames and not frame.regions:
        yield Violation(rule="empty_frames", sentence="The frame has no regions.")
    if rules.max_regions is not None and len(frame.regions) > rules.max_regions:
        sentence = f"The frame has {len(frame.regions)} regions, more than {rules.max_regions}."
        yield Violation(rule="max_regions", sentence=sentence)
    points = sum(len(region.points) for region in frame.regions)
    if rules.max_points is not None and points > rules.max_points:
        sentence = f"The frame has {points} points, more than {rules.max_points}."
        yield Violation(rule="max_points", sentence=sentence)


def _classes(frame: _Frame, rules: Rules) -> Iterator[Violation]:
    there = Counter(frame.names[region.class_id] for region in frame.regions)
    if rules.allowed_classes is not None:
        for name, count in there.items():
            if name not in rules.allowed_classes:
                sentence = f"The class is not allowed; {count} regions have it."
                yield Violation(rule="allowed_classes", class_name=name, sentence=sentence)
    for name in rules.required_classes:
        if name not in there:
            sentence = "The class is required on every frame, but no region has it."
            yield Violation(rule="required_classes", class_name=name, sentence=sentence)


def _certificate(frame: _Frame, region: bundle.RegionLine, rules: Rules) -> Iterator[Violation]:
    def broken(rule: str, sentence: str) -> Violation:
        name = frame.names[region.class_id]
        return Violation(rule=rule, class_name=name, region=region.id, sentence=sentence)

    found = region.certificate
    if found is None:
        if rules.certificates_required:
            yield broken("certificates_required", f"Region {region.id} has no certificate.")
        return
    if rules.meet_target and found.iou < found.target and not region.outline:
        yield broken(
            "meet_target",
            f"Region {region.id} is certified with IoU {found.iou:.3f}, below its target {found.target:g}, "
            "and has no outline.",
        )
    for rule, least, value, called in (
        ("min_iou", rules.min_iou, found.iou, "IoU"),
        ("min_boundary_f", rules.min_boundary_f, found.boundary_f, "boundary F"),
    ):
        if least is not None and value < least:
            yield broken(rule, f"Region {region.id} is certified with {called} {value:.3f}, below {least:g}.")


def _areas(frame: _Frame, rules: Rules) -> Iterator[Violation]:
    for region in frame.regions:
        name = frame.names[region.class_id]
        rule = rules.areas.get(name)
        if rule is None or rule.of != "region":
            continue
        crop = frame.outlined(region)
        area = region.area if crop is None else int(np.count_nonzero(crop.mask))
        if wrong := _outside(area, rule, frame.pixels):
            sentence = f"Region {region.id} has {wrong}."
            yield Violation(rule="areas", class_name=name, region=region.id, sentence=sentence)
    ids = {region.class_id for region in frame.regions}
    for id in sorted(ids):
        name = frame.names[id]
        rule = rules.areas.get(name)
        if rule is None or rule.of != "frame":
            continue
        rendered = frame.rendered()
        if rendered is None:
            yield Violation(rule="areas", class_name=name, sentence=_unknown("The area"))
        elif wrong := _outside(int(np.count_nonzero(rendered.labels == id)), rule, frame.pixels):
            yield Violation(rule="areas", class_name=name, sentence=f"The class has {wrong}.")


def _outside(area: int, rule: Area, pixels: int) -> str:
    """What is wrong with an area in pixels, or ""."""
    value = area if rule.unit == "px" else area / pixels

    def said(number: float) -> str:
        return f"{number:g} px" if rule.unit == "px" else f"{number:.2%} of the frame"

    if value < rule.min:
        return f"{said(value)}, less than {said(rule.min)}"
    if rule.max is not None and value > rule.max:
        return f"{said(value)}, more than {said(rule.max)}"
    return ""


def _gaps(frame: _Frame, rules: Rules) -> Iterator[Violation]:
    if rules.max_overlap is not None:
        seen = np.zeros((frame.line.height, frame.line.width), np.uint16)
        twice = np.zeros(seen.shape, bool)
        for region in frame.regions:
            crop = frame.outlined(region)
            if crop is not None:
                height, width = crop.mask.shape
                window = np.s_[crop.y0 : crop.y0 + height, crop.x0 : crop.x0 + width]
                twice[window] |= crop.mask & (seen[window] != 0) & (seen[window] != region.class_id)
                seen[window][crop.mask] = region.class_id
        share = np.count_nonzero(twice) / frame.pixels
        if share > rules.max_overlap:
            sentence = f"Outlines of several classes claim {share:.2%} of the frame, more than "
            yield Violation(rule="max_overlap", sentence=f"{sentence}{rules.max_overlap:.2%}.")
    if rules.max_gap is not None:
        rendered = frame.rendered()
        if rendered is None:
            yield Violation(rule="max_gap", sentence=_unknown("The gap"))
            return
        share = 1 - np.count_nonzero(rendered.labels) / frame.pixels
        if share > rules.max_gap:
            sentence = f"{share:.2%} of the frame is unlabelled, more than {rules.max_gap:.2%}."
            yield Violation(rule="max_gap", sentence=sentence)


def _unknown(what: str) -> str:
    return f"{what} cannot be measured: points are drawn from the image, and it is not at hand."
