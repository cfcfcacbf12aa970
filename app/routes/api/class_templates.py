"""/api/v1/class-templates"""

from __future__ import annotations

from typing import Any

from litestar import Request, Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct

from app.models import ClassDef, ClassTemplate
from app.routes.api.common import actor_of, known_id, revision_of
from app.services import class_templates
from app.services.context import Context
from app.services.presets import PRESETS

Req = Request[Any, Any, Any]


class NewTemplate(Struct, kw_only=True, forbid_unknown_fields=True):
    name: str
    classes: list[ClassDef] | None = None
    preset: str | None = None
    id: str | None = None


class TemplatePatch(Struct, kw_only=True, forbid_unknown_fields=True):
    name: str | None = None
    classes: list[ClassDef] | None = None


@get("/", sync_to_thread=True)
def listing(ctx: NamedDependency[Context], trashed: FromQuery[bool] = False) -> list[ClassTemplate]:
    return class_templates.listing(ctx, trashed=trashed)


@get("/presets", sync_to_thread=False)
def presets() -> dict[str, str]:
    return {key: preset.title for key, preset in PRESETS.items()}


@post("/", sync_to_thread=True)
def create(request: Req, ctx: NamedDependency[Context], data: JSONBody[NewTemplate]) -> ClassTemplate:
    return class_templates.create(
        ctx,
        name=data.name,
        classes=data.classes,
        preset=data.preset,
        id=data.id and known_id(data.id),
        actor=actor_of(request),
    )


@get("/{template_id:str}", sync_to_thread=True)
def read(ctx: NamedDependency[Context], template_id: FromPath[str]) -> ClassTemplate:
    return class_templates.get(ctx, known_id(template_id))


@patch("/{template_id:str}", sync_to_thread=True)
def update(
    request: Req, ctx: NamedDependency[Context], template_id: FromPath[str], data: JSONBody[TemplatePatch]
) -> ClassTemplate:
    return class_templates.update(
        ctx,
        known_id(template_id),
        name=data.name,
        classes=data.classes,
        expected_revision=revision_of(request),
        actor=actor_of(request),
    )


@post("/{template_id:str}/duplicate", sync_to_thread=True)
def duplicate(request: Req, ctx: NamedDependency[Context], template_id: FromPath[str]) -> ClassTemplate:
    return class_templates.duplicate(ctx, known_id(template_id), actor=actor_of(request))


@delete("/{template_id:str}", status_code=200, sync_to_thread=True)
def trash(request: Req, ctx: NamedDependency[Context], template_id: FromPath[str]) -> ClassTemplate:
    return class_templates.trash(ctx, known_id(template_id), actor_of(request))


@post("/{template_id:str}/restore", status_code=200, sync_to_thread=True)
def restore(request: Req, ctx: NamedDependency[Context], template_id: FromPath[str]) -> ClassTemplate:
    return class_templates.restore(ctx, known_id(template_id), actor_of(request))


router = Router(
    "/class-templates",
    route_handlers=[listing, presets, create, read, update, duplicate, trash, restore],
    tags=["class templates"],
)
