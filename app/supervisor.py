"""The supervisor: one light process that starts web, consumer and worker, keeps them alive and ends them.

Each child's stdin is a pipe held here, its lifeline: when the supervisor is gone, however it went, the
children read the end and exit. One data folder has one supervisor (`server.lock`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from app.errors import PointillistError, Unavailable
from app.settings import Settings

BACKOFF_S = (0.2, 5.0)
"""First and longest pause before a child is started again; a child that lived for STEADY_S starts anew."""
STEADY_S = 30.0
GRACE_S = 5.0
READY_S = 60.0
POLL_S = 0.05
LOG_LIMIT = 32 << 20
GIVE_UP_STATUS = 78
"""A web process that ends with this status (EX_CONFIG) before it ever listened would only fail again."""


class ChildState(Struct):
    """One row of run/children.json. `since`: wall time of the last change; `reason`: why it ended last."""

    pid: int | None
    state: str
    restarts: int = 0
    since: float = 0.0
    reason: str = ""


class Running(Struct):
    """What server.lock says about the server that holds it."""

    pid: int
    url: str = ""
    started: float = 0.0


class WebFile(Struct):
    """run/web.json, written by the web process when it listens."""

    pid: int
    port: int
    url: str


def running(data: Path) -> Running | None:
    """The server that holds the data folder, or None."""
    try:
        with (data / "server.lock").open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return msgspec.json.decode(file.read() or b'{"pid":0}', type=Running)
            return None
    except (FileNotFoundError, msgspec.DecodeError):
        return None


class Lock:
    """An exclusive lock on the data folder; the file tells who holds it."""

    def __init__(self, data: Path) -> None:
        self._path = data / "server.lock"
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            found = running(data)
            who = f" (process {found.pid}{', ' + found.url if found.url else ''})" if found else ""
            raise Unavailable(
                f"Another server{who} already uses the data folder {data}; stop it or choose another folder."
            ) from None

    def write(self, url: str, started: float) -> None:
        data = msgspec.json.encode(Running(os.getpid(), url, started))
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, data, 0)

    def release(self) -> None:
        os.ftruncate(self._file, 0)
        os.close(self._file)


class Child:
    """One child process and the thread that starts it again. `command` is asked anew for every start."""

    def __init__(
        self,
        name: str,
        command: Callable[[], list[str]],
        env: Callable[[], dict[str, str]],
        log: Path,
        changed: Callable[[], None],
        backoff: tuple[float, float] = BACKOFF_S,
    ) -> None:
        self.name = name
        self.state = ChildState(None, "restarting", since=time.time())
        self.exits: list[int] = []
        """Status of every end so far."""
        self._command, self._env, self._log = command, env, log
        self._changed, self._backoff = changed, backoff
        self._process: subprocess.Popen[bytes] | None = None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._keep, name=f"child-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _keep(self) -> None:
        pause = self._backoff[0]
        while True:
            began = time.monotonic()
            offset = self._log.stat().st_size if self._log.exists() else 0
            try:
                process = self._spawn()
            except OSError as exc:
                reason = f"It could not be started: {exc.strerror or exc}."
            else:
                if process is None:
                    return
                self._set(process.pid, "running")
                code = process.wait()
                if process.stdin is not None:
                    process.stdin.close()
                reason = self._reason(code, offset)
                self.exits.append(code)
            if self._stop.is_set():
                self._set(None, "stopped")
                return
            self.state.restarts += 1
            self._set(None, "restarting", reason)
            if time.monotonic() - began > STEADY_S:
                pause = self._backoff[0]
            if self._stop.wait(pause):
                self._set(None, "stopped")
                return
            pause = min(self._backoff[1], 2 * pause)

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._stop.is_set():
                self._set(None, "stopped")
                return None
            with self._log.open("ab") as log:
                # Its own process group: Ctrl-C in the terminal reaches the supervisor alone, which ends all
                # in order.
                self._process = subprocess.Popen(
                    self._command(),
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env=self._env(),
                    process_group=0,
                )
            return self._process

    def _set(self, pid: int | None, state: str, reason: str | None = None) -> None:
        self.state.pid, self.state.state, self.state.since = pid, state, time.time()
        if reason is not None:
            self.state.reason = reason
        self._changed()

    def _reason(self, code: int, offset: int) -> str:
        """How it ended, with the last line that was written to the log meanwhile."""
        if code < 0:
            names = signal.Signals._value2member_map_
            how = f"It was ended by {signal.Signals(-code).name if -code in names else -code}."
        else:
            how = f"It ended with status {code}."
        with contextlib.suppress(OSError), self._log.open("rb") as file:
            file.seek(max(offset, self._log.stat().st_size - 4096))
            lines = [line for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
            if lines and code > 0:
                return f"{how} {lines[-1].strip()[:500]}"
        return how

    def ask_to_end(self) -> None:
        self._stop.set()
        with self._lock:
            process = self._process
        if process is not None and process.poll() is None:
            process.terminate()

    def end(self, deadline: float) -> None:
        """Wait for the end until `deadline` (monotonic), then kill it with all it started."""
        process = self._process
        if process is not None:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        if self._thread.is_alive():
            self._thread.join()


class Supervisor:
    """The three children of one data folder. `commands` replaces the command line of a child by name
    (tests).
    """

    def __init__(
        self,
        settings: Settings,
        *,
        commands: dict[str, list[str]] | None = None,
        backoff: tuple[float, float] = BACKOFF_S,
    ) -> None:
        self.settings = settings
        self.url = ""
        self._data = settings.data
        self._started = time.time()
        self._lock: Lock | None = None
        self._folder: Path | None = None
        self._authkey = secrets.token_hex(32)
        self._port = settings.port
        self._writing = threading.Lock()
        self._changes = threading.Condition()
        self.children: dict[str, Child] = {}
        self._commands = commands or {}
        self._backoff = backoff

    @property
    def socket(self) -> Path:
        assert self._folder is not None
        return self._folder / "worker.sock"

    @property
    def authkey(self) -> bytes:
        return bytes.fromhex(self._authkey)

    def start(self, ready_s: float = READY_S) -> str:
        """Take the lock, start the children, wait until the web answers; returns its address.

        Raises Unavailable where another server holds the folder or the web does not come up; then nothing is
        left.
        """
        self._data.mkdir(parents=True, exist_ok=True)
        self._lock = Lock(self._data)
        try:
            self._lock.write("", self._started)
            (self._data / "run").mkdir(exist_ok=True)
            (self._data / "run" / "web.json").unlink(missing_ok=True)
            self._rotate()
            # AF_UNIX paths are short: the data folder may lie too deep for one.
            self._folder = Path(tempfile.mkdtemp(prefix="pointillist-"))
            for name in ("worker", "consumer", "web"):
                self.children[name] = Child(
                    name,
                    lambda name=name: self._command(name),
                    self._environment,
                    self._data / "pointillist.log",
                    self._write_children,
                    self._backoff,
                )
            for child in self.children.values():
                child.start()
            self.url = self._await_web(ready_s)
            self._lock.write(self.url, self._started)
        except BaseException:
            self.stop()
            raise
        return self.url

    def stop(self) -> None:
        """End the children (SIGTERM, after 5 s SIGKILL), remove the socket, release the lock. Twice is
        harmless.
        """
        deadline = time.monotonic() + GRACE_S
        for child in self.children.values():
            child.ask_to_end()
        for child in self.children.values():
            child.end(deadline)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
        (self._data / "run" / "web.json").unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def wait_for(self, condition: Callable[[dict[str, ChildState]], bool], timeout: float) -> bool:
        """Wait until the children's states fulfil `condition`; False after `timeout` seconds."""
        with self._changes:
            return self._changes.wait_for(lambda: condition(self.states()), timeout)

    def states(self) -> dict[str, ChildState]:
        return {name: msgspec.structs.replace(child.state) for name, child in self.children.items()}

    def _command(self, name: str) -> list[str]:
        if name in self._commands:
            return self._commands[name]
        data = str(self._data)
        limits = ["--cache-mb", str(self.settings.feature_cache_mb)]
        limits += ["--memory-mb", str(self.settings.engine_memory_mb)]
        match name:
            case "worker":
                more = ["--socket", str(self.socket), "--data", data, *limits]
                return [sys.executable, "-m", "app.worker", *more]
            case "consumer":
                return [sys.executable, "-m", "tasks.consumer", "--data", data]
            case _:
                return [sys.executable, "-m", "app.web"]

    def _environment(self) -> dict[str, str]:
        settings = msgspec.structs.replace(self.settings, port=self._port)
        return {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "POINTILLIST_SETTINGS": msgspec.json.encode(settings, enc_hook=str).decode(),
            "POINTILLIST_WORKER_SOCKET": str(self.socket),
            "POINTILLIST_AUTHKEY": self._authkey,
            "POINTILLIST_FAKE_ENGINE": "1" if self.settings.fake_engine else "0",
        }

    def _await_web(self, ready_s: float) -> str:
        web = self.children["web"]
        deadline = time.monotonic() + ready_s
        path = self._data / "run" / "web.json"
        while True:
            with contextlib.suppress(OSError, msgspec.DecodeError):
                found = msgspec.json.decode(path.read_bytes(), type=WebFile)
                if found.pid == web.state.pid and _answers(found.port, self.settings.host):
                    # After a restart it must be found where it was.
                    self._port = found.port
                    return found.url
            hopeless = len(web.exits) >= 3 or GIVE_UP_STATUS in web.exits
            if hopeless or time.monotonic() > deadline:
                reason = web.state.reason or "It did not answer in time."
                raise Unavailable(f"The web server did not start. {reason}")
            time.sleep(POLL_S)

    def _write_children(self) -> None:
        path = self._data / "run" / "children.json"
        with self._writing:
            part = path.with_name("children.json.part")
            with contextlib.suppress(OSError):
                part.write_bytes(msgspec.json.encode(self.states()))
                part.replace(path)
        with self._changes:
            self._changes.notify_all()

    def _rotate(self) -> None:
        log = self._data / "pointillist.log"
        with contextlib.suppress(FileNotFoundError):
            if log.stat().st_size > LOG_LIMIT:
                log.replace(log.with_suffix(".log.1"))


