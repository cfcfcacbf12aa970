"""Exports and the way back in, on drawn frames, through the real job folder."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from app.algo.render import Crop
from app.errors import Cancelled, Refused
from app.formats import bundle, label_png, mask_file
from app.formats.frames import content_hash
from app.formats.out import FORMATS
from app.mask_key import certifier, key_of, path_of
from app.models import (
    Asset,
    Certificate,
    ClassDef,
    ClassTemplate,
    Frame,
    Geometry,
    Point,
    Project,
    Region,
    Track,
    frame_id,
    new_id,
)
from tasks import export, import_bundle
from tasks.bundle_index import IndexedBundle
from tasks.bundle_maps import Painter, Pictures
from tasks.channel import Channel, Stopping, request_cancel
from tasks.given_masks import GivenMasks
from tasks.rendering import label_map
from tasks.snapshot import Snapshot
from tests import drawing

WIDTH, HEIGHT, FRAMES = 96, 72, 4
CLASSES = [
    ClassDef(id=1, name="disc", colour="#d03c2c", priority=1),
    ClassDef(id=2, name="bar", colour="#286ebe", value=9),
]
WRITTEN = [row.id for row in FORMATS.values() if row.module]
OUTLINE = [[(60.0, 30.0), (84.0, 30.0), (84.0, 60.5), (60.0, 60.0)]]


class World:
    """A data folder with one project as the web process would snapshot it: frames 1 and 2 have regions."""

    def __init__(self, data: Path, *, assets: int = 1, classes: list[ClassDef] = CLASSES) -> None:
        self.data = data
        self.template = ClassTemplate(id=new_id(), name="Two", classes=list(classes))
        self.project = Project(
            id=new_id(), name="Ein Projekt/№1", class_template_id=self.template.id, status="wip"
        )
        self.track = Track(id=new_id(), project_id=self.project.id, class_id=2, name="bar 1", created_at=1.0)
        self.assets = [self._asset(number) for number in range(assets)]
        self.track.lost = {asset.id: [(3, 1)] for asset, _ in self.assets}
        self.jobs = 0

    def _asset(self, number: int) -> tuple[Asset, list[tuple[Frame, list[Region]]]]:
        asset = Asset(
            id=new_id(),
            project_id=self.project.id,
            name="clip.mp4",
            stem="../clip one",
            kind="video",
            source="source.mp4",
            state="ready",
            width=WIDTH,
            height=HEIGHT,
            frame_count=FRAMES,
            fps=25.0,
            created_at=2.0,
        )
        folder = self.data / "assets" / asset.id
        for name in ("frames", "thumbs"):
            (folder / name).mkdir(parents=True)
        frames = []
        for index in range(FRAMES):
            image, _ = drawing.scene(index + 10 * number, WIDTH, HEIGHT)
            ok, data = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))
            assert ok
            file, thumb = f"frames/{index:06d}.png", f"thumbs/{index:06d}.jpg"
            (folder / file).write_bytes(data.tobytes())
            (folder / thumb).write_bytes(cv2.imencode(".jpg", image[::4, ::4])[1].tobytes())
            frame = Frame(
                id=frame_id(asset.id, index),
                asset_id=asset.id,
                index=index,
                source_index=index,
                pts=[0.0, 0.04, 0.2, 0.24][index],
                width=WIDTH,
                height=HEIGHT,
                hash=content_hash(data.tobytes()),
                file=file,
                thumb=thumb,
            )
            frames.append((frame, self._regions(frame) if index in (1, 2) else []))
        return asset, frames

    def _regions(self, frame: Frame) -> list[Region]:
        disc = Geometry(points=[Point(x=30.5, y=32.5, r=10.0), Point(x=90.5, y=5.5, label=0)])
        return [
            Region(id=new_id(), frame_id=frame.id, class_id=1, geometry=disc, created_at=5.0, author="ann"),
            Region(
                id=new_id(),
                frame_id=frame.id,
                class_id=2,
                geometry=Geometry(outline=OUTLINE),
                track_id=self.track.id,
                created_at=5.0,
                score=0.625,
                agreement=0.75,
            ),
        ]

    def snapshot(self, target: Path) -> Path:
        places = {c.id: (c.priority, i) for i, c in enumerate(self.template.classes)}
        lines: list[dict[str, Any]] = [
            {
                "type": "header",
                "project": self.project,
                "class_template": self.template,
                "tracks": [self.track],
            }
        ]
        for asset, frames in self.assets:
            lines.append({"type": "asset", "asset": asset})
            for frame, regions in frames:
                specs = [
                    {
                        "id": r.id,
                        "class_id": r.class_id,
                        "priority": places[r.class_id][0],
                        "order": places[r.class_id][1],
                        "geometry": r.geometry,
                        **dict(zip(("engine", "weights"), certifier(r.geometry, r.certificate), strict=True)),
                    }
                    for r in regions
                    if r.class_id in places
                ]
                image = str(self.data / "assets" / asset.id / frame.file)
                lines.append(
                    {"type": "frame", "frame": frame, "image": image, "regions": regions, "specs": specs}
                )
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
        return target

    def job(self) -> Path:
        self.jobs += 1
        return self.data / "jobs" / f"job{self.jobs}"

    def export(self, format: str, job: Path | None = None, **options: Any) -> tuple[Path, dict[str, Any]]:
        job = job or self.job()
        out = self.data / "exports" / job.name
        snapshot = job / "input.jsonl"
        if not snapshot.exists():
            self.snapshot(snapshot)
        args = {
            "format": format,
            "data_dir": str(self.data),
            "out_dir": str(out),
            "input": str(snapshot),
            "options": options,
        }
        with Channel(job) as channel:
            return out, export.run(channel, args)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "data")


def label_maps(snapshot: Path) -> list[bytes]:
    looked = Snapshot(snapshot)
    return [
        label_map(entry, GivenMasks(None)).tobytes()
        for section in looked.sections
        for entry in looked.frames(section)
    ]


@pytest.mark.parametrize("mode", ["palette", "index", "colour"])
def test_png_export_holds_the_rendered_label_maps_under_the_source_stem(
    world: World, mode: label_png.Mode
) -> None:
    out, result = world.export(f"{mode}-png")
    assert (result["frames"], result["skipped"]) == (2, 2)
    assert "2 frames without regions" in result["notes"][0]
    snapshot = Snapshot(world.snapshot(world.data / "again.jsonl"))
    rendered = [label_map(entry, GivenMasks(None)) for entry in snapshot.frames(snapshot.sections[0])]
    assert set(np.unique(rendered[1])) == {0, 1, 2}
    with zipfile.ZipFile(out / result["files"][0]["name"]) as archive:
        assert archive.namelist() == ["classes.json", "clip_one_000001.png", "clip_one_000002.png"]
        for index in (1, 2):
            png = archive.read(f"clip_one_{index:06d}.png")
            assert (label_png.decode(png, CLASSES, mode=mode, unlabelled=0) == rendered[index]).all()
        assert json.loads(archive.read("classes.json"))["classes"][1]["value"] == 9


def certified_by_sam3(world: World) -> list[Region]:
    """The discs of the first asset, as if sam3 had certified them; only the first one's mask was kept."""
    discs = [region for _, regions in world.assets[0][1] for region in regions[:1]]
    for region in discs:
        region.certificate = Certificate(engine="sam3", weights="0123456789abcdef", iou=0.97, boundary_f=0.95)
    frame = world.assets[0][1][1][0]
    key = key_of(frame.hash, discs[0].geometry, "sam3", "0123456789abcdef")
    mask = Crop(np.ones((7, 9), bool), 20, 30)
    mask_file.write(path_of(world.data, key), mask, (HEIGHT, WIDTH))
    return discs


