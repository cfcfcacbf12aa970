"""A real server on an empty folder, and data in it, for the benchmarks that need one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from app.models import new_id
from app.settings import load
from app.supervisor import Supervisor

JOB_S = 600.0
ENDED = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Imported:
    """A project with one asset. `frames`: the ids of its first 1,000 frames."""

    project: str
    asset: str
    frames: list[str]


@contextlib.contextmanager
def supervised(data: Path, **settings: Any) -> Iterator[Supervisor]:
    """A server with the fake engine on a free port; `.url` is its address, with a slash at the end or not."""
    chosen = load(
        None, data=data, port=0, open_browser=False, fake_engine=True, **{"min_free_gb": 0.0, **settings}
    )
    supervisor = Supervisor(chosen)
    try:
        supervisor.start()
        yield supervisor
    finally:
        supervisor.stop()


@contextlib.contextmanager
def served(data: Path, **settings: Any) -> Iterator[str]:
    """As `supervised`; the address, without a slash at the end."""
    with supervised(data, **settings) as supervisor:
        yield supervisor.url.rstrip("/")


def client(url: str) -> httpx.Client:
    """For the API of the server at `url`."""
    return httpx.Client(base_url=f"{url}/api/v1", timeout=60)


def answer(response: httpx.Response) -> Any:
    """The JSON of a successful answer."""
    response.raise_for_status()
    return response.json()


def ended(http: httpx.Client, job: str, seconds: float = JOB_S) -> dict[str, Any]:
    """The job once it has ended. Raises RuntimeError where that takes too long."""
    deadline = time.monotonic() + seconds
    while (found := answer(http.get(f"/jobs/{job}")))["state"] not in ENDED:
        if time.monotonic() > deadline:
            raise RuntimeError(f"The job {found['title']} took too long.")
        time.sleep(0.05)
    return found


def imported(http: httpx.Client, name: str, content: bytes) -> Imported:
    """Import a file into a project of its own. Raises RuntimeError where that fails."""
    project = answer(http.post("/projects", json={"name": name}))["id"]
    upload = new_id()
    answer(http.put(f"/uploads/{upload}", params={"name": name}, content=content))
    made = answer(http.post(f"/projects/{project}/assets", json={"upload_id": upload}))
    job = ended(http, made["job"]["id"])
    if job["state"] != "done":
        raise RuntimeError(f"{name} could not be imported: {job['reason']}")
    asset = made["asset"]["id"]
    page = answer(http.get(f"/projects/{project}/frames", params={"asset": asset, "limit": 1000}))
    return Imported(project, asset, [frame["id"] for frame in page["frames"]])
