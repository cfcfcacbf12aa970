"""Every page and panel route, in one list for the wiring."""

from __future__ import annotations

from typing import Any

from app.routes import (
    class_templates,
    dashboard,
    engines,
    imports,
    jobs,
    library,
    page,
    quality,
    settings_page,
    sign_in,
)
from app.routes.workspace import handlers as workspace_handlers

handlers: list[Any] = [
    *page.handlers,
    *dashboard.handlers,
    *library.handlers,
    *workspace_handlers,
    *class_templates.handlers,
    *imports.handlers,
    *quality.handlers,
    *jobs.handlers,
    *engines.handlers,
    *settings_page.handlers,
    *sign_in.handlers,
]