NOTE = "1 region was drawn by classic because the masks of sam3 were not at hand."


def test_what_another_engine_certified_is_exported_as_it_was_drawn_and_stand_ins_are_counted(
    world: World,
) -> None:
    certified_by_sam3(world)
    out, result = world.export("palette-png")
    assert result["notes"][-1] == NOTE
    with zipfile.ZipFile(out / result["files"][0]["name"]) as archive:
        first, second = (
            label_png.decode(archive.read(f"clip_one_{index:06d}.png"), CLASSES, mode="palette", unlabelled=0)
            for index in (1, 2)
        )
    assert ((first == 1) == Crop(np.ones((7, 9), bool), 20, 30).full(first.shape)).all()
    assert np.count_nonzero(second == 1) > 63
    assert world.export("overlay-mp4", audio=False)[1]["notes"] == [NOTE]


def test_an_export_that_was_interrupted_counts_the_stand_ins_of_both_runs(world: World) -> None:
    for region in certified_by_sam3(world):
        region.geometry.points[0].x += 1  # no mask was kept for these
    job = world.job()
    world.snapshot(job / "input.jsonl")

    class Interrupted(Channel):
        def report(self, done: int, *more: Any, **options: Any) -> None:
            if done == 1:
                raise Stopping

    args = {"format": "palette-png", "data_dir": str(world.data), "input": str(job / "input.jsonl")}
    with Interrupted(job) as channel, pytest.raises(Stopping):
        export.run(channel, {**args, "out_dir": str(world.data / "exports" / job.name)})
    result = world.export("palette-png", job)[1]
    both = NOTE.replace("1 region was", "2 regions were")
    assert (result["notes"][-1], world.export("index-png")[1]["notes"][-1]) == (both, both)


