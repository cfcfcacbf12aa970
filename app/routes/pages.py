"""Every page and panel route, in one list for the wiring."""

from __future__ import annotations

from typing import Any

handlers: list[Any] = []
