"""/quality/{project} : what to look at next, how steady labels are, what was stabilised, and scores against truth."""

from __future__ import annotations

from typing import Any

from app.routes.quality import page

handlers: list[Any] = page.handlers