def test_a_bundle_of_another_engines_regions_comes_back_and_shows_the_masks_that_are_at_hand(
    world: World,
) -> None:
    certified_by_sam3(world)
    out, result = world.export("bundle")
    path = out / result["files"][0]["name"]
    with IndexedBundle(path, "a") as opened:
        pictures = Pictures((opened,), None, world.data)
        painter = Painter(opened, pictures)
        painted = [painter.paint(frame, opened.regions(number)) for number, frame in opened.frames()]
        assert painted[1] is not None
        assert np.count_nonzero(painted[1].labels == 1) == 63
        assert pictures.masks.missing == {"sam3": 1}


def test_export_of_the_same_state_is_the_same_bytes(world: World) -> None:
    first, second = (world.export("palette-png")[1] for _ in range(2))
    assert first["files"] == second["files"]
    assert len(first["files"][0]["sha256"]) == 64


def test_frames_without_regions_can_be_exported_as_unlabelled(world: World) -> None:
    out, result = world.export("index-png", only_labelled=False, unlabelled_value=255)
    assert (result["frames"], result["skipped"]) == (4, 0)
    with zipfile.ZipFile(out / result["files"][0]["name"]) as archive:
        assert set(np.unique(label_png.read_pixels(archive.read("clip_one_000000.png")))) == {255}


def test_project_name_cannot_leave_the_export_folder(world: World) -> None:
    _, result = world.export("palette-png")
    assert [entry["name"] for entry in result["files"]] == ["Ein_Projekt_1_palette-png.zip"]


def test_assets_of_one_stem_get_folders_of_their_own(tmp_path: Path) -> None:
    world = World(tmp_path / "data", assets=2)
    out, result = world.export("palette-png")
    with zipfile.ZipFile(out / result["files"][0]["name"]) as archive:
        names = archive.namelist()[1:]
    assert names[0] == "clip_one/clip_one_000001.png"
    assert names[2] == "clip_one-2/clip_one-2_000001.png"


def test_frames_keep_the_names_of_their_files_and_equal_ones_are_numbered(world: World) -> None:
    asset, frames = world.assets[0]
    asset.kind = "images"
    for (frame, _), name in zip(frames, ("IMG 1", "Straße/ü", "img 1", ".."), strict=True):
        frame.name = name
    out, result = world.export("cvat", only_labelled=False, media=True)
    with zipfile.ZipFile(out / result["files"][0]["name"]) as archive:
        images = [name for name in archive.namelist() if name.startswith("images/")]
        assert images == [
            "images/IMG 1.png",
            "images/Straße_ü.png",
            "images/img 1-2.png",
            "images/clip_one_000003.png",
        ]
        assert 'name="img 1-2.png"' in archive.read("annotations.xml").decode()


def test_class_written_like_unlabelled_pixels_stops_the_export_before_any_work(tmp_path: Path) -> None:
    world = World(tmp_path / "data", classes=[CLASSES[0], msgspec.structs.replace(CLASSES[1], value=0)])
    with pytest.raises(Refused, match="“bar” is written as 0"):
        world.export("index-png", unlabelled_value=0)
    assert world.export("index-png", unlabelled_value=255)[1]["frames"] == 2


@pytest.mark.parametrize("format", ["palette-png", "voc", "cityscapes", "davis"])
def test_a_class_of_value_0_gives_unlabelled_pixels_a_free_number_and_says_so(
    tmp_path: Path, format: str
) -> None:
    world = World(tmp_path / "data", classes=[CLASSES[0], msgspec.structs.replace(CLASSES[1], value=0)])
    result = world.export(format, objects="class")[1]
    assert "A class is written as 0, so unlabelled pixels are written as 255." in result["notes"]


