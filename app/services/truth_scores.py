"""Scores against hidden ground truth: the job that counts, and what the counts say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import asdict

from app import store as db
from app.errors import NotFound, Refused
from app.i18n import gettext as _
from app.models import Asset, ClassTemplate, Id, Job, Project, frame_id, new_id
from app.quality import TruthScore
from app.services import exports, jobs, projects, truth_sums
from app.services.asset_ranges import live_asset
from app.services.context import Context
from app.services.frame_runs import runs_of
from app.services.truth_sums import ClassSum, Counts, TrackSum
from app.stamps import ranks_of
from app.store.scores import Place

WORST = 50
"""Frames in the list of the worst."""


class NewScore(Struct, kw_only=True, forbid_unknown_fields=True):
    """`all`: score every frame with hidden ground truth again, not only those whose labels or truth changed."""

    asset_id: Id | None = None
    all: bool = False
    id: Id | None = None


class ClassScore(ClassSum, kw_only=True):
    """`boundary_f`: mean over the frames whose truth shows the class; None for an annotator. `name` is empty for a
    class that the template no longer has.
    """

    name: str = ""
    colour: str = ""
    boundary_f: float | None = None


class Confusion(Struct, kw_only=True):
    """`class_ids` begins with 0, unlabelled. `rows[i][j]`: pixels of class i in the truth that are labelled j."""

    class_ids: list[int] = field(default_factory=lambda: [0])
    rows: list[list[int]] = field(default_factory=lambda: [[0]])


class AnnotatorScore(Struct, kw_only=True):
    """Of the pixels whose label seen there is the author's. Unlabelled pixels count for whoever has most of the
    frame; frames without any region for nobody.
    """

    author: str
    frames: int
    pixels: int
    pixel_accuracy: float | None
    miou: float | None
    classes: list[ClassScore]


class TrackScore(TrackSum, kw_only=True):
    """`object`: as its source calls it; `name`: of the track, "" without one."""

    asset_id: str
    name: str


class FrameScore(Struct, kw_only=True):
    frame_id: str
    asset_id: str
    asset_name: str
    index: int
    miou: float
    pixel_accuracy: float
    stale: bool


class Scores(Struct, kw_only=True):
    """`frames`: with hidden ground truth; of these `scored`, and of the scored `stale`: before their labels or their
    truth changed. `boundary_f`: mean over the classes. The figures hold for the scored frames.
    """

    frames: int
    scored: int
    stale: int
    unscored: int
    pixels: int
    pixel_accuracy: float | None
    miou: float | None
    boundary_f: float | None
    classes: list[ClassScore]
    confusion: Confusion
    annotators: list[AnnotatorScore]
    tracks: list[TrackScore]
    worst: list[FrameScore]


class Known(Struct, kw_only=True):
    """What is known of the assets with hidden ground truth. `places`: their frames that have some, in order;
    `objects`: those of the assets whose truth tells objects apart.
    """

    project: Project
    template: ClassTemplate
    assets: list[Asset]
    objects: set[str]
    places: list[Place]

    @property
    def ids(self) -> list[str]:
        return [asset.id for asset in self.assets]


def submit(ctx: Context, project_id: str, wanted: NewScore) -> Job:
    """Queue the job that scores what is not scored yet, or not as it is now.

    Raises NotFound; Conflict for what lies in the trash; Refused where there is no hidden ground truth.
    """
    job_id = wanted.id or new_id()
    try:
        return jobs.get(ctx, job_id)
    except NotFound:
        pass

    def query(cur: db.Cursor) -> Known:
        projects.require_live(cur, project_id)
        if wanted.asset_id is not None:
            live_asset(cur, project_id, wanted.asset_id)
        return read(cur, project_id, wanted.asset_id)

    known = ctx.store.read(query)
    if not known.places:
        raise Refused(
            _(
                "There is no hidden ground truth yet. Import some as hidden, or keep labels of finished frames."
            )
        )
    due: dict[str, list[int]] = {id: [] for id in known.ids}
    for place in known.places:
        if wanted.all or not place.current:
            due[place.asset_id].append(place.frame_index)
    ctx.require_space()
    folder = ctx.paths.job(job_id)
    folder.mkdir(parents=True, exist_ok=True)
    snapshot, truths = folder / "input.jsonl", folder / "truths.json"
    if not snapshot.exists():
        kept_at = ctx.store.read(lambda cur: {id: _kept_at(cur, id) for id in known.ids})
        truths.write_bytes(msgspec.json.encode(kept_at))
        frames = {id: runs_of(indices) for id, indices in due.items()}
        exports.write_snapshot(ctx, project_id, known.assets, snapshot, frames)
    return jobs.submit(
        ctx,
        "score",
        project_id,
        f"Score against hidden ground truth: {known.project.name}",
        {"data_dir": str(ctx.paths.data), "input": str(snapshot), "truths": str(truths)},
        asset_id=wanted.asset_id,
        id=job_id,
    )


def _kept_at(cur: db.Cursor, asset_id: str) -> dict[int, float]:
    return {truth.frame_index: truth.created_at for truth in db.truths.of_asset(cur, asset_id)}


def on_records(cur: db.Cursor, job: Job, records: list[dict[str, Any]]) -> None:
    """Keep the scores of frames whose ground truth is still the one that they were compared with."""
    by_asset: dict[str, list[TruthScore]] = {}
    for row in msgspec.convert(records, list[TruthScore]):
        by_asset.setdefault(row.asset_id, []).append(row)
    for asset_id, rows in by_asset.items():
        kept_at = _kept_at(cur, asset_id)
        db.truths.store_scores(
            cur, asset_id, [row for row in rows if kept_at.get(row.frame_index) == row.truth_at]
        )


def read(cur: db.Cursor, project_id: str, asset_id: str | None) -> Known:
    """The assets of the project that have hidden ground truth, or one of them. Raises NotFound."""
    project, assets = exports.selection(cur, project_id, asset_id)
    template = db.class_templates.get(cur, project.class_template_id)
    kept = db.truths.counts(cur, project_id)
    chosen = [asset for asset in assets if asset.id in kept]
    return Known(
        project=project,
        template=template,
        assets=chosen,
        objects={id for id, count in kept.items() if count.objects},
        places=db.scores.places(cur, [asset.id for asset in chosen], ranks_of(template)),
    )


def view(ctx: Context, project_id: str, asset_id: str | None) -> Scores:
    """The scores of the project, or of one of its assets. Raises NotFound."""
    return ctx.store.read(lambda cur: _view(cur, read(cur, project_id, asset_id)))


def _view(cur: db.Cursor, known: Known) -> Scores:
    by_author = db.scores.cells(cur, known.ids)
    counts: Counts = {}
    for own in by_author.values():
        for cell, pixels in own.items():
            counts[cell] = counts.get(cell, 0) + pixels
    whole = truth_sums.sums_of(counts)
    classes = _named(known.template, whole.classes, db.scores.contours(cur, known.ids))
    scored = sum(place.scored for place in known.places)
    return Scores(
        frames=len(known.places),
        scored=scored,
        stale=sum(place.scored and not place.current for place in known.places),
        unscored=len(known.places) - scored,
        pixels=whole.pixels,
        pixel_accuracy=whole.pixel_accuracy,
        miou=whole.miou,
        boundary_f=truth_sums.mean([row.boundary_f for row in classes if row.boundary_f is not None]),
        classes=classes,
        confusion=_confusion(counts),
        annotators=annotators(known.template, by_author, db.scores.frames_of_authors(cur, known.ids)),
        tracks=_tracks(cur, known),
        worst=_worst(cur, known),
    )


def _tracks(cur: db.Cursor, known: Known) -> list[TrackScore]:
    names = {track.id: track.name for track in db.tracks.of_project(cur, known.project.id)}
    return [
        _track(track, id, names)
        for id in known.ids
        if id in known.objects
        for track in truth_sums.tracks_of(db.truths.scores(cur, id))
    ]


def _track(track: TrackSum, asset_id: str, names: dict[str, str]) -> TrackScore:
    found = TrackScore(**asdict(track), asset_id=asset_id, name=names.get(track.track_id or "", ""))
    # Imported objects are told apart by class and name, labels that were kept by their tracks.
    found.object = names.get(track.object) or track.object.partition(":")[2] or track.object
    return found


def _named(
    template: ClassTemplate, classes: list[ClassSum], contours: Mapping[int, float]
) -> list[ClassScore]:
    by_id = {known.id: known for known in template.classes}
    found = []
    for row in classes:
        known = by_id.get(row.class_id)
        found.append(
            ClassScore(
                **asdict(row),
                name=known.name if known else "",
                colour=known.colour if known else "",
                boundary_f=contours.get(row.class_id),
            )
        )
    return found


def _confusion(counts: Counts) -> Confusion:
    ids = sorted({0} | {class_id for pair in counts for class_id in pair})
    return Confusion(class_ids=ids, rows=[[counts.get((row, column), 0) for column in ids] for row in ids])


def annotators(
    template: ClassTemplate, cells: Mapping[str, Counts], frames: Mapping[str, int]
) -> list[AnnotatorScore]:
    """The scores of everybody who labelled one of the frames, by name. `cells`, `frames`: of each author."""
    found = []
    for author in sorted(cells.keys() - {""}):
        sums = truth_sums.sums_of(cells[author])
        found.append(
            AnnotatorScore(
                author=author,
                frames=frames[author],
                pixels=sums.pixels,
                pixel_accuracy=sums.pixel_accuracy,
                miou=sums.miou,
                classes=_named(template, sums.classes, {}),
            )
        )
    return found


def _worst(cur: db.Cursor, known: Known) -> list[FrameScore]:
    names = {asset.id: asset.name for asset in known.assets}
    current = {(place.asset_id, place.frame_index) for place in known.places if place.current}
    return [
        FrameScore(
            frame_id=frame_id(row.asset_id, row.frame_index),
            asset_id=row.asset_id,
            asset_name=names[row.asset_id],
            index=row.frame_index,
            miou=row.miou,
            pixel_accuracy=row.accuracy,
            stale=(row.asset_id, row.frame_index) not in current,
        )
        for row in db.scores.worst(cur, known.ids, WORST)
    ]
