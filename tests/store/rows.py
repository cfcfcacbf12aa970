"""One row of each kind, with every optional field filled."""

from __future__ import annotations

import msgspec

from app import store as db
from app.models import (
    Asset,
    Certificate,
    Change,
    ClassDef,
    ClassTemplate,
    Edit,
    Frame,
    Geometry,
    Job,
    Point,
    Project,
    Region,
    Sampling,
    Track,
    as_raw,
    frame_id,
    new_id,
)

CERTIFICATE = Certificate(engine="classic", weights="w", iou=0.97, boundary_f=0.9)


def template() -> ClassTemplate:
    return ClassTemplate(
        id=new_id(), name="Street", classes=[ClassDef(id=1, name="road", colour="#804080", value=0)]
    )


def project(class_template_id: str, name: str = "Crossing") -> Project:
    return Project(id=new_id(), name=name, class_template_id=class_template_id)


def asset(project_id: str) -> Asset:
    return Asset(
        id=new_id(),
        project_id=project_id,
        name="Clip",
        stem="clip",
        kind="video",
        source="source.mp4",
        sampling=Sampling(mode="fps", fps=12.5, start=1.0, stop=2.0),
        fps=25.0,
        duration=4.0,
    )


def frames(asset_id: str, count: int) -> list[Frame]:
    return [
        Frame(
            id=frame_id(asset_id, i),
            asset_id=asset_id,
            index=i,
            source_index=2 * i,
            pts=i / 12.5,
            width=64,
            height=48,
            hash=f"{i:064x}",
            file=f"frames/{i:06d}.jpg",
            thumb=f"thumbs/{i:06d}.jpg",
        )
        for i in range(count)
    ]


def region(frame: str, *, certificate: Certificate | None = None, x: float = 1.5) -> Region:
    return Region(
        id=new_id(),
        frame_id=frame,
        class_id=1,
        geometry=Geometry(
            points=[Point(x=x, y=2.25, r=3.0), Point(x=9.0, y=8.0, label=0)],
            box=(0.0, 0.0, 10.0, 9.5),
            outline=[[(0.5, 0.5), (9.5, 0.5), (9.5, 8.5)]],
        ),
        track_id=new_id(),
        certificate=certificate,
        area=42,
        author="ann",
    )


def track(project_id: str) -> Track:
    return Track(id=new_id(), project_id=project_id, class_id=1, name="car 1")


def job(project_id: str, state: str = "waiting") -> Job:
    return Job(
        id=new_id(),
        project_id=project_id,
        kind="extract",
        title="Extract",
        state=state,  # pyright: ignore[reportArgumentType]
        args=msgspec.Raw(b'{"a":1}'),
        result=msgspec.Raw(b"[1,2]"),
        eta_s=2.5,
    )


def edit(project_id: str, actor: str = "ann", **fields: object) -> Edit:
    change = Change(table="project", id=new_id(), before=as_raw(None), after=msgspec.Raw(b'{"x":1}'))
    return msgspec.structs.replace(
        Edit(id=new_id(), project_id=project_id, actor=actor, kind="add", changes=[change]), **fields
    )


def scene(cur: db.Cursor, count: int = 3) -> tuple[Project, Asset, list[Frame]]:
    """A class template, a project, an asset and its frames, inserted."""
    made = db.projects.insert(cur, project(db.class_templates.insert(cur, template()).id))
    clip = db.assets.insert(cur, asset(made.id))
    images = frames(clip.id, count)
    db.frames.upsert_many(cur, images)
    return made, clip, images