def test_nothing_to_export_is_said(world: World) -> None:
    for _, frames in world.assets:
        for _, regions in frames:
            regions.clear()
    with pytest.raises(Refused, match="No frame has a region yet"):
        world.export("palette-png")


@pytest.mark.parametrize("format", WRITTEN)
def test_interrupted_export_goes_on_behind_the_last_finished_frame_and_ends_with_the_same_bytes(
    world: World, format: str
) -> None:
    whole = world.export(format)[1]
    job = world.job()
    (first, _), (second, _) = world.assets[0][1][1:3]
    images = [world.data / "assets" / frame.asset_id / frame.file for frame in (first, second)]
    gone = images[1].rename(images[1].with_suffix(".gone"))
    with pytest.raises(Refused, match="frame 2"):
        world.export(format, job)
    gone.rename(images[1])
    # Were the first frame rendered again, this would stop it.
    images[0].unlink()
    out, result = world.export(format, job)
    assert result == whole
    assert [path.name for path in out.iterdir() if path.is_dir()] == []
    images[1].unlink()
    assert world.export(format, job)[1] == whole


@pytest.mark.parametrize("format", WRITTEN)
def test_images_are_packed_as_they_were_extracted(world: World, format: str) -> None:
    out, result = world.export(format, media=True)
    frame = world.assets[0][1][1][0]
    image = (world.data / "assets" / frame.asset_id / frame.file).read_bytes()
    with zipfile.ZipFile(out / result["files"][0]["name"]) as archive:
        assert image in [archive.read(name) for name in archive.namelist()]


def test_cancelled_export_leaves_no_finished_file(world: World) -> None:
    for format in ("palette-png", "overlay-mp4", "mask-video", "bundle"):
        job = world.job()
        request_cancel(job)
        with pytest.raises(Cancelled):
            world.export(format, job)
        assert [
            path
            for path in (world.data / "exports" / job.name).rglob("*.*")
            if path.suffix in (".zip", ".mp4", ".part")
        ] == []


def test_regions_of_classes_that_are_gone_are_left_out_and_counted(tmp_path: Path) -> None:
    world = World(tmp_path / "data")
    world.template.classes.pop()
    _, result = world.export("palette-png")
    assert result["notes"][0].startswith("2 regions of classes")
    out, result = world.export("bundle")
    lines = [line for _, line in bundle.read(io.BytesIO((out / result["files"][0]["name"]).read_bytes()))]
    assert sum(isinstance(line, bundle.RegionLine) for line in lines) == 2


def test_unreadable_frame_is_named(world: World) -> None:
    asset, frames = world.assets[0]
    (world.data / "assets" / asset.id / frames[2][0].file).write_bytes(b"not an image")
    with pytest.raises(Refused, match="frame 2"):
        world.export("palette-png")


# ── the way back ───────────────────────────────────────────────────────────────────────────────────────


def restored(data: Path, source: Path, project_id: str | None = None) -> tuple[dict[str, Any], Path]:
    """Import a bundle into `data`; returns the result and the snapshot that the rows would give."""
    job = data / "jobs" / new_id()
    args = {"data_dir": str(data), "source": str(source), "project_id": project_id or new_id(), "name": None}
    with Channel(job) as channel:
        result = import_bundle.run(channel, args)
    rows: dict[str, list[Any]] = {}
    kinds = {"class_template": ClassTemplate, "project": Project, "asset": Asset, "track": Track}
    kinds |= {"frame": Frame, "region": Region}
    for line in Path(result["records"]).read_bytes().splitlines():
        entry = msgspec.json.decode(line)
        rows.setdefault(entry["type"], []).append(msgspec.convert(entry["row"], kinds[entry["type"]]))
    world = World.__new__(World)
    world.data, world.jobs = data, 0
    world.template, world.project, world.track = (
        rows["class_template"][0],
        rows["project"][0],
        rows["track"][0],
    )
    world.assets = []
    for asset in rows["asset"]:
        frames = [frame for frame in rows["frame"] if frame.asset_id == asset.id]
        by_frame = {frame.id: [] for frame in frames}
        for region in sorted(rows.get("region", []), key=lambda r: (r.created_at, r.id)):
            if region.frame_id in by_frame:
                by_frame[region.frame_id].append(region)
        world.assets.append((asset, [(frame, by_frame[frame.id]) for frame in frames]))
    return result, world.snapshot(data / f"{new_id()}.jsonl")


