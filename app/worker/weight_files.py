"""Files of weights: which one a person chose, whether it can be weights at all, and what it hashes to.

Nothing is unpacked or executed here. Used by the web process, the worker and the command line alike.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import zipfile
from pathlib import Path
from typing import TypeVar

import msgspec

from app.worker.registry import Entry, Part

BLOCK = 1 << 22
HEADER_LIMIT = 64 << 20
MAIN = ("model.safetensors", "unet/diffusion_pytorch_model.safetensors")
"""Names of the file that holds the numbers of a folder, or most of them."""
_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.[a-z]+$")
_T = TypeVar("_T")


# What was chosen


def chosen(data: Path) -> dict[str, Path]:
    """Engine → the path that a person chose instead of `<data>/weights/`."""
    return {engine: Path(path) for engine, path in _read(data / "engines.json", dict[str, str]).items()}


def choose(data: Path, engine: str, path: Path | None) -> None:
    """Keep the choice; None goes back to what lies in `<data>/weights/`."""
    known = {name: str(one) for name, one in chosen(data).items() if name != engine}
    if path is not None:
        known[engine] = str(path)
    _write(data / "engines.json", known)


# What it is


def main_file(path: Path) -> Path:
    """The file that holds the numbers: of a folder, the first of `MAIN` that is there."""
    if not path.is_dir():
        return path
    return next((path / name for name in MAIN if (path / name).is_file()), path / MAIN[0])


def file_of(folder: Path, part: Part) -> Path | None:
    """The file of a folder of weights under one of its names; None where there is none."""
    return next((folder / name for name in part.names if (folder / name).is_file()), None)


def folder_words(entry: Entry) -> str:
    """The names of the files that a folder of weights must hold."""
    *others, last = (part.name for part in entry.parts)
    return f"{', '.join(others)} and {last}"


def complaint(entry: Entry, path: Path) -> str:
    """Why this cannot be weights of an engine, as a sentence; empty where it may be. Reads a few bytes."""
    folder = entry.folder
    if not path.exists():
        return f"There is nothing at {path}."
    if folder and not path.is_dir():
        return f"{path} is a file; a folder with {folder_words(entry)} is needed."
    if not folder and not path.is_file():
        return f"{path} is a folder; the file itself is needed."
    try:
        if folder:
            files = {part.name: file_of(path, part) for part in entry.parts}
            missing = [name for name, file in files.items() if file is None]
            if missing:
                return f"The folder {path} lacks {' and '.join(missing)}."
            tensors = [file for file in files.values() if file is not None and file.suffix == ".safetensors"]
            return next(filter(None, map(_safetensors_complaint, tensors)), "")
        return _file_complaint(path, torch=entry.files[0].endswith((".pt", ".pth")))
    except OSError as exc:
        return f"{path} cannot be read: {os.strerror(exc.errno or 0)}."


def _file_complaint(path: Path, *, torch: bool) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(64)
    if size == 0:
        return f"{path} is empty."
    if start.startswith(b"version https://git-lfs"):
        return f"{path} is a pointer of Git LFS, not the weights themselves; download the file."
    if start.startswith(b"PK\x03\x04"):
        return "" if zipfile.is_zipfile(path) else f"{path} is cut off; download it again."
    if torch and not start.startswith(b"\x80"):
        return f"{path} is no file of weights (PyTorch)."
    return ""


def _safetensors_complaint(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(HEADER_LIMIT, size - 8):
            return f"{path} is no file of weights (safetensors)."
        header = file.read(length)
    try:
        parts = msgspec.json.decode(header, type=dict[str, dict[str, object]])
        ends = [
            msgspec.convert(part["data_offsets"], tuple[int, int])[1]
            for name, part in parts.items()
            if name != "__metadata__"
        ]
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError):
        return f"{path} is no file of weights (safetensors)."
    return f"{path} is cut off; download it again." if 8 + length + max(ends, default=0) > size else ""


# What it hashes to


def promised_sha256(name: str) -> str:
    """The beginning of the SHA-256 that the name of a file states, as PyTorch names its weights; else empty."""
    found = _IN_NAME.search(name)
    return found[1] if found else ""


def known_sha256(path: Path, data: Path) -> str:
    """The SHA-256 of weights if it was computed before and the file did not change since; else empty."""
    file = main_file(path)
    try:
        entry = _hashes(data).get(str(file))
        return entry[2] if entry is not None and entry[:2] == _stamp(file) else ""
    except OSError:
        return ""


def sha256_of(path: Path, data: Path | None = None) -> str:
    """The SHA-256 (64 hex digits) of a file, or of the `main_file` of a folder.

    Kept in `<data>/cache/` by path, size and time of change where `data` is given. Raises OSError.
    """
    if data is not None and (known := known_sha256(path, data)):
        return known
    file = main_file(path)
    stamp = _stamp(file)
    with file.open("rb") as source:
        digest = hashlib.sha256()
        while block := source.read(BLOCK):
            digest.update(block)
    found = digest.hexdigest()
    if data is not None:
        _remember(data, file, stamp, found)
    return found


def remember_sha256(path: Path, sha256: str, data: Path) -> None:
    """Keep a SHA-256 that was computed while the weights were written. Raises OSError."""
    file = main_file(path)
    _remember(data, file, _stamp(file), sha256)


def _remember(data: Path, file: Path, stamp: tuple[int, int], sha256: str) -> None:
    hashes = {name: entry for name, entry in _hashes(data).items() if Path(name).exists()}
    _write(_cache(data), {**hashes, str(file): (*stamp, sha256)})


def _stamp(file: Path) -> tuple[int, int]:
    """Size in bytes and time of change in ns."""
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns


def _cache(data: Path) -> Path:
    return data / "cache" / "weights.json"


def _hashes(data: Path) -> dict[str, tuple[int, int, str]]:
    known = _read(_cache(data), dict[str, tuple[int, int, str]])
    return {name: (size, changed, found) for name, (size, changed, found) in known.items()}


def _read(path: Path, kind: type[_T]) -> _T:
    """What is in a small JSON file; an empty value where it is missing or damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return kind()


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(value)))
    part.replace(path)
