"""`pointillist doctor`: can this machine run it, and if not, what to do."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import click
from msgspec import Struct
from packaging.requirements import Requirement

from app.i18n import gettext as _
from app.settings import Settings


class Finding(Struct, kw_only=True):
    """`needed`: without it the program does not work as it is."""

    name: str
    ok: bool
    sentence: str
    needed: bool = True


def doctor(settings: Settings, *, as_json: bool) -> int:
    """Print all findings; the exit status is 1 when something needed is missing."""
    findings = examine(settings)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(findings).decode())
    else:
        for found in findings:
            mark = "ok  " if found.ok else ("FAIL" if found.needed else "–   ")
            click.echo(f"{mark} {found.name}: {found.sentence}")
    return 0 if all(found.ok or not found.needed for found in findings) else 1


def examine(settings: Settings) -> list[Finding]:
    """Everything the program needs or can use, in the order of importance."""
    findings = [_python(), *_packages(), _data(settings), _disk(settings)]
    findings += [
        _program("ffmpeg", _("only the speed benchmark compares with it")),
        _program("chromium", _("only the browser tests use it")),
    ]
    return findings + _engines(settings)


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding(
        name="Python", ok=sys.version_info >= (3, 11), sentence=_("{v} (3.11 or newer)").format(v=found)
    )


def _packages() -> list[Finding]:
    try:
        wanted = [Requirement(text) for text in requires("pointillist") or []]
    except PackageNotFoundError:
        return [
            Finding(
                name="packages", ok=False, sentence=_("Pointillist itself is not installed: pip install -e .")
            )
        ]
    missing = []
    count = 0
    for one in wanted:
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        count += 1
        try:
            found = version(one.name)
        except PackageNotFoundError:
            missing.append(f"{one.name} is missing")
            continue
        if found not in one.specifier:
            missing.append(f"{one.name} is {found}, needed {one.specifier}")
    if missing:
        sentence = _("{what}. Install with: pip install -e .").format(what="; ".join(missing))
        return [Finding(name="packages", ok=False, sentence=sentence)]
    return [Finding(name="packages", ok=True, sentence=_("all {n} are there").format(n=count))]


def _data(settings: Settings) -> Finding:
    folder = settings.data
    present = _nearest(folder)
    try:
        with tempfile.NamedTemporaryFile(dir=present):
            pass
    except OSError as exc:
        sentence = _("{folder} cannot be written: {why}. Choose another with --data.").format(
            folder=folder, why=os.strerror(exc.errno or 0)
        )
        return Finding(name="data folder", ok=False, sentence=sentence)
    return Finding(name="data folder", ok=True, sentence=_("{folder} can be written").format(folder=folder))


def _disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(_nearest(settings.data)).free / 1e9
    ok = free >= settings.min_free_gb
    sentence = _("{free:.1f} GB are free, {least:g} GB are kept free").format(
        free=free, least=settings.min_free_gb
    )
    return Finding(name="disk", ok=ok, sentence=sentence)


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    while not folder.is_dir():
        folder = folder.parent
    return folder


def _program(name: str, use: str) -> Finding:
    path = shutil.which(name)
    sentence = path or _("not found; {use}").format(use=use)
    return Finding(name=name, ok=path is not None, sentence=sentence, needed=False)


def _engines(settings: Settings) -> list[Finding]:
    from app.worker import weights

    found = []
    for info in weights.infos(settings.data, fake=settings.fake_engine):
        if info.available:
            parts = [_("can {can}").format(can=", ".join(info.can))]
            if info.file:
                parts.append(_("weights {path}").format(path=info.file))
            if info.sha256:
                parts.append(f"SHA-256 {info.sha256}")
            sentence = f"{'; '.join(parts)}. {info.note}".rstrip()
        else:
            sentence = f"{info.reason} {info.step}"
        found.append(
            Finding(
                name=f"engine {info.id}",
                ok=info.available,
                sentence=sentence,
                needed=info.id == settings.engine,
            )
        )
    return found
