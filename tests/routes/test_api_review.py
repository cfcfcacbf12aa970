"""The review queue over HTTP and on the command line: what scripts and pages ask while a person goes through it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli import main
from app.models import new_id
from tests.conftest import Server
from tests.routes.test_api_tracked_regions import Desk


@pytest.fixture(scope="module")
def desk(server: Server, clip: bytes) -> Desk:
    """A square on each of six frames; on frame 3 half of it is gone."""
    made = Desk(server, clip)
    for index in range(6):
        height = 20 if index == 3 else 40
        made.add(index, {"outline": [[[10, 10], [50, 10], [50, 10 + height], [10, 10 + height]]]})
    return made


def ask(desk: Desk, query: str = "") -> dict[str, Any]:
    return desk.server.api("GET", f"/projects/{desk.project['id']}/review{query}")


def test_the_command_line_shows_the_queue(desk: Desk) -> None:
    def run(*more: str) -> str:
        args = ["--server", desk.server.url, "review", "--project", desk.project["id"], *more]
        result = CliRunner().invoke(main, args, env={"POINTILLIST_SERVER": ""})
        assert result.exit_code == 0, result.output
        return result.stdout

    known = ask(desk)
    *lines, last = run("--asset", desk.asset).splitlines()
    assert len(lines) == len(known["queue"])
    for line, entry in zip(lines, known["queue"], strict=True):
        assert line == f"{entry['gain']:.2f}  disc.mp4 4  {entry['reasons'][0]['text']}"
    counts = "{to_review} to look at; {seen} of 6 frames were opened, {approved} are approved."
    assert last == counts.format(**known)
    assert json.loads(run("--limit", "0", "--json")) == {**known, "queue": []}


def test_a_frame_is_offered_with_reasons_until_it_was_opened(desk: Desk) -> None:
    found = ask(desk)
    (entry,) = found.pop("queue")
    assert found == {"frames": 6, "seen": 0, "share_seen": 0.0, "approved": 0, "to_review": 1}
    (reason,) = entry.pop("reasons")
    assert entry.pop("gain") > 0.3
    assert entry == {
        "frame_id": desk.frame(3), "asset_id": desk.asset, "asset_name": "disc.mp4", "index": 3,
    }  # fmt: skip
    assert (reason["kind"], reason["class_id"]) == ("area", 3)
    assert "loses 50 % of its area for one frame" in reason["text"]

    assert ask(desk, "/next")["frame_id"] == desk.frame(3)
    assert ask(desk, f"/next?frame_id={desk.frame(3)}&asset_id={desk.asset}") is None
    of_frame = f"/frames/{desk.frame(3)}/review"
    assert desk.server.api("GET", of_frame) == ask(desk)["queue"][0]
    assert desk.server.api("GET", f"/frames/{desk.frame(2)}/review") is None
    for _ in range(2):
        desk.server.api("POST", f"/frames/{desk.frame(3)}/seen", status=204)
    assert ask(desk, "/next") is None
    assert desk.server.api("GET", of_frame) is None
    found = ask(desk, f"?asset_id={desk.asset}")
    assert (found["seen"], found["share_seen"], found["to_review"]) == (1, pytest.approx(1 / 6), 0)


def test_what_makes_no_sense_is_refused_with_a_sentence(server: Server) -> None:
    project = server.project("Empty")["id"]
    assert server.api("GET", f"/projects/{project}/review")["queue"] == []
    for query, status in (
        ("?limit=501", 422),
        ("?offset=-1", 422),
        ("?limit=many", 400),
        ("?asset_id=x", 404),
    ):
        assert server.api("GET", f"/projects/{project}/review{query}", status=status)["detail"]
    server.api("GET", f"/projects/{project}/review?asset_id={new_id()}", status=404)
    server.api("GET", f"/projects/{new_id()}/review", status=404)
    server.api("GET", f"/frames/{new_id()}-000000/review", status=404)
    server.api("GET", f"/projects/{project}/review/next?frame_id=x", status=404)
    for frame in ("x", f"{new_id()}-000000"):
        server.api("POST", f"/frames/{frame}/seen", status=404)
