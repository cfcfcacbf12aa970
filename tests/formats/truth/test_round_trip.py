"""Whatever label maps are exported, the readers of masks give them back, with tracks and unlabelled pixels."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from app.formats.out.model import FrameOut
from app.formats.truth import open_files, open_truth
from app.formats.truth.model import Files, Reader, TruthFrame
from app.models import ClassDef
from tests.formats.out.exporting import CLASSES, REGIONS, TRACKS, export, frame, frames
from tests.pngs import zipped

IDS = {known.name: known.id for known in CLASSES}
EXACT = [
    ("palette-png", "label-png", "class"),
    ("index-png", "label-png", "class"),
    ("colour-png", "colour-png", "class"),
    ("voc", "label-png", "class"),
    ("davis", "label-png", "class"),
    ("davis", "label-png", "region"),
    ("cityscapes", "label-png", "class"),
    ("coco-panoptic", "coco-panoptic", "class"),
    ("coco-panoptic", "coco-panoptic", "region"),
]


@contextmanager
def opened(files: dict[str, bytes]) -> Iterator[Files]:
    with tempfile.TemporaryDirectory() as folder:
        path = zipped(Path(folder) / "export.zip", files)
        with open_files(path) as source:
            yield source


def read_back(files: dict[str, bytes], format: str) -> tuple[Reader, list[TruthFrame]]:
    with opened(files) as source:
        reader = open_truth(source, format)
        return reader, list(reader.frames())


def label_map_of(reader: Reader, truth: TruthFrame, ids: dict[str, int]) -> np.ndarray:
    out = np.zeros((truth.height, truth.width), np.uint16)
    if truth.values is not None:
        for value, key in truth.keys.items():
            known = reader.found(key)
            out[truth.values == value] = 0 if known.void else ids[known.name]
    for thing in truth.objects:
        height, width = thing.mask.shape
        area = out[thing.y0 : thing.y0 + height, thing.x0 : thing.x0 + width]
        known = reader.found(thing.key)
        area[thing.mask] = 0 if known.void else ids[known.name]
    return out


@pytest.mark.parametrize(("format", "reader_format", "objects"), EXACT)
@given(shown=frames())
@settings(max_examples=8, deadline=None)
def test_an_export_comes_back_identical(
    format: str, reader_format: str, objects: str, shown: list[FrameOut]
) -> None:
    files, _ = export(format, shown, objects=objects, unlabelled_value=255)
    reader, back = read_back(files, reader_format)
    assert not reader.problems
    assert len(back) == len(shown)
    for truth, wanted in zip(back, shown, strict=True):
        assert not truth.problems
        assert (label_map_of(reader, truth, IDS) == wanted.label_map).all()
        assert Path(truth.name).stem.removesuffix("_leftImg8bit") in (wanted.name, f"{wanted.index:05d}")


@pytest.mark.parametrize("format", ["palette-png", "index-png", "colour-png", "voc", "davis"])
def test_unlabelled_pixels_written_as_zero_mean_nothing(format: str) -> None:
    classes = [
        ClassDef(id=3, name="a", colour="#ff0000", value=3),
        ClassDef(id=9, name="b", colour="#00ff00", value=9),
    ]
    shown = frame(np.array([[0, 1], [2, 0]]), regions=[(3, None), (9, None)])
    files, _ = export(format, [shown], classes, objects="class", unlabelled_value=0)
    reader, (truth,) = read_back(files, "colour-png" if format == "colour-png" else "label-png")
    ids = {"a": 3, "b": 9, "background": 0}
    assert (label_map_of(reader, truth, ids) == shown.label_map).all()
    assert not truth.problems


@pytest.mark.parametrize("format", ["davis", "coco-panoptic"])
def test_tracks_keep_their_identity_through_an_export(format: str) -> None:
    shown = [frame(np.array([[1, 2, 3, 4, 5]]), position) for position in range(2)]
    files, _ = export(format, shown, objects="region")
    _, back = read_back(files, "label-png" if format == "davis" else format)
    expected = {track.name for track in TRACKS} if format == "davis" else {"1", "2"}
    for truth in back:
        assert len(truth.objects) == len(REGIONS)
        tracks = {thing.track for thing in truth.objects if thing.mask.any()} - {None}
        assert expected <= tracks
