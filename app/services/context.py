"""What every service needs, made once at start-up and handed down; no globals."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from app.errors import StorageFull
from app.services.engine_line import Line
from app.services.engine_loads import Loads
from app.services.events import Events
from app.services.lasting import Lasting
from app.settings import Settings
from app.store import Store
from app.worker.client import WorkerClient
from tasks.queue import Queue


class Paths:
    """Where things lie in the data folder."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.assets = data / "assets"
        self.uploads = data / "uploads"
        self.jobs = data / "jobs"
        self.maps = data / "cache" / "maps"
        self.exports = data / "exports"
        self.trash = data / "trash"
        self.run = data / "run"

    def make(self) -> None:
        for folder in (self.assets, self.uploads, self.jobs, self.maps, self.exports, self.trash, self.run):
            folder.mkdir(parents=True, exist_ok=True)

    def asset(self, asset_id: str) -> Path:
        return self.assets / asset_id

    def job(self, job_id: str) -> Path:
        return self.jobs / job_id

    def export(self, job_id: str) -> Path:
        return self.exports / job_id


class Context:
    """Settings, folders and the open parts; closed by whoever made it."""

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        store: Store,
        worker: WorkerClient,
        queue: Queue,
        events: Events,
    ) -> None:
        self.settings = settings
        self.paths = paths
        self.store = store
        self.worker = worker
        self.queue = queue
        self.events = events
        self.engine_line = Line()
        self.mask_line = Line()
        self.engine_loads = Loads()
        self.lasting = Lasting(store)
        self.jobs_started = threading.Event()
        """Wakes the collector, which sleeps while no job is unfinished."""

    def require_space(self, needed: int = 0) -> None:
        """Raise StorageFull when `needed` more bytes would leave less than the configured reserve."""
        free = shutil.disk_usage(self.paths.data).free
        reserve = int(self.settings.min_free_gb * 1e9)
        if free - needed < reserve:
            raise StorageFull(
                f"The disk of the data folder has {free / 1e9:.1f} GB free; "
                f"{(needed + reserve) / 1e9:.1f} GB are needed. Free some space and try again."
            )
