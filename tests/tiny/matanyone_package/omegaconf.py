"""Stands for the package of this name in tests: as much of it as reading a configuration takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Config(dict[str, Any]):
    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as exc:
            raise AttributeError(name) from exc

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


class OmegaConf:
    @staticmethod
    def load(path: Path) -> Config:
        """JSON, which is YAML too."""
        return Config(json.loads(path.read_text("utf-8")))

    @staticmethod
    def merge(one: Config, other: dict[str, Any]) -> Config:
        return Config({**one, **other})
