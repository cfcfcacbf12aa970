"""/settings : language, theme, where the data lies, what scripts need. Choices are kept in cookies."""

from __future__ import annotations

from typing import Any, ClassVar

from litestar import Request, Response, get
from litestar.di import NamedDependency

from app import i18n
from app.routes.page import FullPage, render, shell
from app.services import health, retention
from app.services.context import Context
from app.services.health import Health

Req = Request[Any, Any, Any]


class SettingsPage(FullPage):
    template: ClassVar[str] = "settings/index.html"
    health: Health
    languages: dict[str, str]
    roots: list[str]
    address: str
    has_token: bool
    max_upload_gb: float
    min_free_gb: float
    keep_results: int
    keep_results_days: float
    kept: retention.Kept


@get("/settings", sync_to_thread=True, include_in_schema=False)
def index(request: Req, ctx: NamedDependency[Context]) -> Response[Any]:
    frame = shell(request, ctx, "settings")
    chosen = ctx.settings
    return render(
        request,
        SettingsPage(
            shell=frame,
            health=health.check(ctx),
            languages=i18n.languages(),
            roots=[str(root) for root in chosen.allowed_roots],
            address=str(request.base_url).rstrip("/"),
            has_token=bool(chosen.token),
            max_upload_gb=chosen.max_upload_gb,
            min_free_gb=chosen.min_free_gb,
            keep_results=chosen.keep_results,
            keep_results_days=chosen.keep_results_days,
            kept=retention.kept(ctx),
        ),
    )


handlers = [index]
