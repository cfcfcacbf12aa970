"""Where the weights of engines lie, and in words what is missing for an engine to run and what would make it run.

Imports no engine and nothing heavy: the web process, the doctor and the worker all ask here and say the same.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from app.errors import Unavailable
from app.worker.parts import EngineInfo
from app.worker.registry import TABLE, Entry, Guest
from app.worker.weight_files import (
    chosen,
    complaint,
    folder_words,
    known_sha256,
    promised_sha256,
    sha256_of,
)

ROOT = Path(__file__).resolve().parents[2]
HUB = "https://huggingface.co"
GPU_SIGNS = ("/dev/nvidia0", "/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Found:
    """Weights on disk. `path`: a file or a folder; `sha256`: hex digest, empty where not computed yet."""

    path: Path
    sha256: str = ""


def find(entry: Entry, data: Path) -> Found | None:
    """The weights of an engine: the path that was chosen, else what lies in `<data>/weights/`.

    None where there are none on this machine. What is found may still not be those of this engine.
    """
    picked = chosen(data).get(entry.info.id)
    paths = [data / "weights" / name for name in entry.files] if picked is None else [picked]
    for path in paths:
        if entry.files and (path.is_dir() if entry.folder else path.is_file()):
            return Found(path, known_sha256(path, data))
    return None


def found(data: Path, engine: str) -> Found | None:
    """The weights of the engine with this id and their SHA-256, which is computed where it is not known yet.

    None where there are none or it needs none. Raises Unavailable where they cannot be read, or are not what
    their name says.
    """
    entry = TABLE.get(engine)
    there = None if entry is None else find(entry, data)
    if there is None:
        return None
    try:
        sha256 = there.sha256 or sha256_of(there.path, data)
    except OSError as exc:
        raise Unavailable(f"{there.path} cannot be read: {os.strerror(exc.errno or 0)}.") from exc
    if not sha256.startswith(promised := promised_sha256(there.path.name)):
        raise Unavailable(
            f"{there.path} is damaged: its SHA-256 begins with {sha256[: len(promised)]}, not with {promised} as its "
            "name says. Fetch it again."
        )
    return Found(there.path, sha256)


def infos(data: Path, *, fake: bool = False) -> list[EngineInfo]:
    """The engines of this installation, each with the reason why it cannot run where it cannot."""
    importlib.invalidate_caches()
    return [info_of(entry, data) for entry in TABLE.values() if fake or not entry.hidden]


def info_of(entry: Entry, data: Path) -> EngineInfo:
    """An engine as it stands on this machine, without importing or loading anything."""
    there = find(entry, data)
    info = replace(entry.info, note=_note(entry), in_worker=entry.place == "worker")
    if there is not None:
        info = replace(info, file=str(there.path), sha256=there.sha256)
    lack = _lack(entry)
    if lack is not None:
        return replace(info, available=False, state="no-package", **lack)
    if not entry.files:
        return info
    picked = chosen(data).get(entry.info.id)
    if there is None:
        reason = (
            f"The weights of {entry.info.id} are not on this machine."
            if picked is None
            else complaint(entry, picked)
        )
        return replace(info, available=False, state="no-weights", reason=reason, **_weights_step(entry, data))
    wrong = complaint(entry, there.path)
    if wrong:
        return replace(info, available=False, state="bad-weights", reason=wrong, **_weights_step(entry, data))
    return info


def weights_place(entry: Entry, data: Path) -> Path:
    """Where the weights of this engine are looked for if nothing else was chosen."""
    return data / "weights" / entry.files[0].rstrip("/")


def source_page(entry: Entry) -> str:
    """The address at which a person can read about the weights, or get them; empty where there is none."""
    if not entry.hub:
        return ""
    return entry.hub if "://" in entry.hub else f"{HUB}/{entry.hub.partition(':')[0]}"


def licence_page(entry: Entry) -> str:
    """The address at which a person accepts the licence of gated weights."""
    return f"{HUB}/{entry.gate}" if entry.gate else source_page(entry)


def install_command(extra: str) -> str:
    """The pip command that installs an extra of this project for the running interpreter."""
    # Editable, as the set-up does it: a plain install would leave the templates behind.
    checkout = (ROOT / "pyproject.toml").is_file()
    what = ["-e", f"{ROOT}[{extra}]"] if checkout else [f"pointillist[{extra}]"]
    return shlex.join([sys.executable, "-m", "pip", "install", *what])


def fetch_command(engine: str, data: Path, *, again: bool = False) -> str:
    """The command that downloads the weights of an engine. `again`: although there are some."""
    beside = Path(sys.executable).with_name("pointillist")
    program = str(beside) if beside.is_file() else "pointillist"
    return shlex.join([program, "engines", "fetch", engine, *["--again"] * again, "--data", str(data)])


def gpu_seen() -> bool:
    """Whether this machine seems to have an NVIDIA GPU that we may use; asks no driver."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return False
    return any(Path(sign).exists() for sign in GPU_SIGNS) or shutil.which("nvidia-smi") is not None


