"""The job "keep_truth": labels of chosen frames, as they are drawn, become hidden ground truth.

It works from the same snapshot as an export. Run again after a kill, frames whose line in records.jsonl is complete
are not done again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import Struct

from app.algo.scoring import VOID
from app.errors import Refused
from app.formats.truth_png import NumberedObject
from tasks import truth_files, truth_maps
from tasks.channel import Channel
from tasks.given_masks import GivenMasks, notes_of
from tasks.rendering import classes_of, winner_map
from tasks.snapshot import FrameEntry, Snapshot
from tasks.truth_files import KeptFrame


class KeepArgs(Struct, kw_only=True):
    """`unlabelled`: whether unlabelled pixels are known to be of no class ("background"), or void ("open")."""

    data_dir: str
    input: str
    unlabelled: Literal["background", "open"] = "background"


def run(channel: Channel, args: dict[str, Any]) -> dict[str, Any]:
    """Write the maps of every frame of the snapshot to the job's folder.

    Returns {records, frames, objects, pixels, notes}; `records`: the path of the lines. Raises Refused, Cancelled.
    """
    try:
        asked = msgspec.convert(args, KeepArgs)
    except msgspec.ValidationError as exc:
        raise Refused(f"The job is described wrongly: {exc}.") from exc
    snapshot = Snapshot(Path(asked.input))
    truth_maps.require_room(snapshot.header.class_template)
    records = channel.folder / "records.jsonl"
    finished = {kept.frame_id for kept in truth_files.read_kept(records)}
    given = GivenMasks(Path(asked.data_dir))
    with records.open("ab") as out:
        number = 0
        for section in snapshot.sections:
            for entry in snapshot.frames(section):
                channel.check()
                if entry.frame.id not in finished:
                    kept = _keep(channel.folder, entry, given, asked.unlabelled == "open")
                    out.write(msgspec.json.encode(kept) + b"\n")
                    out.flush()
                number += 1
                channel.report(number, snapshot.frame_count, "Keeping labels")
        os.fsync(out.fileno())
    frames = list(truth_files.read_kept(records))
    return {
        "records": str(records),
        "frames": len(frames),
        "objects": sum(kept.objects for kept in frames),
        "pixels": sum(kept.pixels for kept in frames),
        "notes": notes_of(given.missing),
    }


def _keep(folder: Path, entry: FrameEntry, given: GivenMasks, void_unlabelled: bool) -> KeptFrame:
    winners = winner_map(entry, given)
    labels = classes_of(entry, winners)
    if void_unlabelled:
        labels = np.where(winners == 0, VOID, labels).astype(np.uint16)
    tracks = {region.id: region.track_id for region in entry.regions}
    rows: dict[str, NumberedObject] = {}
    table = [0]
    for spec in entry.specs:
        track_id = tracks.get(spec.id)
        if track_id is None:
            table.append(0)
            continue
        row = NumberedObject(number=len(rows) + 1, object=track_id, class_id=spec.class_id)
        table.append(rows.setdefault(track_id, row).number)
    numbers = np.array(table, np.uint16)[winners]
    return truth_maps.stage(folder, entry.frame.id, labels, numbers, list(rows.values()))
