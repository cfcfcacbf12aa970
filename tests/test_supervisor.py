from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.errors import Unavailable
from app.settings import Settings
from app.supervisor import Supervisor, running
from app.worker.client import WorkerClient
from app.worker.protocol import Ping

# A child that keeps the contract of `python -m app.web` with the standard library alone.
WEB = """
import http.server, json, os, pathlib, sys, threading
settings = json.loads(os.environ["POINTILLIST_SETTINGS"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(401); self.send_header("content-length", "0"); self.end_headers()
    def log_message(self, *a): pass
server = http.server.HTTPServer((settings["host"], settings["port"]), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
port = server.server_address[1]
path = pathlib.Path(settings["data"]) / "run" / "web.json"
path.with_suffix(".part").write_text(
    json.dumps({"pid": os.getpid(), "port": port, "url": f"http://127.0.0.1:{port}/"})
)
path.with_suffix(".part").replace(path)
sys.stdin.buffer.read()
"""
IDLE = "import sys; sys.stdin.buffer.read()"
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
signal.pause()
"""

COMMANDS = {"web": [sys.executable, "-c", WEB], "consumer": [sys.executable, "-c", IDLE]}


def alive(pid: int | None) -> bool:
    try:
        os.kill(pid or 0, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def settings_of(folder: Path, **more: object) -> Settings:
    return Settings(data=folder.resolve(), port=0, open_browser=False, fake_engine=True, **more)  # type: ignore[arg-type]


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Supervisor]]:
    made: list[Supervisor] = []

    def make(**commands: list[str]) -> Supervisor:
        supervisor = Supervisor(settings_of(tmp_path), commands={**COMMANDS, **commands}, backoff=(0.05, 0.1))
        made.append(supervisor)
        return supervisor

    yield make
    for each in made:
        each.stop()


def children_file(folder: Path) -> dict[str, dict[str, object]]:
    return json.loads((folder / "run" / "children.json").read_text())


def all_running(states: dict) -> bool:
    return all(state.state == "running" for state in states.values())


def test_a_killed_child_is_started_again_and_the_others_keep_their_pids(
    supervise: Callable[..., Supervisor], tmp_path: Path
) -> None:
    supervisor = supervise()
    url = supervisor.start()
    assert supervisor.wait_for(all_running, 20)
    for victim in ("worker", "consumer", "web"):
        before = supervisor.states()
        os.kill(before[victim].pid, signal.SIGKILL)
        assert supervisor.wait_for(
            lambda now, victim=victim, before=before: (
                now[victim].state == "running" and now[victim].pid != before[victim].pid
            ),
            20,
        )
        after = supervisor.states()
        assert {n: s.pid for n, s in after.items() if n != victim} == {
            n: s.pid for n, s in before.items() if n != victim
        }
        assert after[victim].restarts == before[victim].restarts + 1
        assert "SIGKILL" in after[victim].reason
    assert {name: row["pid"] for name, row in children_file(tmp_path).items()} == {
        name: state.pid for name, state in supervisor.states().items()
    }
    # The web comes back where the browser left it.
    deadline = time.monotonic() + 20
    while json.loads((tmp_path / "run" / "web.json").read_text())["pid"] != supervisor.states()["web"].pid:
        assert time.monotonic() < deadline
    assert json.loads((tmp_path / "run" / "web.json").read_text())["url"] == url


def test_the_worker_answers_over_the_supervisors_socket(supervise: Callable[..., Supervisor]) -> None:
    supervisor = supervise()
    supervisor.start()
    client = WorkerClient(supervisor.socket, supervisor.authkey, reconnect_s=20)
    client.start()
    assert client.request(Ping()).pid == supervisor.states()["worker"].pid
    assert {"classic", "fake"} <= {engine.id for engine in client.engines()}
    client.close()


def test_stopping_leaves_no_process_no_socket_and_no_lock(
    supervise: Callable[..., Supervisor], tmp_path: Path
) -> None:
    supervisor = supervise()
    supervisor.start()
    assert supervisor.wait_for(all_running, 20)
    pids = [state.pid for state in supervisor.states().values()]
    folder = supervisor.socket.parent
    assert running(tmp_path) is not None
    supervisor.stop()
    assert not any(alive(pid) for pid in pids)
    assert not folder.exists()
    assert running(tmp_path) is None
    assert {row["state"] for row in children_file(tmp_path).values()} == {"stopped"}


def test_a_second_server_names_the_process_that_holds_the_folder(
    supervise: Callable[..., Supervisor], tmp_path: Path
) -> None:
    first = supervise()
    url = first.start()
    with pytest.raises(Unavailable, match=rf"process {os.getpid()}, {url}"):
        Supervisor(settings_of(tmp_path), commands=COMMANDS).start()
    assert running(tmp_path).url == url  # type: ignore[union-attr]


def test_a_web_process_that_cannot_start_is_reported_with_its_last_words(
    supervise: Callable[..., Supervisor], tmp_path: Path
) -> None:
    supervisor = supervise(web=[sys.executable, "-c", "raise SystemExit('The port 1 is taken.')"])
    with pytest.raises(Unavailable, match="The port 1 is taken"):
        supervisor.start()
    assert running(tmp_path) is None
    assert not any(alive(state.pid) for state in supervisor.states().values() if state.pid)


def test_what_children_write_to_stderr_is_in_the_log(
    supervise: Callable[..., Supervisor], tmp_path: Path
) -> None:
    words = "import sys; print('last words', file=sys.stderr); sys.exit(4)"
    supervisor = supervise(consumer=[sys.executable, "-c", words])
    supervisor.start()
    assert supervisor.wait_for(lambda now: now["consumer"].restarts >= 1, 20)
    assert "last words" in (tmp_path / "pointillist.log").read_text()
    assert supervisor.states()["consumer"].reason == "It ended with status 4. last words"


RUN = """
import json, sys
from pathlib import Path
from app.settings import Settings
from app.supervisor import run
settings = Settings(data=Path(sys.argv[1]), port=0, open_browser=False)
sys.exit(run(settings, commands=json.loads(sys.argv[2])))
"""


def serve(folder: Path, **commands: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder), json.dumps({**COMMANDS, **commands})],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def pids_of(folder: Path) -> list[int]:
    """The children once all three run."""
    deadline = time.monotonic() + 20
    while True:
        rows = children_file(folder)
        if all(row["state"] == "running" for row in rows.values()):
            return [int(row["pid"]) for row in rows.values()]  # type: ignore[call-overload]
        assert time.monotonic() < deadline


def gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.02)
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_everything(tmp_path: Path, number: int) -> None:
    with serve(tmp_path) as process:
        assert process.stdout is not None
        assert "http://127.0.0.1:" in process.stdout.readline()
        pids = pids_of(tmp_path)
        process.send_signal(number)
        assert process.wait(20) == 0
        assert not any(alive(pid) for pid in pids)
        assert running(tmp_path) is None


def test_the_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    with serve(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        pids = pids_of(tmp_path)
        process.kill()
        process.wait(20)
        assert gone(pids)


def test_a_child_that_ignores_the_request_to_end_is_killed(
    supervise: Callable[..., Supervisor], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("app.supervisor.GRACE_S", 0.5)
    supervisor = supervise(consumer=[sys.executable, "-c", STUBBORN])
    supervisor.start()
    deadline = time.monotonic() + 20
    while "up" not in (tmp_path / "pointillist.log").read_text():
        assert time.monotonic() < deadline
    pid = supervisor.states()["consumer"].pid
    supervisor.stop()
    assert not alive(pid)


def test_the_second_server_exits_with_a_sentence(tmp_path: Path) -> None:
    with serve(tmp_path) as first:
        assert first.stdout is not None
        first.stdout.readline()
        with serve(tmp_path) as second:
            assert second.wait(20) == 1
            assert second.stderr is not None
            assert f"process {first.pid}" in second.stderr.read()
        first.send_signal(signal.SIGINT)
        assert first.wait(20) == 0
