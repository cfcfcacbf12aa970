"""The facts of the open frame and its status."""

from __future__ import annotations

from typing import Any, ClassVar

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from app.models import Frame
from app.routes.api.common import known_frame
from app.routes.page import Page, language, render
from app.routes.workspace.flags import to_check
from app.services import frames
from app.services.context import Context
from app.services.views import FrameView

Req = Request[Any, Any, Any]


class FramePanel(Page):
    """`below` counts the regions that a person should look at."""

    template: ClassVar[str] = "workspace/_frame.html"
    frame: Frame
    below: int


def frame_panel(view: FrameView) -> FramePanel:
    return FramePanel(frame=view.frame, below=to_check(view.regions))


@get("/workspace/{project_id:str}/_frame", sync_to_thread=True, include_in_schema=False)
def read(
    request: Req, ctx: NamedDependency[Context], project_id: FromPath[str], frame: FromQuery[str]
) -> Response[Any]:
    language(request, ctx)
    return render(request, frame_panel(frames.view(ctx, known_frame(frame))))


handlers = [read]