def refused(info: EngineInfo, sentence: str, data: Path) -> EngineInfo:
    """The engine after its weights were refused, or could not be loaded, with that sentence."""
    step, command = "Put right what it names, then load it again.", ""
    if TABLE[info.id].hub:
        command = fetch_command(info.id, data, again=True)
        step += f" If the weights are at fault, choose others or fetch them anew: {command}"
    return replace(info, available=False, state="bad-weights", reason=sentence, step=step, command=command)


def _note(entry: Entry) -> str:
    if not entry.without_gpu or gpu_seen():
        return ""
    return f"No GPU was found: {entry.without_gpu}."


def _weights_step(entry: Entry, data: Path) -> dict[str, str]:
    place = weights_place(entry, data)
    what = (
        f"Put the folder with {folder_words(entry)} at {place}"
        if entry.folder
        else f"Put {place.name} into {place.parent}"
    )
    if not entry.hub:
        return {"step": f"{what}, or choose its path."}
    command = fetch_command(entry.info.id, data)
    licence = f"Accept the licence at {licence_page(entry)}. " if entry.gated else ""
    return {"step": f"{licence}{what}, choose its path, or fetch it: {command}", "command": command}


def _lack(entry: Entry) -> dict[str, str] | None:
    """What is not installed, with the step that brings it; None where all is."""
    missing = [name for name in entry.packages if not _installed(name)]
    guest = entry.guest
    if guest is not None and not guest_module(guest):
        command = guest_command(entry)
        words = f"The Python package {guest.modules[0]} is not installed."
        return {
            "reason": f"{words} {guest.terms}.",
            "step": f"If the licence suits you, install it: {command}",
            "command": command,
        }
    if guest is not None:
        needed = [name for name in guest.needs if not _installed(name)]
        if missing or needed:
            command = guest_command(entry)
            words = f"The package {guest_module(guest)} is there, but not all that it needs."
            return {
                "reason": f"{words} {_packages_sentence([*missing, *needed])}",
                "step": f"Install what it needs: {command}",
                "command": command,
            }
    if not missing:
        return None
    command = install_command(entry.extra)
    return {
        "reason": _packages_sentence(missing),
        "step": f"Install what it needs: {command}",
        "command": command,
    }


def guest_module(guest: Guest) -> str:
    """The name under which a guest package is there; empty where it is not."""
    return next(filter(_installed, guest.modules), "")


def guest_command(entry: Entry) -> str:
    """The commands that install a guest package with all it needs, one after the other in a shell."""
    assert entry.guest is not None
    pip = [sys.executable, "-m", "pip", "install"]
    runs = [shlex.join([*pip, *arguments]) for arguments in entry.guest.install]
    if any(not _installed(name) for name in entry.packages):
        runs.insert(0, install_command(entry.extra))
    return " && ".join(runs)


def _packages_sentence(missing: list[str]) -> str:
    if len(missing) == 1:
        return f"The Python package {missing[0]} is not installed."
    return f"The Python packages {', '.join(missing[:-1])} and {missing[-1]} are not installed."


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # imported by hand, without a specification
        return module in sys.modules
