"""Several frames at once, as playback asks for them: the same regions and maps as one by one."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from app.models import new_id
from tests.conftest import Server


@pytest.fixture(scope="module")
def asset(server: Server, clip: bytes) -> str:
    """Frames 0, 1 and 3 have a region each."""
    asset_id = server.asset(server.project("Clips"), "disc.mp4", clip)["id"]
    for index in (0, 1, 3):
        ring = [[10 + index, 20], [50, 20], [50, 60], [10, 60]]
        body = {"id": new_id(), "class_id": 3, "geometry": {"outline": [ring]}}
        server.api("POST", f"/frames/{asset_id}-{index:06d}/regions", json=body)
    return asset_id


def records(data: bytes) -> list[tuple[dict[str, Any], bytes]]:
    found = []
    while data:
        end = 4 + int.from_bytes(data[:4], "little")
        head = json.loads(data[4:end])
        stop = end + head.get("bytes", 0)
        found.append((head, data[end:stop]))
        data = data[stop:]
    return found


def ask(server: Server, asset: str, query: str) -> list[tuple[dict[str, Any], bytes]]:
    answer = server.http.get(f"/api/v1/assets/{asset}/clip?{query}")
    assert answer.status_code == 200, answer.text
    return records(answer.content)


def test_a_clip_has_the_regions_and_maps_of_its_frames_in_order(server: Server, asset: str) -> None:
    found = ask(server, asset, "start=0&count=4")
    assert [head["frame"]["index"] for head, _ in found] == [0, 1, 2, 3]
    assert [len(head["regions"]) for head, _ in found] == [1, 1, 0, 1]
    for head, body in found:
        frame = head["frame"]["id"]
        alone = server.api("GET", f"/frames/{frame}")
        assert (head["key"], head["regions"], head["frame"]) == (
            alone["key"],
            alone["regions"],
            alone["frame"],
        )
        assert gzip.decompress(body) == server.http.get(f"/api/v1/frames/{frame}/region-map").content


def test_a_clip_may_leave_frames_out_and_ends_with_the_asset(server: Server, asset: str) -> None:
    total = server.api("GET", f"/assets/{asset}")["frame_count"]
    assert [head["frame"]["index"] for head, _ in ask(server, asset, "start=1&count=2&step=2")] == [1, 3]
    last = ask(server, asset, f"start={total - 1}&count=5")
    assert [head["frame"]["index"] for head, _ in last] == [total - 1]
    assert ask(server, asset, f"start={total}&count=5") == []


def test_a_map_that_is_known_is_not_sent_again(server: Server, asset: str) -> None:
    first, second = (head["key"] for head, _ in ask(server, asset, "start=0&count=2"))
    again = ask(server, asset, f"start=0&count=2&known={first},nothing")
    assert [(head["key"], bool(body)) for head, body in again] == [(first, False), (second, True)]


@pytest.mark.parametrize(
    "query", ["start=-1", "start=0&count=0", "start=0&count=65", "start=0&step=0", "start=0&count=64&step=99"]
)
def test_a_clip_out_of_bounds_is_refused_with_a_sentence(server: Server, asset: str, query: str) -> None:
    answer = server.http.get(f"/api/v1/assets/{asset}/clip?{query}")
    assert answer.status_code == 422
    assert "`count` must lie between 1 and 64" in answer.json()["detail"]


def test_a_clip_of_no_asset_is_not_found(server: Server) -> None:
    assert server.http.get(f"/api/v1/assets/{new_id()}/clip?start=0").status_code == 404
    assert server.http.get("/api/v1/assets/nothing/clip?start=0").status_code == 404
