"""Scores against hidden ground truth: the job that counts, and what the counts say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import asdict

from app import store as db
from app.errors import NotFound, Refused
from app.i18n import gettext as _
from app.models import Asset, ClassTemplate, Id, Job, Project, Stamp, Truth, TruthScore, frame_id, new_id
from app.services import exports, jobs, projects, truth_sums
from app.services.context import Context
from app.services.frame_runs import runs_of
from app.services.truth_sums import ClassSum, Counts, TrackSum
from app.stamps import ranks_of

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
    """`name`: of the track, "" without one."""

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


class AssetScores(Struct, kw_only=True):
    """What is known of one asset. `now`: the stamps that the labels have."""

    asset: Asset
    truths: dict[int, Truth]
    now: dict[int, Stamp]
    rows: list[TruthScore]

    def stale(self, row: TruthScore) -> bool:
        truth = self.truths.get(row.frame_index)
        then = Stamp(regions=row.regions, revisions=row.revisions, updated_at=row.updated_at, ranks=row.ranks)
        return truth is None or row.truth_at != truth.created_at or self.now.get(row.frame_index) != then


def submit(ctx: Context, project_id: str, wanted: NewScore) -> Job:
    """Queue the job that scores what is not scored yet, or not as it is now.

    Raises NotFound; Conflict for a project in the trash; Refused where there is no hidden ground truth.
    """
    job_id = wanted.id or new_id()
    try:
        return jobs.get(ctx, job_id)
    except NotFound:
        pass

    def query(cur: db.Cursor) -> tuple[Project, list[AssetScores]]:
        projects.require_live(cur, project_id)
        project, _template, known = read(cur, project_id, wanted.asset_id)
        return project, known

    project, known = ctx.store.read(query)
    if not known:
        raise Refused(
            _(
                "There is no hidden ground truth yet. Import some as hidden, or keep labels of finished frames."
            )
        )
    due = {one.asset.id: _due(one, wanted.all) for one in known}
    ctx.require_space()
    folder = ctx.paths.job(job_id)
    folder.mkdir(parents=True, exist_ok=True)
    snapshot, truths = folder / "input.jsonl", folder / "truths.json"
    if not snapshot.exists():
        kept_at = {
            one.asset.id: {index: one.truths[index].created_at for index in due[one.asset.id]}
            for one in known
        }
        truths.write_bytes(msgspec.json.encode(kept_at))
        frames = {id: runs_of(indices) for id, indices in due.items()}
        exports.write_snapshot(ctx, project_id, [one.asset for one in known], snapshot, frames)
    return jobs.submit(
        ctx,
        "score",
        project_id,
        f"Score against hidden ground truth: {project.name}",
        {"data_dir": str(ctx.paths.data), "input": str(snapshot), "truths": str(truths)},
        asset_id=wanted.asset_id,
        id=job_id,
    )


def _due(known: AssetScores, all: bool) -> list[int]:
    fine = set() if all else {row.frame_index for row in known.rows if not known.stale(row)}
    return sorted(known.truths.keys() - fine)


def on_records(cur: db.Cursor, job: Job, records: list[dict[str, Any]]) -> None:
    """Keep the scores of frames whose ground truth is still the one that they were compared with."""
    by_asset: dict[str, list[TruthScore]] = {}
    for row in msgspec.convert(records, list[TruthScore]):
        by_asset.setdefault(row.asset_id, []).append(row)
    for asset_id, rows in by_asset.items():
        kept_at = {truth.frame_index: truth.created_at for truth in db.truths.of_asset(cur, asset_id)}
        db.truths.store_scores(
            cur, asset_id, [row for row in rows if kept_at.get(row.frame_index) == row.truth_at]
        )


def read(
    cur: db.Cursor, project_id: str, asset_id: str | None
) -> tuple[Project, ClassTemplate, list[AssetScores]]:
    """The project, its class template and its assets with hidden ground truth, or one of them. Raises NotFound."""
    project, assets = exports.selection(cur, project_id, asset_id)
    template = db.class_templates.get(cur, project.class_template_id)
    ranks = ranks_of(template)
    known = []
    for asset in assets:
        truths = {truth.frame_index: truth for truth in db.truths.of_asset(cur, asset.id)}
        if truths:
            known.append(
                AssetScores(
                    asset=asset,
                    truths=truths,
                    now=db.truths.stamps(cur, asset.id, ranks),
                    rows=db.truths.scores(cur, asset.id),
                )
            )
    return project, template, known


def view(ctx: Context, project_id: str, asset_id: str | None) -> Scores:
    """The scores of the project, or of one of its assets. Raises NotFound."""

    def query(cur: db.Cursor) -> tuple[ClassTemplate, list[AssetScores], dict[str, str]]:
        _project, template, known = read(cur, project_id, asset_id)
        names = {track.id: track.name for track in db.tracks.of_project(cur, project_id)}
        return template, known, names

    return _scores(*ctx.store.read(query))


def _scores(template: ClassTemplate, known: list[AssetScores], names: dict[str, str]) -> Scores:
    rows = [(one, row) for one in known for row in one.rows]
    counts: Counts = {}
    contours: dict[int, list[float]] = {}
    for _one, row in rows:
        truth_sums.counts_of(row.cells, counts)
        for class_id, f in row.contours:
            contours.setdefault(class_id, []).append(f)
    whole = truth_sums.sums_of(counts)
    stale = sum(one.stale(row) for one, row in rows)
    frames = sum(len(one.truths) for one in known)
    classes = _named(template, whole.classes, contours)
    return Scores(
        frames=frames,
        scored=len(rows),
        stale=stale,
        unscored=frames - len(rows),
        pixels=whole.pixels,
        pixel_accuracy=whole.pixel_accuracy,
        miou=whole.miou,
        boundary_f=truth_sums.mean([row.boundary_f for row in classes if row.boundary_f is not None]),
        classes=classes,
        confusion=_confusion(counts),
        annotators=annotators(template, [row for _one, row in rows]),
        tracks=[
            TrackScore(**asdict(track), asset_id=one.asset.id, name=names.get(track.track_id or "", ""))
            for one in known
            for track in truth_sums.tracks_of(one.rows)
        ],
        worst=sorted(_by_frame(known), key=lambda frame: (frame.miou, frame.frame_id))[:WORST],
    )


def _named(
    template: ClassTemplate, classes: list[ClassSum], contours: dict[int, list[float]]
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
                boundary_f=truth_sums.mean(contours.get(row.class_id, [])),
            )
        )
    return found


def _confusion(counts: Counts) -> Confusion:
    ids = sorted({0} | {class_id for pair in counts for class_id in pair})
    return Confusion(class_ids=ids, rows=[[counts.get((row, column), 0) for column in ids] for row in ids])


def annotators(template: ClassTemplate, rows: list[TruthScore]) -> list[AnnotatorScore]:
    """The scores of everybody who labelled one of the frames, by name."""
    counts: dict[str, Counts] = {}
    frames: dict[str, int] = {}
    for row in rows:
        for author in {cell.author for cell in row.cells} - {""}:
            frames[author] = frames.get(author, 0) + 1
            own = [cell for cell in row.cells if cell.author == author]
            truth_sums.counts_of(own, counts.setdefault(author, {}))
    found = []
    for author in sorted(counts):
        sums = truth_sums.sums_of(counts[author])
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


def _by_frame(known: list[AssetScores]) -> Iterator[FrameScore]:
    """Every scored frame whose truth shows a class."""
    for one in known:
        for row in one.rows:
            sums = truth_sums.sums_of(truth_sums.counts_of(row.cells))
            if sums.miou is None or sums.pixel_accuracy is None:
                continue
            yield FrameScore(
                frame_id=frame_id(one.asset.id, row.frame_index),
                asset_id=one.asset.id,
                asset_name=one.asset.name,
                index=row.frame_index,
                miou=sums.miou,
                pixel_accuracy=sums.pixel_accuracy,
                stale=one.stale(row),
            )
