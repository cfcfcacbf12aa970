"""Engines and prepared frames within their memory; the engines here are the one without pixels, of several sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.errors import Refused, Unavailable
from app.worker.engines import OutOfMemory
from app.worker.engines.fake import Fake, Features
from app.worker.protocol import FrameRef
from app.worker.residents import Frames, Residents

MB = 1 << 20


class Sized(Fake):
    """`size` bytes of model; `fails` times it does not fit before it does; it can shrink `shrinks` times."""

    reads_frames = False
    tiers = {"segment": ("clicks", "text"), "text": ("text",)}

    def __init__(self, data: Path, size: int, shrinks: int = 0) -> None:
        super().__init__(data)
        self.size, self.shrinks, self.closed, self.made = size, shrinks, False, []

    def nbytes(self) -> int:
        return self.size

    def prepare(self, image: object, tier: str) -> Features:
        self.made.append(tier)
        return Features(4 * MB if tier == "text" else MB)

    def shrink(self) -> bool:
        self.shrinks -= 1
        return self.shrinks >= 0

    def close(self) -> None:
        self.closed = True


def frame(index: int) -> FrameRef:
    name = f"0123456789abcdef01234567-{index:06d}"
    return FrameRef(id=name, path="", hash=f"hash{index}", width=8, height=8)


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., tuple[Residents, dict[str, Sized]]]:
    def make(sizes: dict[str, int], **options: Any) -> tuple[Residents, dict[str, Sized]]:
        engines: dict[str, Sized] = {}

        def load(name: str) -> Sized:
            engines[name] = Sized(tmp_path, sizes[name], options.get("shrinks", 0))
            engines[name].device = "cuda" if options.get("on_gpu") == name else "cpu"
            return engines[name]

        memory = options.get("memory_bytes", 0)
        return Residents(load, lambda _: 0, lambda _: None, cache_bytes=16 * MB, memory_bytes=memory), engines

    return make


def names(residents: Residents) -> list[str]:
    return [resident.engine for resident in residents.listing()]


def test_the_least_recently_used_engine_goes_by_measured_bytes(made) -> None:
    residents, engines = made({"a": 40 * MB, "b": 40 * MB, "c": 40 * MB}, memory_bytes=100 * MB)
    for name in ("a", "b", "a", "c"):
        residents.get(name)
    assert names(residents) == ["a", "c"]
    assert engines["b"].closed
    assert not engines["a"].closed


def test_an_engine_at_work_stays_whatever_else_is_asked(made) -> None:
    residents, engines = made({"a": 80 * MB, "b": 80 * MB, "c": 80 * MB}, memory_bytes=100 * MB)
    with residents.working("a"):
        residents.get("b")
        residents.get("c")
        assert names(residents) == ["a", "c"]
        with pytest.raises(Refused, match="at work"):
            residents.unload("a")
    residents.get("b")
    assert names(residents) == ["b"]
    assert engines["a"].closed


def test_what_an_unloaded_engine_prepared_goes_with_it(made) -> None:
    residents, _ = made({"a": 1, "b": 1})
    residents.prepared("a", frame(0), "segment")
    residents.prepared("b", frame(0), "segment")
    residents.unload("a")
    assert residents.frames.bytes == MB
    assert residents.at_hand("b", frame(0), "segment") is not None


def test_a_frame_is_prepared_once_and_the_wide_tier_serves_clicks(made) -> None:
    residents, engines = made({"a": 1})
    residents.prepared("a", frame(0), "text")
    for _ in range(5):
        residents.prepared("a", frame(0), "segment")
    assert engines["a"].made == ["text"]
    residents.prepared("a", frame(1), "segment")
    residents.prepared("a", frame(1), "text")
    assert engines["a"].made == ["text", "clicks", "text"]


def test_wide_entries_take_half_of_the_cache_at_most() -> None:
    frames = Frames(16 * MB)
    for index in range(5):
        frames.put(("a", f"h{index}", "text"), Features(4 * MB))
        frames.put(("a", f"h{index}", "clicks"), Features(MB))
    assert [("a", f"h{i}", "text") in frames for i in range(5)] == [False, False, False, True, True]
    assert frames.bytes == 13 * MB
    for index in range(5, 20):
        frames.put(("a", f"h{index}", "clicks"), Features(MB))
    assert frames.bytes <= 16 * MB


def test_memory_runs_short_smaller_batches_first_then_the_others_go(made) -> None:
    residents, _ = made({"a": 1, "b": 1}, shrinks=1)
    for name in ("b", "a"):
        residents.prepared(name, frame(0), "segment")
    assert residents.relieve("a", 0)
    assert (names(residents), residents.frames.bytes) == (["b", "a"], 2 * MB)
    assert residents.relieve("a", 1)
    assert (names(residents), residents.frames.bytes) == (["a"], 0)
    assert not residents.relieve("a", 2)


def test_an_engine_that_does_not_fit_is_loaded_once_the_others_are_gone(tmp_path: Path) -> None:
    def load(name: str) -> Sized:
        if name == "large" and "small" in residents:
            raise OutOfMemory
        if name == "huge":
            raise OutOfMemory
        return Sized(tmp_path, MB)

    residents = Residents(load, lambda _: 0, lambda _: None, cache_bytes=MB)
    residents.get("small")
    residents.get("large")
    assert names(residents) == ["large"]
    with pytest.raises(Unavailable, match="not enough memory"):
        residents.get("huge")
    assert "huge" in residents.failed


def test_an_engine_on_a_gpu_answers_once_before_anybody_waits_for_it(made) -> None:
    residents, engines = made({"a": 1, "b": 1}, on_gpu="b")
    residents.get("a")
    residents.get("b")
    assert (engines["a"].made, engines["b"].made) == ([], ["clicks"])
    assert residents.frames.bytes == 0
