"""`pointillist engines`: which engines run, where their weights lie, fetching them, trying them out."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.i18n import gettext as _

if TYPE_CHECKING:
    from app.client import Client
    from app.worker.client import WorkerClient
    from app.worker.parts import EngineInfo

POLL_S = 0.5
LOAD_S = 1800.0
"""Reading weights from a slow disk into the memory of a small machine takes its time."""


def register(main: click.Group, shared: Callable[..., Any]) -> None:
    """Add the commands to the program."""

    @main.group("engines", invoke_without_command=True)
    @shared
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @click.pass_context
    def engines(ctx: click.Context, as_json: bool) -> None:
        """Show the engines; fetch, choose and check their weights."""
        if ctx.invoked_subcommand is None:
            _list(ctx.obj, as_json=as_json)

    @engines.command("use")
    @shared
    @click.argument("engine")
    @click.argument("path", type=click.Path(path_type=Path), required=False)
    @click.option("--default", "default", is_flag=True, help="Forget the path that was chosen.")
    @click.pass_obj
    def use(common: Any, engine: str, path: Path | None, default: bool) -> None:
        """Take the weights of ENGINE from PATH."""
        if default == (path is not None):
            raise click.UsageError(_("Give either a path or --default."))
        _use(common, engine, path)

    @engines.command("fetch")
    @shared
    @click.argument("engine")
    @click.option("--again", is_flag=True, help="Download although there are weights.")
    @click.option("--from", "source", help="Another hub repository (owner/name), or the address of the file.")
    @click.pass_obj
    def fetch(common: Any, engine: str, again: bool, source: str | None) -> None:
        """Download the weights of ENGINE into the data folder.

        For gated weights the token of the hub is read from HF_TOKEN, or from where `hf auth login` put it.
        """
        _fetch(common, engine, source, again=again)

    @engines.command("check")
    @shared
    @click.argument("engine")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @click.pass_obj
    def check(common: Any, engine: str, as_json: bool) -> None:
        """Load ENGINE and say whether it is ready, or why not."""
        _check(common, engine, as_json=as_json)


@contextmanager
def _server(common: Any) -> Iterator[Client | None]:
    """The server that was given or that runs on the data folder; None where there is none."""
    from app.cli_server import connected
    from app.supervisor import running

    if common.server or running(common.settings().data) is not None:
        with connected(common) as client:
            yield client
    else:
        yield None


def _list(common: Any, *, as_json: bool) -> None:
    import msgspec

    from app.worker import weights

    settings = common.settings()
    with _server(common) as client:
        if client is None:
            found = msgspec.to_builtins(weights.infos(settings.data, fake=settings.fake_engine))
        else:
            found = client.call("GET", "/engines")
    if as_json:
        click.echo(json.dumps(found))
        return
    for engine in found:
        click.echo(f"{engine['id']:<12}{_state(engine)}")
        where = f"{engine['file']} {engine['sha256'][:16]}".strip()
        lines = (where, f"{engine['reason']} {engine['step']}".strip(), engine["note"])
        for line in filter(None, lines):
            click.echo(f"{'':<12}{line}")


def _state(engine: dict[str, Any]) -> str:
    if engine.get("loaded"):
        return _("loaded")
    words = {
        "ready": _("ready"),
        "no-package": _("missing package"),
        "no-weights": _("missing weights"),
        "bad-weights": _("refused"),
    }
    return words[engine["state"]]


def _use(common: Any, engine: str, path: Path | None) -> None:
    from app.errors import Refused
    from app.worker import registry, weights
    from app.worker.weight_files import choose, complaint, sha256_of

    if common.server:
        with _server(common) as client:
            assert client is not None
            made = client.call(
                "PUT", f"/engines/{engine}/weights", json={"path": path and str(path.absolute())}
            )
        click.echo(made["file"] or made["reason"])
        return
    # Whoever has a shell here may choose any path: only servers keep to the allowed roots.
    settings = common.settings()
    entry = registry.entry_of(engine, fake=settings.fake_engine)
    if not entry.files:
        raise Refused(_("The engine {engine} needs no weights.").format(engine=engine))
    wanted = None if path is None else path.expanduser().resolve()
    if wanted is not None and (wrong := complaint(entry, wanted)):
        raise Refused(wrong)
    settings.data.mkdir(parents=True, exist_ok=True)
    choose(settings.data, engine, wanted)
    with _server(common) as client:
        if client is not None:
            client.call("POST", f"/engines/{engine}/unload")
    there = weights.find(entry, settings.data)
    if there is None:
        click.echo(weights.info_of(entry, settings.data).reason)
    else:
        click.echo(f"{there.path}  {sha256_of(there.path, settings.data)}")


def _fetch(common: Any, engine: str, source: str | None, *, again: bool) -> None:
    from app.cli_progress import bar
    from app.errors import Refused
    from app.worker import fetching, registry, weights
    from app.worker.weight_files import complaint, sha256_of

    settings = common.settings()
    entry = registry.entry_of(engine, fake=settings.fake_engine)
    if source is not None:
        if not entry.files:
            raise Refused(_("The engine {engine} needs no weights.").format(engine=engine))
        entry, again = fetching.from_source(entry, source), True
    there = weights.find(entry, settings.data)
    if there is None or again or complaint(entry, there.path):
        click.echo(_("Fetching from {source} …").format(source=weights.source_page(entry)), err=True)
        with bar(_("Downloading"), size=True) as show:
            there = fetching.fetch(entry, settings.data, token=_token(), progress=show)
    click.echo(f"{there.path}  {sha256_of(there.path, settings.data)}")
    chosen = weights.find(entry, settings.data)
    if chosen is not None and chosen.path != there.path:
        told = _("{engine} still uses {path}; forget that with: pointillist engines use {engine} --default")
        click.echo(told.format(engine=engine, path=chosen.path), err=True)


def _token() -> str:
    """The person's token of the hub, empty where there is none."""
    found = os.environ.get("HF_TOKEN", "").strip()
    if not found:
        try:
            from huggingface_hub import get_token
        except ImportError:
            return ""
        found = get_token() or ""
    return found


