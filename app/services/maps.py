"""Label maps and region maps: rendered in the worker, cached by content, never computed in this process."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from app import store as db
from app.formats import map_file
from app.mask_key import certifier
from app.models import Asset, ClassTemplate, Frame, Project, Region
from app.services.context import Context, Paths
from app.services.views import MapFile
from app.worker import protocol

RENDERER = "compete-4"
"""Part of every cache key; equals `app.algo.compete.VERSION`, which this process does not import."""

_LOCKS = [threading.Lock() for _ in range(16)]


@dataclass(frozen=True)
class Scene:
    """All that decides the label map of a frame."""

    frame: Frame
    asset: Asset
    project: Project
    template: ClassTemplate
    regions: list[Region]
    key: str

    def with_region(self, region: Region) -> Scene:
        """The scene with one more region, as it will be."""
        regions = [*self.regions, region]
        key = key_of(self.frame, self.template, regions)
        return Scene(self.frame, self.asset, self.project, self.template, regions, key)

    def specs(self, *, without: str | None = None) -> list[protocol.RegionSpec]:
        return region_specs(self.template, [r for r in self.regions if r.id != without])


def scene(cur: db.Cursor, frame: Frame, asset: Asset) -> Scene:
    project = db.projects.get(cur, asset.project_id)
    template = db.class_templates.get(cur, project.class_template_id)
    regions = db.regions.of_frame(cur, frame.id)
    return Scene(frame, asset, project, template, regions, key_of(frame, template, regions))


def read_scene(ctx: Context, frame_id: str) -> Scene:
    def query(cur: db.Cursor) -> Scene:
        frame = db.frames.get(cur, frame_id)
        return scene(cur, frame, db.assets.get(cur, frame.asset_id))

    return ctx.store.read(query)


def read_scenes(ctx: Context, asset_id: str, start: int, count: int, step: int) -> list[Scene]:
    """The scenes of the frames `start`, `start + step`, … of an asset, `count` at most, in one read."""
    span = (count - 1) * step + 1

    def query(cur: db.Cursor) -> list[Scene]:
        asset = db.assets.get(cur, asset_id)
        project = db.projects.get(cur, asset.project_id)
        template = db.class_templates.get(cur, project.class_template_id)
        regions: dict[str, list[Region]] = {}
        for region in db.regions.of_asset(cur, asset_id, start, span):
            regions.setdefault(region.frame_id, []).append(region)
        scenes = []
        for frame in db.frames.page(cur, asset_id, start, span)[::step]:
            theirs = regions.get(frame.id, [])
            key = key_of(frame, template, theirs)
            scenes.append(Scene(frame, asset, project, template, theirs, key))
        return scenes

    return ctx.store.read(query)


def region_specs(template: ClassTemplate, regions: Sequence[Region]) -> list[protocol.RegionSpec]:
    """Regions as the renderer wants them. A region whose class is gone from the template is left out."""
    places = {c.id: (c.priority, i) for i, c in enumerate(template.classes)}
    specs = []
    for region in regions:
        if region.class_id not in places:
            continue
        priority, order = places[region.class_id]
        engine, weights = certifier(region.geometry, region.certificate)
        specs.append(
            protocol.RegionSpec(
                id=region.id,
                class_id=region.class_id,
                priority=priority,
                order=order,
                geometry=region.geometry,
                engine=engine,
                weights=weights,
            )
        )
    return specs


def key_of(frame: Frame, template: ClassTemplate, regions: Sequence[Region]) -> str:
    specs = region_specs(template, regions)
    digest = hashlib.blake2b(digest_size=16)
    digest.update(msgspec.json.encode([RENDERER, frame.hash, specs]))
    return digest.hexdigest()


def frame_ref(paths: Paths, frame: Frame) -> protocol.FrameRef:
    return protocol.FrameRef(
        id=frame.id,
        path=str(paths.asset(frame.asset_id) / frame.file),
        hash=frame.hash,
        width=frame.width,
        height=frame.height,
    )


def region_map(ctx: Context, frame_id: str) -> MapFile:
    """The region map of a frame as a file (`app.formats.map_file`), rendered if the cache lacks it."""
    return region_map_of(ctx, read_scene(ctx, frame_id))


def region_map_of(ctx: Context, current: Scene) -> MapFile:
    """As `region_map`, of a scene that was read before."""
    path = ctx.paths.maps / current.key[:2] / f"{current.key}.gz"
    if not path.exists():
        with _LOCKS[int(current.key[:2], 16) % len(_LOCKS)]:
            if not path.exists():
                body, substituted = _render(ctx, current)
                if substituted:
                    return MapFile(path="", key=current.key, body=body, substituted=substituted)
                _write(path, body)
    return MapFile(path=str(path), key=current.key)


def label_map_png(ctx: Context, frame_id: str, mode: str, unlabelled: int | None) -> MapFile:
    """The label map of a frame as PNG: palette, index or colour. Raises Refused for another mode."""
    current = read_scene(ctx, frame_id)
    classes = msgspec.json.encode([mode, unlabelled, current.template.classes])
    key = hashlib.blake2b(current.key.encode() + classes, digest_size=16).hexdigest()
    path = ctx.paths.maps / key[:2] / f"{key}.png"
    if not path.exists():
        reply = ctx.worker.request(
            protocol.LabelPng(
                frame=frame_ref(ctx.paths, current.frame),
                regions=current.specs(),
                engine=current.project.engine,
                mode=mode,
                unlabelled=unlabelled,
                classes=current.template.classes,
            )
        )
        assert isinstance(reply, protocol.LabelPngMade)
        if reply.substituted:
            return MapFile(path="", key=key, body=reply.png, substituted=reply.substituted)
        _write(path, reply.png)
    return MapFile(path=str(path), key=key)


def _render(ctx: Context, current: Scene) -> tuple[bytes, str]:
    """The map's file, and the sentence that names stand-ins."""
    specs = current.specs()
    frame = current.frame
    if not specs:
        raw = protocol.Rendered(
            dtype="u1",
            width=frame.width,
            height=frame.height,
            body=bytes(frame.width * frame.height),
            areas=[],
        )
    else:
        reply = ctx.worker.request(
            protocol.Render(
                frame=frame_ref(ctx.paths, frame),
                regions=specs,
                engine=current.project.engine,
            )
        )
        assert isinstance(reply, protocol.Rendered)
        raw = reply
    return encode(current, specs, raw), raw.substituted


def encode(current: Scene, specs: list[protocol.RegionSpec], raw: protocol.Rendered) -> bytes:
    """The map's file (`app.formats.map_file`); its ids are places in `specs`.

    `substituted` is in the header only where regions were drawn by a stand-in.
    """
    facts: dict[str, object] = {
        "frame": current.frame.id,
        "width": raw.width,
        "height": raw.height,
        "dtype": raw.dtype,
        "regions": [
            {"id": spec.id, "class_id": spec.class_id, "area": area}
            for spec, area in zip(specs, raw.areas, strict=True)
        ],
        "key": current.key,
    }
    if raw.substituted:
        facts["substituted"] = raw.substituted
    return map_file.encode(facts, raw.body)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    part.write_bytes(data)
    part.replace(path)
