"""One job of several stages: an auto-label whose labels are stabilised and measured, with the engine for tests."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from app.models import Job, new_id
from app.services import stages
from tests.conftest import MakeServer, Server
from tests.routes import test_api_mattes as mattes

SMOOTH = {"method": "median", "window": 3}


@pytest.fixture(scope="module")
def fake(make_server: MakeServer) -> Server:
    return make_server(fake_engine=True)


@pytest.fixture
def project(fake: Server, clip: bytes) -> dict[str, Any]:
    classes = [
        {"id": 1, "name": "left", "colour": "#d03c2c"},
        {"id": 2, "name": "right", "colour": "#286ebe"},
    ]
    template = fake.api("POST", "/class-templates", json={"name": f"T{new_id()}", "classes": classes})
    row = fake.api("POST", "/projects", json={"name": "P", "class_template_id": template["id"]})
    return {**row, "asset": fake.asset(row, "clip.mp4", clip)}


def start(
    server: Server, project: dict[str, Any], then: dict[str, Any], status: int = 202, **more: Any
) -> dict[str, Any]:
    body = {
        "asset_id": project["asset"]["id"],
        "engine": "fake",
        "mapping": {"left": 1, "right": 2},
        "then": then,
        **more,
    }
    return server.api("POST", f"/projects/{project['id']}/auto-label", json=body, status=status)


def test_labels_become_regions_are_stabilised_and_measured_in_one_job(
    fake: Server, project: dict[str, Any]
) -> None:
    job = start(fake, project, {"smoothing": SMOOTH, "measure": True})
    ended = fake.finished(job)
    assert ended["state"] == "done", ended["reason"]
    done = ended["result"]["stages"]
    assert [stage["kind"] for stage in done] == ["auto_label", "import_labels", "stabilise", "measure"]
    assert {stage["state"] for stage in done} == {"done"}
    assert done[1]["result"]["regions"] == 12
    assert (done[2]["result"]["frames"], done[2]["result"]["changed"]) == (6, 0)
    found = fake.api("GET", f"/projects/{project['id']}/metrics")["assets"][0]
    assert (found["measured"], found["stale"]) == (6, 0)
    # A person sees one job; its stages can be asked for by their own ids.
    mine = [row for row in fake.api("GET", f"/jobs?project={project['id']}") if row["kind"] != "extract"]
    assert [row["id"] for row in mine] == [job["id"]]
    assert fake.api("GET", f"/jobs/{done[3]['job']}")["kind"] == "measure"


def test_a_filter_that_cannot_be_is_refused_before_anything_is_labelled(
    fake: Server, project: dict[str, Any]
) -> None:
    refused = start(fake, project, {"smoothing": {"method": "median", "window": 4}}, status=422)
    assert refused["detail"] == "The window must be an odd number of frames from 3 to 9; 4 is not."
    assert [row["kind"] for row in fake.api("GET", f"/jobs?project={project['id']}")] == ["extract"]


def test_a_stage_that_fails_says_which_and_is_tried_again_alone(
    fake: Server, project: dict[str, Any]
) -> None:
    job = start(fake, project, {"smoothing": SMOOTH, "measure": True}, stop=0)
    for _ in range(2):
        ended = fake.finished(job)
        assert (ended["state"], [stage["state"] for stage in ended["result"]["stages"]]) == (
            "failed",
            ["done", "done", "failed"],
        )
        assert ended["reason"].startswith("Stabilising: One frame has no neighbours")
        again = fake.api("POST", f"/jobs/{job['id']}/retry")
        assert again["state"] == "failed"
    assert len(fake.api("GET", f"/frames/{project['asset']['id']}-000000/regions")) == 2


def row(kind: str, state: str, parent: Job | None = None, **more: Any) -> Job:
    args = {"then": {"smoothing": {}, "measure": True}}
    id = stages.stage_id(parent, kind) if parent else new_id()  # pyright: ignore[reportArgumentType]
    raw = msgspec.Raw(msgspec.json.encode(args))
    return Job(id=id, project_id=new_id(), kind=kind, title="t", state=state, args=raw, **more)  # pyright: ignore[reportArgumentType]


def test_a_job_is_what_its_present_stage_is() -> None:
    job = row("find", "running", done=3, total=9)
    assert (stages.whole(job, []).state, stages.whole(job, []).done) == ("running", 3)
    job.state = "done"
    # Between two stages it still runs.
    assert stages.whole(job, []).state == "running"
    smooth = row("stabilise", "waiting", job)
    assert stages.whole(job, [smooth]).state == "running"
    smooth.state, smooth.message = "paused", "frame 1 of 2"
    assert stages.whole(job, [smooth]).state == "paused"
    assert stages.whole(job, [smooth]).message == "Stage 2 of 3, stabilising: frame 1 of 2"
    assert stages.current(job, [smooth]) is smooth
    smooth.state = "done"
    measure = row("measure", "done", job, finished_at=7.0)
    seen = stages.whole(job, [smooth, measure])
    assert (seen.state, seen.finished_at) == ("done", 7.0)
    measure.state, measure.reason = "cancelled", "It was cancelled."
    assert stages.whole(job, [smooth, measure]).reason == "Measuring: It was cancelled."


def test_an_engine_of_the_worker_makes_alphas_and_the_consumer_files_of_one_matte(fake: Server) -> None:
    desk = mattes.Desk(fake, mattes.drawn())
    (fake.data / "run" / "fake-walk").write_text("die 3")
    targets = [{"name": "disc", "track_ids": [desk.track]}, {"name": "square", "class_ids": [3]}]
    job = desk.ask(engine="fake", targets=targets)
    assert job["kind"] == "matte_alpha"
    result = desk.ended(job)
    assert (result["engine"], [one["missing"] for one in result["targets"]]) == ("fake", [0, 0])
    assert [(stage["kind"], stage["state"]) for stage in result["stages"]] == [
        ("matte_alpha", "done"),
        ("matte", "done"),
    ]
    shown = [row["id"] for row in fake.api("GET", f"/jobs?project={desk.project['id']}")]
    assert shown.count(job["id"]) == 1
    levels, _ = mattes.decoded(desk.file(result, "disc_disc_alpha.mp4"))
    # The engine for tests leaves the disc where its newest anchor is: on the first and the fifth frame.
    hard = mattes.HARD
    assert (mattes.off(levels[0], 0), mattes.off(levels[5], 4)) == pytest.approx((hard, hard), abs=hard / 3)
    assert mattes.off(levels[5], 5) > 1.5 * hard
    assert not (fake.data / "jobs" / job["id"] / "alphas").exists()

    body = {"target": {"track_ids": [desk.track]}, "engine": "fake"}
    found = fake.api("POST", f"/frames/{desk.frame(2)}/matte-preview", json=body)
    assert mattes.off(mattes.png(desk, found["alpha"]), 2) == pytest.approx(hard, rel=0.3)
