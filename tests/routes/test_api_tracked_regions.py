"""What scripts and pages do with regions of a track and with ranges of frames, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from app.models import new_id
from tests.conftest import Server


class Desk:
    """A project with one video of six frames, 160 × 120."""

    def __init__(self, server: Server, clip: bytes) -> None:
        self.server, self.clip = server, clip
        self.project = server.project("Tracked regions")
        self.asset = server.asset(self.project, "disc.mp4", clip)["id"]

    def frame(self, index: int, asset: str = "") -> str:
        return f"{asset or self.asset}-{index:06d}"

    def add(self, index: int, geometry: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """A square of 20 × 20 px, unless another geometry is given."""
        square = {"outline": [[[10, 10], [30, 10], [30, 30], [10, 30]]]}
        body = {"id": new_id(), "class_id": 3, "geometry": geometry or square, **more}
        return self.server.api("POST", f"/frames/{self.frame(index)}/regions", json=body)["region"]

    def on(self, index: int) -> list[dict[str, Any]]:
        return self.server.api("GET", f"/frames/{self.frame(index)}/regions")

    def counts(self) -> list[int]:
        return [len(self.on(index)) for index in range(6)]

    def step(self, kind: str = "undo") -> dict[str, Any]:
        return self.server.api("POST", f"/projects/{self.project['id']}/{kind}")


@pytest.fixture(scope="module")
def shared(server: Server, clip: bytes) -> Desk:
    return Desk(server, clip)


@pytest.fixture
def desk(shared: Desk) -> Desk:
    """The project without any region."""
    for index in range(6):
        for region in shared.on(index):
            shared.server.api("DELETE", f"/regions/{region['id']}")
    return shared


def test_a_region_is_deleted_with_what_follows_in_its_track(desk: Desk) -> None:
    track = new_id()
    made = [desk.add(index, track_id=track) for index in (0, 2, 3, 5)]
    path = f"/regions/{made[2]['id']}"
    found = desk.server.api("GET", f"{path}/scope")
    assert [found[scope] for scope in ("frame", "onward", "backward", "track")] == [1, 2, 3, 4]
    refused = desk.server.api("DELETE", f"{path}?scope=onward", headers={"If-Match": '"9"'}, status=409)
    assert "changed in the meantime" in refused["detail"]
    operation = {"Idempotency-Key": new_id(), "If-Match": '"1"'}
    result = desk.server.api("DELETE", f"{path}?scope=onward", headers=operation)
    assert (result["deleted"], result["frames"]) == (2, 2)
    again = desk.server.api("DELETE", f"{path}?scope=onward", headers=operation)
    assert (again["deleted"], again["created"]) == (2, False)
    assert desk.counts() == [1, 0, 1, 0, 0, 0]
    desk.step()
    assert desk.counts() == [1, 0, 1, 1, 0, 1]


def test_another_scope_or_a_region_without_track_is_refused_with_a_sentence(desk: Desk) -> None:
    alone = desk.add(1)
    refused = desk.server.api("DELETE", f"/regions/{alone['id']}?scope=track", status=422)
    assert "no track" in refused["detail"]
    desk.server.api("DELETE", f"/regions/{alone['id']}?scope=everything", status=400)
    assert desk.counts() == [0, 1, 0, 0, 0, 0]