def test_bundle_restores_byte_identical_label_maps_in_an_empty_folder(tmp_path: Path) -> None:
    world = World(tmp_path / "data", assets=2)
    before = label_maps(world.snapshot(tmp_path / "before.jsonl"))
    out, made = world.export("bundle", media=True)
    kept = tmp_path / "kept.zip"
    shutil.copy(out / made["files"][0]["name"], kept)
    shutil.rmtree(world.data)
    result, snapshot = restored(tmp_path / "data", kept)
    assert (result["assets"], result["frames"], result["regions"], result["tracks"]) == (2, 8, 8, 1)
    assert sorted(label_maps(snapshot)) == sorted(before)
    assert any(set(data) != {0} for data in before)


def test_bundle_of_text_alone_finds_the_frames_of_the_data_folder(world: World) -> None:
    before = label_maps(world.snapshot(world.data / "before.jsonl"))
    out, made = world.export("bundle")
    asset = world.assets[0][0]
    (world.data / "assets" / asset.id).rename(world.data / "assets" / new_id())
    _, snapshot = restored(world.data, out / made["files"][0]["name"])
    assert label_maps(snapshot) == before


def test_restored_project_gives_the_same_bundle_but_for_ids(world: World) -> None:
    out, made = world.export("bundle", media=True)
    first = out / made["files"][0]["name"]
    project_id = new_id()
    _, one = restored(world.data, first, project_id)
    _, two = restored(world.data, first, project_id)
    drop = ("created_at", "updated_at")
    rows = [
        [
            {k: v for k, v in json.loads(line).items() if k not in drop}
            for line in path.read_bytes().splitlines()[1:]
        ]
        for path in (one, two)
    ]
    assert rows[0] == rows[1]
    regions = [r for row in rows[0] if row["type"] == "frame" for r in row["regions"]]
    old = [
        region
        for _, frames in world.assets
        for _, regions in frames
        for region in sorted(regions, key=lambda region: (region.created_at, region.id))
    ]
    assert [r["class_id"] for r in regions] == [r.class_id for r in old]
    assert [(r["score"], r["agreement"]) for r in regions] == [(r.score, r.agreement) for r in old]
    (track,) = json.loads(one.read_bytes().splitlines()[0])["tracks"]
    assert list(track["lost"].values()) == [[[3, 1]]]
    assert {r["id"] for r in regions}.isdisjoint(r.id for r in old)


def test_bundle_without_images_or_known_frames_is_refused(world: World, tmp_path: Path) -> None:
    out, made = world.export("bundle")
    with pytest.raises(Refused, match=r"holds no images for “clip.mp4”"):
        restored(tmp_path / "elsewhere", out / made["files"][0]["name"])


def test_bad_bundle_leaves_nothing_behind(world: World, tmp_path: Path) -> None:
    out, made = world.export("bundle", media=True)
    whole = out / made["files"][0]["name"]
    asset = world.assets[0][0].id

    def damaged(change: str) -> Path:
        target = tmp_path / f"{change}.zip"
        with zipfile.ZipFile(whole) as source, zipfile.ZipFile(target, "w") as archive:
            for name in source.namelist():
                data = source.read(name)
                if change == "swapped" and name.endswith("frames/000003.png"):
                    data = source.read(f"assets/{asset}/frames/000000.png")
                if change == "text" and name == bundle.TEXT_NAME:
                    data = data.replace(b'"class_id":1', b'"class_id":5')
                if change == "thumb" and name.endswith("thumbs/000002.jpg"):
                    data = b"<svg/>"
                archive.writestr(name, data)
        return target

    for change, sentence in (
        ("swapped", "frame 3 is not the one"),
        ("text", "Line .* class 5"),
        ("thumb", "thumbnail of frame 2"),
    ):
        data = tmp_path / change
        with pytest.raises(Refused, match=sentence):
            restored(data, damaged(change))
        assert not (data / "assets").exists() or list((data / "assets").iterdir()) == []


def test_gap_in_the_frame_numbers_is_refused(world: World, tmp_path: Path) -> None:
    out, made = world.export("bundle")
    text = (out / made["files"][0]["name"]).read_bytes().splitlines(keepends=True)
    holed = tmp_path / "holed.jsonl"
    holed.write_bytes(b"".join(line for line in text if b'"index":3' not in line))
    restored(world.data, holed)
    holed.write_bytes(b"".join(line for line in text if b'"index":0' not in line))
    with pytest.raises(Refused, match="without gaps"):
        restored(world.data, holed)
