"""Where the weights of engines lie, what they hash to, and what is missing for an engine to run.

Imports no engine and nothing heavy: the web process, the doctor and the worker all ask here and say the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.worker.parts import EngineInfo
from app.worker.registry import TABLE, Entry


@dataclass(frozen=True)
class Found:
    """Weights on disk. `path`: a file or a folder; `sha256`: hex digest, empty where not computed yet."""

    path: Path
    sha256: str = ""


def find(entry: Entry, data: Path) -> Found | None:
    """The weights of an engine, None where there are none on this machine."""
    for name in entry.files:
        path = data / "weights" / name
        if path.is_dir() if name.endswith("/") else path.is_file():
            return Found(path)
    return None


def infos(data: Path, *, fake: bool = False) -> list[EngineInfo]:
    """The engines of this installation, each with the reason why it cannot run where it cannot."""
    return [entry.info for entry in TABLE.values() if fake or not entry.hidden]


def found(data: Path, engine: str) -> Found | None:
    """The weights of the engine with this id, None where there are none or it needs none."""
    entry = TABLE.get(engine)
    return None if entry is None else find(entry, data)
