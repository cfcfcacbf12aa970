"""The job "score": labels against hidden ground truth, one frame at a time.

It works from the same snapshot as an export, which pins the labels. Each frame is one partial result, a
`TruthScore`; run again after a kill, those that are complete are not done again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from app.algo import scoring
from app.algo.scoring import VOID
from app.errors import Refused
from app.quality import TruthCell, TruthObject, TruthScore
from app.stamps import ranks_of, stamp_of
from tasks import truth_files, truth_maps
from tasks.channel import Channel, cut_lines
from tasks.given_masks import GivenMasks, notes_of
from tasks.rendering import classes_of, winner_map
from tasks.snapshot import FrameEntry, Snapshot
from tasks.truth_maps import TruthMap

PROBLEMS = 20


class ScoreArgs(Struct, kw_only=True):
    """`truths`: a JSON file, asset id → frame index → when its hidden ground truth was kept."""

    data_dir: str
    input: str
    truths: str


class _Known(Struct):
    asset_id: str
    frame_index: int


def run(channel: Channel, args: dict[str, Any]) -> dict[str, Any]:
    """Compare every frame of the snapshot with its hidden ground truth.

    Returns {frames, scored, notes}; a frame whose truth cannot be read is not scored, and a note says why. Raises
    Refused, Cancelled, Paused.
    """
    try:
        asked = msgspec.convert(args, ScoreArgs)
        kept_at = msgspec.json.decode(Path(asked.truths).read_bytes(), type=dict[str, dict[int, float]])
    except (msgspec.MsgspecError, OSError) as exc:
        raise Refused("The list of frames to score is gone or damaged; score again.") from exc
    snapshot = Snapshot(Path(asked.input))
    known = {c.id for c in snapshot.header.class_template.classes}
    ranks = ranks_of(snapshot.header.class_template)
    data, given = Path(asked.data_dir), GivenMasks(Path(asked.data_dir))
    finished = _finished(channel.folder / "partial.jsonl")
    problems: list[str] = []
    lost: set[int] = set()
    number = scored = 0
    for section in snapshot.sections:
        folder = truth_files.folder_of(data, section.asset.id)
        for entry in snapshot.frames(section):
            channel.check()
            number += 1
            place = (section.asset.id, entry.frame.index)
            try:
                if place not in finished:
                    truth = truth_maps.load(
                        folder, entry.frame.index, (entry.frame.height, entry.frame.width)
                    )
                    lost |= _without_unknown(truth, known)
                    stamp = msgspec.structs.asdict(stamp_of(entry.regions, ranks))
                    truth_at = kept_at.get(place[0], {}).get(place[1], 0.0)
                    score = _score(entry, truth, given)
                    channel.append(
                        msgspec.structs.replace(
                            score, asset_id=place[0], frame_index=place[1], truth_at=truth_at, **stamp
                        )
                    )
                scored += 1
            except Refused as exc:
                problems.append(exc.sentence)
            channel.report(number, snapshot.frame_count, "Comparing with hidden ground truth")
    return {
        "frames": snapshot.frame_count,
        "scored": scored,
        "notes": [*problems[:PROBLEMS], *_lost(lost), *notes_of(given.missing)],
    }


def _finished(partial: Path) -> set[tuple[str, int]]:
    cut_lines(partial)
    decode = msgspec.json.Decoder(_Known).decode
    if not partial.exists():
        return set()
    with partial.open("rb") as file:
        return {(found.asset_id, found.frame_index) for found in map(decode, file)}


def _without_unknown(truth: TruthMap, known: set[int]) -> set[int]:
    """Make the pixels of classes that the class template lacks void. Returns those classes."""
    lost = {int(value) for value in np.unique(truth.labels)} - known - {0, VOID}
    if lost:
        truth.labels[np.isin(truth.labels, list(lost))] = VOID
    return lost


def _lost(lost: set[int]) -> list[str]:
    if not lost:
        return []
    named = ", ".join(map(str, sorted(lost)[:5])) + (" …" if len(lost) > 5 else "")
    return [f"Pixels of classes that the class template no longer has count as void: {named}."]


def _score(entry: FrameEntry, truth: TruthMap, given: GivenMasks) -> TruthScore:
    """What compares the labels of the frame with its truth; whose and when it is stays open."""
    winners = winner_map(entry, given)
    labels = classes_of(entry, winners)
    authors, owners = _authors(entry, winners)
    cells = [
        TruthCell(truth=row, found=column, author=authors[author], pixels=pixels)
        for author, row, column, pixels in scoring.confusion_by(truth.labels, labels, owners)
    ]
    return TruthScore(
        asset_id="",
        frame_index=0,
        regions=0,
        revisions=0,
        updated_at=0.0,
        ranks="",
        truth_at=0.0,
        cells=cells,
        objects=_objects(entry, winners, truth),
        contours=sorted(scoring.contours(truth.labels, labels).items()),
    )


def _authors(entry: FrameEntry, winners: NDArray[np.uint16]) -> tuple[list[str], NDArray[np.uint16]]:
    """Names, and (H, W) uint16 whose each pixel is: of the region seen, else of the frame's main author.

    A frame without regions is nobody's: "".
    """
    by_region = {region.id: region.author for region in entry.regions}
    names = sorted({by_region[spec.id] for spec in entry.specs}) or [""]
    owners = [names.index(by_region[spec.id]) for spec in entry.specs]
    return names, scoring.author_map(winners, owners)


def _objects(entry: FrameEntry, winners: NDArray[np.uint16], truth: TruthMap) -> list[TruthObject]:
    """Every pair that comes near each other, then what comes near nothing."""
    if truth.numbers is None:
        return []
    by_region = {region.id: region.track_id for region in entry.regions}
    tracks = sorted({track for spec in entry.specs if (track := by_region.get(spec.id))})
    numbers = {track: number for number, track in enumerate(tracks, 1)}
    table = [0, *(numbers.get(by_region.get(spec.id) or "", 0) for spec in entry.specs)]
    seen = scoring.objects(truth.numbers, np.array(table, np.uint16)[winners], truth.labels == VOID)
    rows = {row.number: row for row in truth.rows}
    found = [
        TruthObject(
            object=rows[pair.object].object,
            class_id=rows[pair.object].class_id,
            track_id=tracks[pair.track - 1],
            both=pair.shared,
            truth=seen.truth[pair.object],
            found=seen.found[pair.track],
            boundary_f=pair.f,
        )
        for pair in seen.meetings
    ]
    met = {pair.object for pair in seen.meetings}, {pair.track for pair in seen.meetings}
    for number in sorted(seen.truth.keys() - met[0]):
        found.append(
            TruthObject(
                object=rows[number].object,
                class_id=rows[number].class_id,
                track_id="",
                both=0,
                truth=seen.truth[number],
                found=0,
                boundary_f=0.0,
            )
        )
    for number in sorted(seen.found.keys() - met[1]):
        found.append(
            TruthObject(
                object="",
                class_id=0,
                track_id=tracks[number - 1],
                both=0,
                truth=0,
                found=seen.found[number],
                boundary_f=0.0,
            )
        )
    return found
