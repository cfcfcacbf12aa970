"""Real consumer processes, real files, real kills."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pytest

from tasks import channel as jobs
from tasks import child, queue
from tasks.queue import MsgspecSerializer, Queue, enqueue, job_folder, make_queue

DEADLINE_S = 60.0
Start = Callable[[], "subprocess.Popen[bytes]"]


def eventually(condition: Callable[[], Any]) -> Any:
    """The first true value of `condition`; fails when it stays false for a minute."""
    turn, deadline = threading.Event(), time.monotonic() + DEADLINE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        turn.wait(0.01)
    return value


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a consumer on the data folder `tmp_path`; none outlives the test."""
    running: list[subprocess.Popen[bytes]] = []

    def begin() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tasks.consumer", "--data", str(tmp_path)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip that takes a second or so to extract: 60 frames, 960 × 720, of a floor that slides by."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    floor = np.random.default_rng(3).integers(0, 255, (720, 960, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=12)
        stream.width, stream.height, stream.pix_fmt = 960, 720, "yuv420p"
        for index in range(60):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.roll(floor, 4 * index, axis=1), "rgb24"))
            )
        container.mux(stream.encode())
    return path


def extract_args(data: Path, source: Path, **more: Any) -> dict[str, Any]:
    return {"asset_dir": str(data / "assets" / "a"), "source": str(source), "kind": "video", **more}


def result_of(data: Path, job_id: str) -> jobs.Result:
    return eventually(lambda: jobs.read_result(job_folder(data, job_id)))


def records_of(data: Path, job_id: str) -> list[Any]:
    return jobs.read_partial(job_folder(data, job_id))[0]


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_an_extraction_killed_with_its_consumer_resumes_to_the_same_frames(
    tmp_path: Path, start: Start, long_clip: Path
) -> None:
    opened = make_queue(tmp_path)
    args = extract_args(tmp_path, long_clip)
    enqueue(opened, "extract", "whole", extract_args(tmp_path / "other", long_clip))
    enqueue(opened, "extract", "cut", args)
    consumer = start()
    result_of(tmp_path, "whole")
    eventually(lambda: len(records_of(tmp_path, "cut")) >= 5)
    progress = jobs.read_progress(job_folder(tmp_path, "cut"))
    consumer.kill()
    consumer.wait()
    assert progress is not None
    eventually(lambda: not alive(progress.pid))
    begun = records_of(tmp_path, "cut")

    enqueue(opened, "extract", "cut", args)
    start()
    assert result_of(tmp_path, "cut").ok
    records = records_of(tmp_path, "cut")
    assert [r["index"] for r in records] == list(range(60))
    assert records[: len(begun)] == begun
    assert records == records_of(tmp_path, "whole")
    assert files(tmp_path / "assets" / "a") == files(tmp_path / "other" / "assets" / "a")
    opened.storage.close()


def test_a_cancelled_extraction_keeps_whole_frames_with_records(
    tmp_path: Path, start: Start, long_clip: Path
) -> None:
    opened = make_queue(tmp_path)
    start()
    enqueue(opened, "extract", "job", extract_args(tmp_path, long_clip))
    eventually(lambda: records_of(tmp_path, "job"))
    jobs.request_cancel(job_folder(tmp_path, "job"))
    jobs.request_cancel(job_folder(tmp_path, "job"))
    found = result_of(tmp_path, "job")
    records = records_of(tmp_path, "job")
    assert (found.ok, found.error) == (False, "cancelled")
    assert found.value == {"frames": len(records)}
    wanted = {r["file"] for r in records} | {r["thumb"] for r in records}
    assert set(files(tmp_path / "assets" / "a")) == wanted
    opened.storage.close()


@pytest.mark.parametrize("how", ["stdin closes", "SIGTERM", "SIGINT"])
def test_a_consumer_ends_promptly_with_its_children(
    tmp_path: Path, start: Start, long_clip: Path, how: str
) -> None:
    opened = make_queue(tmp_path)
    consumer = start()
    enqueue(opened, "extract", "job", extract_args(tmp_path, long_clip))
    eventually(lambda: records_of(tmp_path, "job"))
    progress = jobs.read_progress(job_folder(tmp_path, "job"))
    assert progress is not None
    if how == "stdin closes":
        assert consumer.stdin is not None
        consumer.stdin.close()
    else:
        consumer.send_signal(getattr(signal, how))
    assert consumer.wait(20) == 0
    eventually(lambda: not alive(progress.pid))
    opened.storage.close()


def test_a_crash_of_the_decoder_fails_the_job_and_nothing_else(
    tmp_path: Path, start: Start, long_clip: Path
) -> None:
    opened = make_queue(tmp_path)
    consumer = start()
    enqueue(opened, "extract", "job", extract_args(tmp_path, long_clip))
    eventually(lambda: records_of(tmp_path, "job"))
    progress = jobs.read_progress(job_folder(tmp_path, "job"))
    assert progress is not None
    assert progress.pid != consumer.pid
    os.kill(progress.pid, signal.SIGSEGV)
    found = result_of(tmp_path, "job")
    assert (found.ok, found.error) == (False, "crashed")
    assert "SIGSEGV" in found.sentence
    assert consumer.poll() is None

    jobs.reset(job_folder(tmp_path, "job"))
    enqueue(opened, "extract", "job", extract_args(tmp_path, long_clip))
    assert result_of(tmp_path, "job").ok
    opened.storage.close()


