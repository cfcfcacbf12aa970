"""The files of a matte: alphas and estimated colours, every target and kind of output in few passes over the frames.

A file is written aside and renamed; after a kill those that are whole are kept and the others begun anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.algo.matting.foreground import foreground
from app.errors import Refused
from app.formats.matte_out import MatteWriter, open_matte, sound_of, stems
from app.formats.matte_sidecar import Clock, Made, MatteFrame, Sidecar, Used, write_sidecar
from app.formats.video_out import timing
from app.formats.video_out_sound import Codec, SoundFile
from app.matting import OUTPUTS
from tasks.channel import Channel, write_aside
from tasks.matte_alphas import ahead, read_alpha
from tasks.matte_files import MatteArgs, Written, alpha_path
from tasks.matte_flicker import Flicker, Glance, glance
from tasks.rendering import read_frame
from tasks.snapshot import FrameEntry, Section, Snapshot
from tasks.sound import cut_out
from tasks.videos import end_of, full_disk

AT_ONCE = 8
"""Files that are written in one pass over the frames: each holds an encoder."""
THREADS = 4
COLOURLESS = frozenset({"alpha-mp4"})
"""Kinds of output that show no colours, so none have to be estimated."""
WRITTEN = "written.json"

Image = NDArray[np.uint8]
Alpha = NDArray[np.float32]


class File(NamedTuple):
    """A file to be made: its `name`, its kind of `app.matting.OUTPUTS`, and the position of its target."""

    name: str
    kind: str
    target: int


class Layer(NamedTuple):
    """A target on a frame: colours (H, W, 3) uint8 and alpha (H, W) float32, and both at a glance."""

    colours: Image
    alpha: Alpha
    glance: Glance


class Outputs:
    """Writes the files of a matte whose alphas are in the folder `alphas` of a job."""

    def __init__(
        self, channel: Channel, args: MatteArgs, snapshot: Snapshot, section: Section, alphas: Path
    ) -> None:
        self._channel, self._args = channel, args
        self._snapshot, self._section, self._alphas = snapshot, section, alphas
        self._out = Path(args.out_dir)
        self._clock = timing(section.times, section.asset.fps, end_of(section, args.end))
        frame = next(snapshot.frames(section)).frame
        self._size = frame.width, frame.height
        self._stems = stems(section.asset.stem, [target.name for target in args.targets])
        self._files = [
            File(f"{stem}{OUTPUTS[kind].suffix}", kind, number)
            for number, stem in enumerate(self._stems)
            for kind in args.outputs
        ]
        missing = [file for file in self._files if not (self._out / file.name).exists()]
        self._batches = [missing[start : start + AT_ONCE] for start in range(0, len(missing), AT_ONCE)]
        self.passes = len(self._batches)
        self.dtssd: dict[str, float] = {}
        """Name of a target → its flicker, once the files are written."""

    def write(
        self, done: Callable[[str, int], None], notes: Sequence[str]
    ) -> tuple[list[dict[str, Any]], list[str]]:
        """Write what is not there yet. `done` is told what is done, and the number of the frame, after each.

        Returns {name, bytes, kind, target} of all files, and what the user should know. Raises Refused, Cancelled,
        StorageFull.
        """
        self._out.mkdir(parents=True, exist_ok=True)
        for part in self._out.glob("*.part"):
            part.unlink()
        written = self._written()
        sounds = self._sounds(written.notes) if self._batches else {}
        try:
            for batch in self._batches:
                self._batch(batch, sounds, done, written)
                write_aside(self._channel.folder / WRITTEN, msgspec.json.encode(written))
        finally:
            for path, _ in sounds.values():
                path.unlink(missing_ok=True)
        self.dtssd = written.dtssd
        all_notes = list(dict.fromkeys([*notes, *written.notes]))
        for number in range(len(self._args.targets)):
            self._sidecar(number, all_notes)
        found = [self._described(file.name, file.kind, file.target) for file in self._files]
        found += [self._described(f"{stem}.json", "sidecar", n) for n, stem in enumerate(self._stems)]
        return found, all_notes

    def _batch(
        self,
        batch: Sequence[File],
        sounds: dict[Codec, tuple[Path, Fraction]],
        done: Callable[[str, int], None],
        written: Written,
    ) -> None:
        parts = {file: self._out / f"{file.name}.part" for file in batch}
        threads = 0 if len(batch) == 1 else 2
        with full_disk(), ExitStack() as stack:
            writers: list[tuple[File, MatteWriter]] = []
            for file, part in parts.items():
                sound = sounds.get(sound_of(file.kind) or "aac") if sound_of(file.kind) else None
                writer = open_matte(
                    file.kind,
                    part,
                    self._size,
                    self._clock,
                    background=self._args.background,
                    sound=None if sound is None else SoundFile(*sound),
                    stem=self._stems[file.target],
                    first=self._args.start,
                    threads=threads,
                )
                writers.append((file, stack.enter_context(writer)))
            coloured = {file.target for file in batch if file.kind not in COLOURLESS}
            flickers = {file.target: Flicker() for file in batch}
            with closing(self._frames(sorted(flickers), coloured)) as frames:
                for number, layers in enumerate(frames, 1):
                    self._channel.check()
                    for file, writer in writers:
                        writer.add(layers[file.target].colours, layers[file.target].alpha)
                    for target, flicker in flickers.items():
                        flicker.add(layers[target].glance)
                    done("Writing the files", number)
        for file, part in parts.items():
            part.replace(self._out / file.name)
        said = [note for _, writer in writers for note in writer.notes]
        written.notes = list(dict.fromkeys([*written.notes, *said]))
        names = self._args.targets
        found = {names[target].name: flicker.dtssd for target, flicker in flickers.items()}
        written.dtssd |= {name: round(value, 4) for name, value in found.items() if value is not None}

    def _frames(self, wanted: Sequence[int], coloured: set[int]) -> Generator[dict[int, Layer]]:
        """By frame and target. Close it when it is not used up."""
        shape = (self._size[1], self._size[0])

        def layers(entry: FrameEntry) -> dict[int, Layer]:
            image, found = read_frame(entry), {}
            for number in wanted:
                alpha = read_alpha(alpha_path(self._alphas, number, entry.frame.index), shape)
                shown = alpha is not None and number in coloured
                alpha = np.zeros(shape, np.float32) if alpha is None else alpha
                colours = foreground(image, alpha) if shown else np.zeros((*shape, 3), np.uint8)
                found[number] = Layer(colours, alpha, glance(image, alpha))
            return found

        entries = self._snapshot.frames(self._section)
        return ahead(layers, entries, min(THREADS, os.cpu_count() or 1), self._channel.check)

    def _sounds(self, notes: list[str]) -> dict[Codec, tuple[Path, Fraction]]:
        """The sound of the frames as files, by codec, with what they are behind; and notes where there is none."""
        codecs: set[Codec] = {
            codec for batch in self._batches for file in batch if (codec := sound_of(file.kind))
        }
        asset, first = self._section.asset, self._section.times[0]
        source = Path(self._args.data_dir) / "assets" / asset.id / asset.source
        if not self._args.sound or not codecs:
            return {}
        reason = ""
        if asset.kind != "video":
            reason = "images have none"
        elif not self._clock.exact or first is None:
            reason = "its frames have no times of their own to keep it in step with"
        elif not source.is_file():
            reason = "the source is no longer at hand"
        if reason or first is None:
            notes.append(f"The files have no sound: {reason}.")
            return {}
        found: dict[Codec, tuple[Path, Fraction]] = {}
        begin = Fraction(first).limit_denominator(1_000_000)
        for codec in sorted(codecs, key=str):
            target = self._channel.folder / f"sound-{codec}.mp4"
            try:
                cut = cut_out(self._channel, source, target, begin, begin + self._clock.seconds, codec)
            except Refused as exc:
                notes.append(f"The files have no sound: {exc.sentence}")
                continue
            if cut is None:
                notes.append("The files have no sound: the source has none for these frames.")
                break
            found[codec] = (target, cut.behind)
        return found

    # ── notes, sidecar ────────────────────────────────────────────────────────────

    def _written(self) -> Written:
        """What is known of the files that are whole already."""
        try:
            return msgspec.json.decode((self._channel.folder / WRITTEN).read_bytes(), type=Written)
        except (OSError, msgspec.DecodeError):
            return Written()

    def _sidecar(self, number: int, notes: list[str]) -> None:
        args, asset = self._args, self._section.asset
        target, engine = args.targets[number], args.engine
        weights = Made(
            name=engine.weights,
            sha256=engine.sha256,
            licence=engine.weights_licence,
            licence_url=engine.weights_licence_url,
        )
        sidecar = Sidecar(
            asset=asset.name,
            asset_id=asset.id,
            target=target.name,
            target_ids={
                "track_ids": list(target.track_ids),
                "class_ids": list(target.class_ids),
                "region_ids": list(target.region_ids),
            },
            width=self._size[0],
            height=self._size[1],
            clock=Clock.of(self._clock),
            engine=Made(
                id=engine.id, name=engine.name, licence=engine.licence, licence_url=engine.licence_url
            ),
            weights=weights if engine.weights else None,
            parameters=args.parameters,
            settings=args.settings,
            background=args.background,
            files=[file.name for file in self._files if file.target == number],
            notes=notes,
        )
        path = self._out / f"{self._stems[number]}.json"
        write_sidecar(path, sidecar, self._described_frames(number))

    def _described_frames(self, number: int) -> Iterator[MatteFrame]:
        target = self._args.targets[number]
        for entry, tick in zip(self._snapshot.frames(self._section), self._clock.ticks, strict=True):
            certificates = {region.id: region.certificate for region in entry.regions}
            ids = [entry.specs[position].id for position in target.wanted(entry)]
            yield MatteFrame(
                index=entry.frame.index,
                time=entry.frame.pts,
                tick=tick,
                regions=[Used(id=id, certificate=certificates.get(id)) for id in ids],
            )

    def _described(self, name: str, kind: str, target: int) -> dict[str, Any]:
        return {
            "name": name,
            "bytes": (self._out / name).stat().st_size,
            "kind": kind,
            "target": self._args.targets[target].name,
        }
