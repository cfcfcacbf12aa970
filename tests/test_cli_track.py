"""`pointillist track`: which regions it follows, how far, and what it says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.models import new_id
from tests.conftest import Server
from tests.routes.test_api_tracked_regions import Desk


@pytest.fixture(scope="module")
def shared(server: Server, clip: bytes) -> Desk:
    return Desk(server, clip)


@pytest.fixture
def desk(shared: Desk) -> Desk:
    """A square that moves from frame 0 over 3 to 5 as one track, and another of its class on frame 0."""
    for index in range(6):
        for region in shared.on(index):
            shared.server.api("DELETE", f"/regions/{region['id']}")
    track = new_id()
    for index, x in ((0, 20), (3, 50), (5, 70)):
        shared.add(index, {"outline": [[[x, 40], [x + 20, 40], [x + 20, 60], [x, 60]]]}, track_id=track)
    shared.add(0, class_id=2)
    return shared


def track(desk: Desk, *args: object) -> Result:
    common = [
        "--server",
        desk.server.url,
        "track",
        "--project",
        desk.project["id"],
        "--engine",
        "interpolate",
    ]
    return CliRunner().invoke(main, [str(arg) for arg in [*common, *args]], env={"POINTILLIST_SERVER": ""})


def answer(desk: Desk, *args: object) -> dict[str, Any]:
    result = track(desk, *args, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_class_of_a_frame_is_followed_for_so_many_frames(desk: Desk) -> None:
    names = {c["id"]: c["name"] for c in _classes(desk)}
    found = answer(desk, "--frame", 0, "--class", names[3].upper(), "--frames", 3)
    assert (found["regions"], len(found["tracks"])) == (2, 1)
    assert desk.counts() == [2, 1, 1, 1, 0, 1]


def test_a_track_is_followed_anew_between_all_of_its_anchors(desk: Desk) -> None:
    answer(desk, "--region", desk.on(3)[0]["id"], "--frames", 2)
    (row,) = desk.server.api("GET", f"/projects/{desk.project['id']}/tracks")
    said = track(desk, "--track", row["name"], "--direction", "between")
    assert said.exit_code == 0, said.output
    assert said.stdout.startswith("3 regions on "), said.stdout
    assert ", 0 times lost. Job " in said.stdout
    assert desk.counts() == [2, 1, 1, 1, 1, 1]
    assert answer(desk, "--track", row["id"], "--direction", "backward", "--frames", 2)["regions"] == 1


def test_what_cannot_be_followed_is_said_in_a_sentence(desk: Desk) -> None:
    for args, words in (
        (("--track", "nobody"), "The asset has no track “nobody”."),
        (("--frame", 0, "--class", "unicorn"), "The class template has no class “unicorn”."),
        (("--frame", 3, "--class", 2), "Frame 3 has no region of 2 to track."),
        (("--frame", 2), "Frame 2 has no region to track."),
        (("--region", new_id()), "does not exist"),
    ):
        result = track(desk, *args)
        assert (result.exit_code, words in result.stderr) == (1, True), result.output


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("--frame", "0", "--text", "car=1"),
        ("--region", "a", "--frame", "0"),
        ("--class", "car"),
        ("--whole-frame",),
        ("--frame", "0", "--whole-frame", "--class", "car"),
        ("--frame", "0", "--frames", "2", "--stop", "4"),
        ("--frame", "0", "--frames", "2", "--direction", "between"),
        ("--frame", "0", "--frames", "0"),
        ("--frame", "0", "--direction", "sideways"),
    ],
)
def test_options_that_contradict_each_other_are_a_wrong_usage(args: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, ["--server", "http://127.0.0.1:9", "track", "--project", "P", *args])
    assert (result.exit_code, "Usage:" in result.stderr) == (2, True), result.output


def _classes(desk: Desk) -> list[dict[str, Any]]:
    return desk.server.api("GET", f"/class-templates/{desk.project['class_template_id']}")["classes"]