def test_a_child_that_hangs_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys, "executable", str(stand_in(tmp_path / "sleeper", "import sys; sys.stdin.buffer.read()"))
    )
    child.run(tmp_path / "job", "extract", {}, memory_mb=512, hang_s=0.2)
    found = jobs.read_result(tmp_path / "job")
    assert found is not None
    assert (found.ok, found.error) == (False, "hung")


def stand_in(path: Path, code: str) -> Path:
    """A program that takes the place of the interpreter and runs `code`."""
    path.write_text(f"#!{sys.executable}\n{code}\n")
    path.chmod(0o700)
    return path


def test_a_refused_source_ends_as_a_sentence_with_nothing_kept(tmp_path: Path) -> None:
    bad = tmp_path / "text.mp4"
    bad.write_text("no video")
    opened = make_queue(tmp_path, immediate=True)
    enqueue(opened, "extract", "job", extract_args(tmp_path, bad))
    found = jobs.read_result(job_folder(tmp_path, "job"))
    assert found is not None
    assert (found.ok, found.error) == (False, "Refused")
    assert "text file" in found.sentence
    assert files(tmp_path / "assets" / "a") == {}


def test_frames_that_were_damaged_on_disk_are_made_again_on_resume(tmp_path: Path, clip: bytes) -> None:
    source = tmp_path / "clip.mp4"
    source.write_bytes(clip)
    opened = make_queue(tmp_path, immediate=True)
    enqueue(opened, "extract", "job", extract_args(tmp_path, source))
    before = files(tmp_path / "assets" / "a")
    (tmp_path / "assets" / "a" / "frames" / "000003.jpg").write_bytes(b"rot")
    (tmp_path / "assets" / "a" / "frames" / ".000004.jpg.part").write_bytes(b"half")
    (job_folder(tmp_path, "job") / "result.json").unlink()
    enqueue(opened, "extract", "job", extract_args(tmp_path, source))
    assert files(tmp_path / "assets" / "a") == before
    assert [r["index"] for r in records_of(tmp_path, "job")] == list(range(6))


def test_a_finished_job_is_not_done_again(tmp_path: Path, clip: bytes) -> None:
    source = tmp_path / "clip.mp4"
    source.write_bytes(clip)
    opened = make_queue(tmp_path, immediate=True)
    enqueue(opened, "extract", "job", extract_args(tmp_path, source))
    before = jobs.read_result(job_folder(tmp_path, "job"))
    enqueue(opened, "extract", "job", extract_args(tmp_path, source))
    assert jobs.read_result(job_folder(tmp_path, "job")) == before


def test_too_little_disk_stops_the_extraction_in_words(tmp_path: Path, clip: bytes) -> None:
    source = tmp_path / "clip.mp4"
    source.write_bytes(clip)
    opened = make_queue(tmp_path, immediate=True)
    enqueue(opened, "extract", "job", extract_args(tmp_path, source, min_free_gb=1e6))
    found = jobs.read_result(job_folder(tmp_path, "job"))
    assert found is not None
    assert (found.error, "disk" in found.sentence) == ("StorageFull", True)


def test_a_probe_describes_and_leaves_pictures(tmp_path: Path, clip: bytes) -> None:
    source = tmp_path / "clip.mp4"
    source.write_bytes(clip)
    opened = make_queue(tmp_path, immediate=True)
    enqueue(opened, "probe", "job", {"path": str(source)})
    found = jobs.read_result(job_folder(tmp_path, "job"))
    assert found is not None
    assert found.ok
    assert found.value["kind"] == "video"
    assert (found.value["info"]["width"], found.value["info"]["frame_count"]) == (160, 6)
    for name in [found.value["preview"], *found.value["strip"]]:
        assert (job_folder(tmp_path, "job") / name).read_bytes().startswith(b"\xff\xd8")
    assert len(found.value["strip"]) == 8


def test_the_queue_is_for_its_owner_only_and_holds_no_pickle(tmp_path: Path) -> None:
    opened = make_queue(tmp_path)
    enqueue(opened, "probe", "job", {"path": "x"})
    assert stat.S_IMODE((tmp_path / "queue.sqlite3").stat().st_mode) == 0o600
    (data,) = opened.storage.enqueued_items()
    assert msgspec.msgpack.decode(data)["message"][6] == ["probe", "job", {"path": "x"}]
    opened.storage.close()


def test_messages_survive_the_serializer(tmp_path: Path) -> None:
    opened: Queue = make_queue(tmp_path)
    task = opened.run_job.s("probe", "job", {"path": "x"})
    again = opened.deserialize_task(opened.serialize_task(task))
    assert (again.id, list(again.args)) == (task.id, list(task.args))
    assert MsgspecSerializer().deserialize(MsgspecSerializer().serialize({"a": [1]})) == {"a": [1]}
    opened.storage.close()


def test_a_damaged_queue_file_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "queue.sqlite3").write_bytes(b"this is no database" * 100)
    opened = make_queue(tmp_path)
    enqueue(opened, "probe", "job", {})
    assert len(opened.storage.enqueued_items()) == 1
    assert (tmp_path / "queue.sqlite3.damaged").exists()
    opened.storage.close()
    with sqlite3.connect(tmp_path / "queue.sqlite3") as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
    database.close()


@pytest.mark.parametrize("job_id", ["", "../x", "a/b", "x" * 65, "a\0"])
def test_a_job_id_never_leaves_the_folder_of_jobs(tmp_path: Path, job_id: str) -> None:
    with pytest.raises(ValueError, match="not a job id"):
        job_folder(tmp_path, job_id)


def test_every_kind_names_a_function(tmp_path: Path) -> None:
    for kind in queue.KINDS:
        assert callable(queue.function_of(kind)), kind
