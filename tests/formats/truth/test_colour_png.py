from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.errors import Refused
from app.formats.truth import open_files, open_truth
from app.formats.truth.colour_png import ColourReader, pack
from app.formats.truth.map_reader import runs
from app.formats.truth.model import TruthFrame
from tests.pngs import jpeg, png, tree

RED, GREEN, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 0)


def picture(*rows: list[tuple[int, ...]]) -> bytes:
    return png(np.array(rows, np.uint8))


def read(path: Path) -> tuple[ColourReader, list[TruthFrame]]:
    reader = open_truth(open_files(path), "colour-png")
    assert isinstance(reader, ColourReader)
    return reader, list(reader.frames())


def names(reader: ColourReader, frame: TruthFrame) -> list[list[str]]:
    assert frame.values is not None
    return [[reader.found(frame.keys[value]).name for value in row] for row in frame.values.tolist()]


def test_camvid_colours_have_the_published_names(shared_data: Path) -> None:
    reader, frames = read(shared_data / "formats/camvid_datumaro")
    assert [frame.name for frame in frames] == [
        "test/0001TP_008550.png",
        "test/0001TP_008580.png",
        "train/0001TP_006690.png",
        "val/0016E5_07959.png",
    ]
    assert not [sentence for frame in frames for sentence in frame.problems]
    assert set(names(reader, frames[2])[0]) == {"road", "bicyclist"}
    assert {cls.name for cls in reader.classes() if cls.void} == {"void"}


def test_voc_colours_have_the_published_names(shared_data: Path) -> None:
    reader, (frame,) = read(shared_data / "formats/voc_datumaro")
    assert (frame.name, frame.width, frame.height) == ("JPEGImages/2007_000001.jpg", 20, 10)
    assert {name for row in names(reader, frame) for name in row} == {"bicycle"}


def test_cityscapes_colours_are_read_where_no_ids_are(tmp_path: Path) -> None:
    files = {"gtFine/a_1_2_gtFine_color.png": picture([(128, 64, 128), (0, 0, 142), (0, 0, 0)])}
    reader, (frame,) = read(tree(tmp_path, files))
    assert names(reader, frame) == [["road", "car", "unlabeled"]]
    assert reader.found("colour:#000000").void


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labelmap.txt", "nothing:0,0,0::\ncar:255,0,0::\ntree:0,255,0::\n"),
        ("label_colors.txt", "0 0 0\tnothing\n255 0 0\tcar\n0 255 0\ttree\n"),
        ("classes.json", '{"classes":[{"name":"car","color":[255,0,0]},{"name":"tree","colour":"#00FF00"}]}'),
        ("palette.json", '{"car":[255,0,0],"tree":[0,255,0]}'),
    ],
)
def test_lists_beside_the_masks_name_the_colours(tmp_path: Path, name: str, text: str) -> None:
    files = {"masks/a_7.png": picture([RED, GREEN]), "images/a_7.jpg": jpeg(2, 1), name: text}
    reader, (frame,) = read(tree(tmp_path, files))
    assert names(reader, frame) == [["car", "tree"]]
    assert (frame.name, frame.index, frame.problems) == ("images/a_7.jpg", 7, [])


def test_colours_keep_their_number_through_the_frames(tmp_path: Path) -> None:
    files = {"masks/1.png": picture([RED, GREEN]), "masks/2.png": picture([BLACK, RED])}
    reader, frames = read(tree(tmp_path, files))
    red = [next(v for v, key in frame.keys.items() if key == "colour:#ff0000") for frame in frames]
    assert red[0] == red[1]
    assert not reader.classes()
    assert reader.found("colour:#00ff00").colour == "#00ff00"
    again = list(reader.frames())
    assert all((a.values == b.values).all() and a.keys == b.keys for a, b in zip(frames, again))


def test_a_colour_that_the_list_lacks_is_counted_and_kept(tmp_path: Path) -> None:
    files = {"masks/1.png": picture([RED, GREEN, GREEN]), "labelmap.txt": "car:255,0,0::\nsky:0,0,9::\n"}
    reader, (frame,) = read(tree(tmp_path, files))
    assert names(reader, frame) == [["car", "#00ff00", "#00ff00"]]
    assert frame.problems == [
        "“masks/1.png” has 2 pixels of a colour that the class list does not have, such as #00ff00."
    ]


def test_transparent_pixels_mean_nothing_and_half_transparent_ones_are_reported(tmp_path: Path) -> None:
    reader, (frame,) = read(
        tree(tmp_path, {"masks/1.png": picture([(255, 0, 0, 0), (255, 0, 0, 9), (9, 9, 9, 255)])})
    )
    assert names(reader, frame) == [["transparent", "#ff0000", "#090909"]]
    assert reader.found("colour:transparent").void
    assert frame.problems == ["“masks/1.png” has 1 half-transparent pixels; their colour counts as it is."]


def test_photos_and_smoothed_edges_are_told_by_their_many_colours(tmp_path: Path) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (30, 30, 3), np.uint8)
    ramp = np.zeros((10, 20, 3), np.uint8)
    ramp[0, :, 0], ramp[1, :, 1] = np.arange(20), np.arange(20)
    files = {
        "masks/1.png": png(photo),
        "masks/2.png": png(ramp),
        "masks/3.png": png([[1]]),
    }
    big = np.zeros((300, 300, 3), np.uint8)
    big[0, :40, 0] = np.arange(40)
    files["masks/4.png"] = png(big)
    _, frames = read(tree(tmp_path, files))
    assert "different colours, at most 256 are read" in frames[0].problems[0]
    assert frames[0].values is None
    assert frames[1].problems == []
    assert "is a palette or grey PNG among colour ones" in frames[2].problems[0]
    assert "has 40 colours, most of them on very few pixels" in frames[3].problems[0]
    assert frames[3].values is not None


def test_too_many_colours_over_all_frames_are_no_label_maps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.formats.truth.colour_png.MAX_CLASSES", 3)
    files = {f"masks/{i}.png": picture([(i, 0, 0), (i, 1, 0)]) for i in range(2)}
    _, frames = read(tree(tmp_path, files))
    assert "more than 3 colours" in frames[1].problems[0]


def test_a_source_without_masks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="holds no PNG that could be a label map"):
        read(tree(tmp_path, {"list.txt": "x"}))


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3)), elements=st.integers(0, 3))
)
def test_packed_colours_and_runs_hold_every_pixel(pixels: np.ndarray) -> None:
    packed = pack(pixels)
    r, g, b = (pixels[..., i].astype(int).ravel() for i in range(3))
    assert packed.tolist() == (r * 65536 + g * 256 + b).tolist()
    starts, lengths = runs(packed)
    assert np.repeat(packed[starts], lengths).tolist() == packed.tolist()
