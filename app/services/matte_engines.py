"""The engines that make mattes: what each wants, whether it runs here, and which one suits."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from app.errors import Refused
from app.i18n import gettext as _
from app.matting import READ
from app.services.auto_label import SYNONYMS
from app.services.context import Context
from app.worker import registry, weights
from app.worker.protocol import EngineInfo

FROM_FIRST = frozenset({"matanyone", "fake"})
"""Engines that follow an object from its anchors; the others want a mask on every frame."""
FOR_PEOPLE = frozenset({"matanyone"})
PEOPLE = frozenset({"person", *SYNONYMS["person"]})
"""Names of classes that are people."""


class MatteEngine(Struct, kw_only=True):
    """An engine that makes mattes. `needs`: masks on every frame, or anchors alone; `people`: whether it is made for
    people; `gpu`: whether it is slow without one; `parameters`: the fields of `MatteParameters` that it heeds.
    """

    id: str
    name: str
    available: bool
    reason: str
    step: str
    note: str
    licence: str
    licence_url: str
    weights_licence: str
    weights_licence_url: str
    needs: str
    people: bool
    gpu: bool
    place: str
    parameters: list[str]


def listing(ctx: Context) -> list[MatteEngine]:
    """The engines there are, also those that cannot run yet, with the step that would make them."""
    return [_view(info) for info in infos(ctx)]


def infos(ctx: Context) -> list[EngineInfo]:
    found = weights.infos(ctx.settings.data, fake=ctx.settings.fake_engine)
    return [info for info in found if "matte" in info.can]


def _view(info: EngineInfo) -> MatteEngine:
    return MatteEngine(
        id=info.id,
        name=info.name,
        available=info.available,
        reason=info.reason,
        step=info.step,
        note=info.note,
        licence=info.licence,
        licence_url=info.licence_url,
        weights_licence=weights_licence(info),
        weights_licence_url=info.weights_licence_url if info.weights else "",
        needs="first" if info.id in FROM_FIRST else "every",
        people=info.id in FOR_PEOPLE,
        gpu=bool(registry.TABLE[info.id].without_gpu),
        place="worker" if info.in_worker else "consumer",
        parameters=list(READ.get(info.id, ())),
    )


def weights_licence(info: EngineInfo) -> str:
    """The licence of an engine's weights; "" where it needs none."""
    return (info.weights_licence or info.licence) if info.weights else ""


def choose(ctx: Context, wanted: str) -> EngineInfo:
    """As `info_of`; raises Refused, with the next step, for an engine that cannot run, too."""
    info = info_of(ctx, wanted)
    if not info.available:
        raise Refused(f"{info.reason} {info.step}.")
    return info


def info_of(ctx: Context, wanted: str) -> EngineInfo:
    """Raises Refused for an engine that is not there or makes no mattes."""
    registry.entry_of(wanted, fake=ctx.settings.fake_engine)
    found = infos(ctx)
    info = next((info for info in found if info.id == wanted), None)
    if info is None:
        others = ", ".join(info.id for info in found)
        raise Refused(f"The engine {wanted} makes no mattes. Choose one of: {others}.")
    return info


def recommended(ctx: Context, classes: Sequence[str], *, every: bool) -> tuple[str, str]:
    """The engine that suits best of those that run here, and why.

    `classes`: names of what the targets are; `every`: whether they have a mask on every frame.
    """
    ready = {info.id for info in infos(ctx) if info.available}
    people = bool(classes) and all(name.casefold() in PEOPLE for name in classes)
    if people and "matanyone" in ready:
        return "matanyone", _("It is made for people, and follows them from one mask.")
    if every and "videomama" in ready and weights.gpu_seen():
        return "videomama", _("There is a mask on every frame and a GPU: it sees the finest hairs.")
    if "matte-fine" in ready:
        return "matte-fine", _("It is the most exact of the engines that need no weights.")
    return "matte-fast", _("It needs nothing but the masks.")
