"""/workspace : the shell of the canvas and the panels beside it; the island in static/canvas draws."""

from __future__ import annotations

from typing import Any

from app.routes.workspace import frame, page, properties, regions

handlers: list[Any] = [*page.handlers, *frame.handlers, *regions.handlers, *properties.handlers]