def _check(common: Any, engine: str, *, as_json: bool) -> None:
    from app.errors import Unavailable

    with _server(common) as client:
        found = _ask_worker(common, engine) if client is None else _ask_server(client, engine)
    if not found.pop("ready"):
        raise Unavailable(f"{found['reason']} {found['step']}".strip())
    if as_json:
        click.echo(json.dumps(found))
        return
    size = f", {found['bytes'] / 1e6:.0f} MB" if found["bytes"] else ""
    click.echo(
        _("{engine} is ready on {device}{size}.").format(engine=engine, device=found["device"], size=size)
    )
    if found["note"]:
        click.echo(found["note"])


def _ask_server(client: Client, engine: str) -> dict[str, Any]:
    view = client.call("GET", f"/engines/{engine}")
    if not view["in_worker"]:
        return {**view, "ready": view["available"], "engine": engine, "device": "cpu"}
    view = client.call("POST", f"/engines/{engine}/load")
    while view["loading"]:
        time.sleep(POLL_S)
        view = client.call("GET", f"/engines/{engine}")
    names = ("device", "bytes", "sha256", "note", "reason", "step")
    return {"ready": view["loaded"], "engine": engine, **{name: view[name] for name in names}}


def _ask_worker(common: Any, engine: str) -> dict[str, Any]:
    """The same from a worker that lives only for this."""
    from app.errors import Unavailable
    from app.worker import protocol, registry, weights

    settings = common.settings()
    entry = registry.entry_of(engine, fake=settings.fake_engine)
    info: EngineInfo = weights.info_of(entry, settings.data)
    found = {"ready": info.available, "engine": engine, "reason": info.reason, "step": info.step}
    if not info.available:
        return found
    if not info.in_worker:
        return {**found, "device": "cpu", "bytes": 0, "sha256": "", "note": info.note}
    settings.data.mkdir(parents=True, exist_ok=True)
    with _worker(settings.data, settings.fake_engine) as (client, process):
        try:
            made = client.request(protocol.LoadEngine(engine=engine), timeout=LOAD_S)
        except Unavailable:
            status = process.poll()
            if status is None:
                raise
            sentence = _("The process that loaded {engine} ended with status {status}; {log} says why.")
            if status == -9:
                sentence = _(
                    "The process that loaded {engine} was killed; most likely there is too little memory."
                )
            log = settings.data / "pointillist.log"
            raise Unavailable(sentence.format(engine=engine, status=status, log=log)) from None
    info = weights.info_of(entry, settings.data)
    return {**found, "device": made.device, "bytes": made.bytes, "sha256": info.sha256, "note": info.note}


@contextmanager
def _worker(data: Path, fake: bool) -> Iterator[tuple[WorkerClient, subprocess.Popen[bytes]]]:
    from app.worker.client import WorkerClient

    key = secrets.token_bytes(32)
    with tempfile.TemporaryDirectory(prefix="pointillist-") as folder:
        socket = Path(folder) / "worker.sock"
        command = [sys.executable, "-m", "app.worker", "--socket", str(socket), "--data", str(data)]
        env = {**os.environ, "POINTILLIST_AUTHKEY": key.hex(), "POINTILLIST_FAKE_ENGINE": str(int(fake))}
        with (data / "pointillist.log").open("ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=env)
        client = WorkerClient(socket, key, reconnect_s=30.0)
        client.start()

        def give_up_with_it() -> None:
            process.wait()
            client.close()

        threading.Thread(target=give_up_with_it, daemon=True).start()
        try:
            yield client, process
        finally:
            client.close()
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
