"""The job "matte": alphas of the targets on the frames of a range, then the files that are made of them.

It works from a snapshot of the frames. Every alpha is a file as soon as it is there: after a kill, a pause or a cancel
that is taken back the work goes on with the frames that have none. Where an engine of the worker made the alphas, only
the files are left to write.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from app.errors import Refused
from tasks.channel import Channel
from tasks.given_masks import added, notes_of
from tasks.matte_alphas import made, write_alpha
from tasks.matte_files import ALPHAS, STEADY, Done, MatteArgs, alpha_path, done_of
from tasks.matte_outputs import Outputs
from tasks.matte_steady import steadied
from tasks.snapshot import FrameEntry, Section, Snapshot


def run(channel: Channel, args: dict[str, Any]) -> dict[str, Any]:
    """Make the mattes of a range of frames.

    Returns {asset_id, engine, weights, licence, frames, targets: [{name, frames, missing, dtssd}], files: [{name,
    bytes, kind, target}], notes}: `missing` counts frames without a mask, whose alpha is 0. Raises Refused, Cancelled,
    StorageFull.
    """
    try:
        asked = msgspec.convert(args, MatteArgs)
    except msgspec.ValidationError as exc:
        raise Refused(f"The job is described wrongly: {exc}.") from exc
    return _Job(channel, asked).run()


class _Job:
    def __init__(self, channel: Channel, args: MatteArgs) -> None:
        self._channel, self._args = channel, args
        self._snapshot = Snapshot(Path(args.input))
        sections = [section for section in self._snapshot.sections if section.frames]
        if len(sections) != 1:
            raise Refused("A matte is made of one asset with frames: choose which.")
        self._section: Section = sections[0]
        self._alphas = Path(args.alphas) if args.alphas else channel.folder
        if args.alphas and not (self._alphas / ALPHAS).is_dir():
            raise Refused("The alphas of this matte are no longer there. Start it again.")
        self._done = {} if args.alphas else done_of(self._alphas, len(args.targets))
        self._frames = self._section.frames
        self._before = 0
        """Frames of the passes that are through."""

    def run(self) -> dict[str, Any]:
        args = self._args
        sizes = {(e.frame.width, e.frame.height) for e in self._snapshot.frames(self._section)}
        if len(sizes) > 1:
            raise Refused("The frames differ in size; choose a range in which they are all the same.")
        steady = args.parameters.steady
        alphas = self._channel.folder / STEADY if steady else self._alphas
        outputs = Outputs(self._channel, args, self._snapshot, self._section, alphas)
        passes = (not args.alphas) + steady + outputs.passes
        total = passes * self._frames
        if not args.alphas:
            self._make(total)
            self._before = self._frames

        def told(what: str, number: int) -> None:
            self._channel.report(self._before + number, total, f"{what}: frame {number} of {self._frames}")
            if number == self._frames:
                self._before += number

        if steady:
            steadied(self._channel, self._snapshot, self._section, self._alphas, len(args.targets), told)
        without = self._count_missing()
        files, notes = outputs.write(told, self._notes(without))
        return {
            "asset_id": args.asset_id,
            "engine": args.engine.id,
            "weights": args.engine.sha256[:16],
            "licence": args.engine.licence,
            "weights_licence": args.engine.weights_licence,
            "frames": self._frames,
            "targets": [
                {
                    "name": target.name,
                    "frames": self._frames,
                    "missing": missing,
                    "dtssd": outputs.dtssd.get(target.name),
                }
                for target, missing in zip(args.targets, without, strict=True)
            ],
            "files": files,
            "notes": notes,
        }

    def _make(self, total: int) -> None:
        args = self._args
        count = len(self._done)
        self._channel.kept = {"asset_id": args.asset_id, "frames": count}
        self._channel.report(count, total, "Making alphas", now=True)
        data, check = Path(args.data_dir), self._channel.check
        frames = made(self._left(), args.targets, args.engine.id, args.parameters, data, check)
        with closing(frames):
            for frame in frames:
                index = frame.entry.frame.index
                for number, alpha in enumerate(frame.alphas):
                    if alpha is not None:
                        write_alpha(alpha_path(self._alphas, number, index), alpha)
                seen = [alpha is not None for alpha in frame.alphas]
                done = Done(index=index, seen=seen, stood_in=frame.stood_in)
                self._channel.append(done)
                self._done[index] = done
                count += 1
                self._channel.kept["frames"] = count
                self._channel.report(count, total, f"Making alphas: frame {count} of {self._frames}")
                self._channel.check()

    def _left(self) -> Iterator[FrameEntry]:
        """The frames whose alphas are not there yet."""
        for entry in self._snapshot.frames(self._section):
            if entry.frame.index not in self._done:
                yield entry

    def _count_missing(self) -> list[int]:
        """By target, how many frames have no alpha."""
        counts = [0] * len(self._args.targets)
        for entry in self._snapshot.frames(self._section):
            for number in range(len(counts)):
                counts[number] += not alpha_path(self._alphas, number, entry.frame.index).exists()
            self._channel.check()
        return counts

    def _notes(self, without: Sequence[int]) -> list[str]:
        stood_in: dict[str, int] = {}
        for done in self._done.values():
            added(stood_in, done.stood_in)
        notes = notes_of(stood_in)
        for target, missing in zip(self._args.targets, without, strict=True):
            if missing:
                notes.append(
                    f"{target.name}: {missing} of {self._frames} frames have no mask; their alpha is 0."
                )
        return notes