def _answers(port: int, host: str) -> bool:
    """Whether the web answers its health page at all."""
    local = {"0.0.0.0": "127.0.0.1", "localhost": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}
    address = local.get(host, host)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{address}:{port}/api/v1/health", timeout=5):
            return True
    except urllib.error.HTTPError as exc:
        exc.close()
        return True
    except OSError:
        return False


def run(
    settings: Settings,
    *,
    ready: Callable[[str], Any] | None = None,
    commands: dict[str, list[str]] | None = None,
) -> int:
    """Serve until Ctrl-C or SIGTERM; the exit status is 0 then, 1 where it could not start (a sentence says
    why).

    `ready` is called with the address once the web answers; without it the address is printed.
    """
    end = threading.Event()

    def ask(signum: int, frame: object) -> None:
        if end.is_set():
            return
        end.set()
        # Also interrupts the start.
        raise KeyboardInterrupt

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    supervisor = Supervisor(settings, commands=commands)
    try:
        url = supervisor.start()
        if ready is not None:
            ready(url)
        else:
            print(f"Pointillist serves {url} (Ctrl-C ends it)", flush=True)
        if settings.open_browser and settings.loopback:
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
        end.wait()
    except KeyboardInterrupt:
        pass
    except PointillistError as exc:
        print(exc.sentence, file=sys.stderr, flush=True)
        return 1
    finally:
        end.set()
        supervisor.stop()
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0
