from __future__ import annotations

import fcntl
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.models import new_id
from app.settings import Settings, load
from app.supervisor import BACKOFF_S, Supervisor
from tests import drawing

MODELS = "tests/worker/engines/"
"""Tests that import a model's packages, which takes longer than most of them: one test process runs them all."""
LONGEST = (MODELS, "tests/test_kill.py", "tests/browser/")
"""Begun first, so that two processes end at about the same time."""
MODELS_NEED = {
    "sam3": ("torch", "torchvision", "sam3", "open_clip", "triton"),
    "sam2": ("torch", "transformers"),
    "deeplabv3": ("torch", "torchvision"),
    "videomama": ("torch", "diffusers", "safetensors"),
}
"""Packages without which a model's tests are skipped."""

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        return next((at for at, start in enumerate(LONGEST) if item.nodeid.startswith(start)), len(LONGEST))

    items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile` the files of MODELS count as one."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return MODELS if nodeid.startswith(MODELS) else super()._split_scope(nodeid)

    return ByFile(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real frames, masks and videos beside the checkout; tests that need them skip where they are absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the shared test data is not beside this checkout (../shared/data)")
    return SHARED_DATA


@dataclass
class Server:
    """A running server with its three real processes, and an HTTP client for it."""

    url: str
    settings: Settings
    supervisor: Supervisor
    http: httpx.Client

    @property
    def data(self) -> Path:
        return self.settings.data

    def api(self, method: str, path: str, *, status: int | None = None, **options: Any) -> Any:
        """Call the API; `status` is the one expected (default: any 2xx). Returns the decoded JSON."""
        answer = self.http.request(method, f"/api/v1{path}", **options)
        assert answer.status_code == status if status else answer.is_success, (
            answer.status_code,
            answer.text,
        )
        return answer.json() if answer.content else None

    def upload(self, name: str, data: bytes) -> str:
        upload_id = new_id()
        self.api("PUT", f"/uploads/{upload_id}?name={name}", content=data)
        return upload_id

    def finished(self, job: dict[str, Any]) -> dict[str, Any]:
        """The job once it has ended, listening to the events instead of asking again and again."""
        with self.http.stream("GET", "/api/v1/events", timeout=120) as events:
            lines = events.iter_lines()
            for line in lines:
                if line.startswith(("event: job", "event: hello")):
                    found = self.api("GET", f"/jobs/{job['id']}")
                    if found["state"] in ("done", "failed", "cancelled"):
                        return found
        raise AssertionError("the stream of events ended before the job did")

    def project(self, name: str = "Project") -> dict[str, Any]:
        return self.api("POST", "/projects", json={"name": name})

    def asset(self, project: dict[str, Any], name: str, data: bytes, **sampling: Any) -> dict[str, Any]:
        """Import bytes into a project and wait for the frames."""
        made = self.api(
            "POST",
            f"/projects/{project['id']}/assets",
            json={"upload_id": self.upload(name, data), "sampling": sampling},
        )
        job = self.finished(made["job"])
        assert job["state"] == "done", job["reason"]
        return self.api("GET", f"/assets/{made['asset']['id']}")


MakeServer = Callable[..., Server]
TinyWeights = Callable[[str], Path]


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> TinyWeights:
    """Random weights of a tiny model (sam3, sam2, deeplabv3, videomama), saved once for all test processes.

    All that can be made here at once and in a process of their own, for importing their packages takes long.
    They prove plumbing, never accuracy.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "tiny-weights"

    def make(name: str) -> Path:
        folder.mkdir(exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / name).exists():
                names = [one for one, packages in MODELS_NEED.items() if all(map(find_spec, packages))]
                command = [sys.executable, "-m", "tests.tiny", str(folder), *names]
                env = {**os.environ, "OMP_NUM_THREADS": "1"}
                done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr
        return folder / name

    return make


@pytest.fixture(scope="session")
def make_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeServer]:
    """Starts real servers on ephemeral ports; all of them end with the session."""
    running: list[Server] = []

    def make(
        data: Path | None = None, *, backoff: tuple[float, float] = BACKOFF_S, **settings: Any
    ) -> Server:
        chosen = load(
            None,
            data=data or tmp_path_factory.mktemp("data"),
            port=0,
            open_browser=False,
            **{"min_free_gb": 0.0, **settings},
        )
        supervisor = Supervisor(chosen, backoff=backoff)
        url = supervisor.start()
        headers = {"Authorization": f"Bearer {chosen.token}"} if chosen.token else {}
        server = Server(url, chosen, supervisor, httpx.Client(base_url=url, headers=headers, timeout=60))
        running.append(server)
        return server

    yield make
    for server in running:
        server.http.close()
        server.supervisor.stop()


@pytest.fixture(scope="session")
def server(make_server: MakeServer) -> Server:
    """One server that many tests share; each makes its own project."""
    made = make_server()
    # The oldest class template is that of new projects: not one that some test happened to bring first.
    made.project("The first")
    return made


@pytest.fixture(scope="session")
def clip() -> bytes:
    """A drawn mp4 of six frames, 160 × 120, with a disc that moves over a textured floor."""
    target = io.BytesIO()
    drawing.video(target, frames=6, width=160, height=120)
    return target.getvalue()
