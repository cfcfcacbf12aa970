from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import Cancelled
from tasks import channel as jobs
from tasks.channel import Busy, Channel
from tasks.queue import MAX_ATTEMPTS, perform


def test_partial_results_are_read_once_each_by_offset(tmp_path: Path) -> None:
    with Channel(tmp_path) as channel:
        channel.append({"n": 1})
        first, offset = jobs.read_partial(tmp_path)
        channel.append({"n": 2})
    assert first == [{"n": 1}]
    assert jobs.read_partial(tmp_path, offset)[0] == [{"n": 2}]


def test_a_torn_last_line_is_neither_read_nor_kept(tmp_path: Path) -> None:
    (tmp_path / "partial.jsonl").write_bytes(b'{"n":1}\n{"n":2')
    records, offset = jobs.read_partial(tmp_path)
    assert records == [{"n": 1}]
    with Channel(tmp_path) as channel:
        channel.append({"n": 3})
    assert jobs.read_partial(tmp_path, offset)[0] == [{"n": 3}]


def test_large_partial_results_come_in_pieces_without_loss(tmp_path: Path) -> None:
    with Channel(tmp_path) as channel:
        for n in range(500):
            channel.append({"n": n})
    found, offset = [], 0
    while True:
        records, after = jobs.read_partial(tmp_path, offset, limit=700)
        if after == offset:
            break
        found, offset = found + records, after
    assert [r["n"] for r in found] == list(range(500))


def test_progress_says_how_far_and_who(tmp_path: Path) -> None:
    with Channel(tmp_path) as channel:
        channel.report(3, 10, "decoding", now=True)
    found = jobs.read_progress(tmp_path)
    assert found is not None
    assert (found.done, found.total, found.message, found.attempt) == (3, 10, "decoding", 1)
    assert found.pid > 0
    assert found.at > 0


def test_reports_in_quick_succession_are_written_seldom(tmp_path: Path) -> None:
    with Channel(tmp_path) as channel:
        channel.report(1, 10_000, now=True)
        for n in range(2, 50):
            channel.report(n, 10_000)
        found = jobs.read_progress(tmp_path)
    assert found is not None
    assert found.done < 49


def test_a_cancel_is_seen_at_the_next_check_even_when_asked_before_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    jobs.request_cancel(folder)
    jobs.request_cancel(folder)
    with Channel(folder) as channel, pytest.raises(Cancelled):
        channel.check()
    jobs.reset(folder)
    with Channel(folder) as channel:
        channel.check()


def test_a_job_rests_at_its_next_check_and_goes_on_when_it_may(tmp_path: Path) -> None:
    def work(channel: Channel) -> str:
        channel.append({"attempt": channel.attempt})
        channel.report(1, 9)
        channel.check()
        return "done"

    for _ in range(MAX_ATTEMPTS + 1):  # resting is no failure
        jobs.request_pause(tmp_path)
        perform(tmp_path, lambda channel: (channel.report(1, 9), channel.check()))
        rests = jobs.read_result(tmp_path)
        assert rests is not None
        assert rests.error == jobs.PAUSED
        perform(tmp_path, work)
        assert jobs.read_partial(tmp_path)[0] == []
        assert jobs.withdraw_pause(tmp_path)
        assert not jobs.withdraw_pause(tmp_path)
    perform(tmp_path, work)
    ended = jobs.read_result(tmp_path)
    assert ended is not None
    assert (ended.value, jobs.read_partial(tmp_path)[0]) == ("done", [{"attempt": 1}])


def test_one_job_is_never_executed_twice_at_once(tmp_path: Path) -> None:
    with Channel(tmp_path), pytest.raises(Busy), Channel(tmp_path):
        raise AssertionError("the lock let a second execution in")
    with Channel(tmp_path):
        pass


def test_attempts_count_only_executions_that_got_no_further(tmp_path: Path) -> None:
    seen = []
    for done in (0, 5, 9, 9, 9):
        with Channel(tmp_path) as channel:
            seen.append(channel.attempt)
            channel.report(done, 10, now=True)
    assert seen == [1, 2, 1, 1, 2]


def test_the_result_is_final_and_whole(tmp_path: Path) -> None:
    assert jobs.read_result(tmp_path) is None
    with Channel(tmp_path) as channel:
        channel.finish({"frames": 3})
    found = jobs.read_result(tmp_path)
    assert found is not None
    assert (found.ok, found.value) == (True, {"frames": 3})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lock", "progress.json", "result.json"]
