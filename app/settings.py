"""Frozen settings: defaults < TOML file < environment (POINTILLIST_*) < command line. Unknown keys are refused."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set. Paths are absolute after `load`."""

    data: Path = Path("data")
    """The data folder: everything a person made lies under it."""
    host: str = "127.0.0.1"
    port: int = 8787
    token: str = ""
    """Secret for scripts and sign-in; needed as soon as `host` is not a loopback address."""
    allowed_hosts: tuple[str, ...] = ()
    """Host names, beside loopback, under which the server may be addressed."""
    allowed_roots: tuple[Path, ...] = ()
    """Folders of this machine from which assets may be imported by path."""
    max_upload_gb: float = 64.0
    min_free_gb: float = 0.5
    """Uploads and extractions are refused when less disk than this would remain."""
    max_jobs: int = 50
    """Jobs that may wait or run at once."""
    keep_results: int = 50
    """The files of so many of the newest results (exports, mattes) stay, however old they are."""
    keep_results_days: float = 30.0
    """The files of other results are deleted when they are older than this; 0 keeps them for good."""
    feature_cache_mb: int = 1024
    engine_memory_mb: int = 0
    """What the models of all loaded engines may take together; 0 = as much as the device has."""
    engine: str = "classic"
    language: str = "en"
    log_level: str = "info"
    open_browser: bool = True
    worker_timeout_s: float = 8.0
    """A prompt that got no answer for this long makes the watchdog restart the engine worker."""
    fake_engine: bool = False
    """Registers the `fake` engine (tests and `bench speed`)."""

    @property
    def loopback(self) -> bool:
        return self.host in ("127.0.0.1", "::1", "localhost")


def load(file: Path | None = None, **overrides: Any) -> Settings:
    """Read settings; `overrides` that are None are ignored.

    Raises ValueError with a sentence that names the key and the source of a bad value.
    """
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values.update(tomllib.loads(file.read_text("utf-8")))
        except (OSError, tomllib.TOMLDecodeError) as exc:
            raise ValueError(f"The settings file {file} cannot be read: {exc}.") from exc
    for name in Settings.__struct_fields__:
        env = os.environ.get(f"POINTILLIST_{name.upper()}")
        if env is not None:
            values[name] = env.split(os.pathsep) if name in ("allowed_hosts", "allowed_roots") else env
    values.update({key: value for key, value in overrides.items() if value is not None})
    try:
        settings = msgspec.convert(values, Settings, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as exc:
        raise ValueError(f"A setting is wrong: {exc}.") from exc
    return msgspec.structs.replace(
        settings,
        data=settings.data.expanduser().resolve(),
        allowed_roots=tuple(root.expanduser().resolve() for root in settings.allowed_roots),
    )


def _decode(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise NotImplementedError(kind)
