"""Auto-label through the HTTP API, with the engine for tests: it calls the left half of a frame `left`, the right
half `right`. That proves the way from label maps to regions, not how good a model is.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli import main
from app.models import ClassDef, ClassTemplate, MappingRule, new_id
from app.services.auto_label import mapped
from app.services.presets import PRESETS
from app.worker.label_classes import VOC
from tests.conftest import MakeServer, Server

WIDTH, HEIGHT, FRAMES = 160, 120, 6
names = itertools.count()


@pytest.fixture(scope="module")
def fake(make_server: MakeServer) -> Server:
    return make_server(fake_engine=True)


class Project:
    """A project of one video of six frames with the classes thing (1) and wall (2)."""

    def __init__(self, server: Server, clip: bytes) -> None:
        self.server = server
        classes = [
            {"id": 1, "name": "thing", "colour": "#d03c2c", "priority": 1},
            {"id": 2, "name": "wall", "colour": "#286ebe", "priority": 2, "value": 3},
        ]
        body = {"name": f"T{next(names)}", "classes": classes}
        self.template = server.api("POST", "/class-templates", json=body)
        body = {"name": "P", "class_template_id": self.template["id"]}
        self.row = server.api("POST", "/projects", json=body)
        self.id = self.row["id"]
        self.asset = server.asset(self.row, "clip.mp4", clip)

    def regions(self, index: int) -> list[dict[str, Any]]:
        return self.server.api("GET", f"/frames/{self.asset['id']}-{index:06d}/regions")

    def draw(self, index: int) -> str:
        """A region by hand; its id."""
        outline = [[[10, 10], [60, 10], [60, 60], [10, 60]]]
        body = {"id": new_id(), "class_id": 1, "geometry": {"outline": outline}}
        self.server.api("POST", f"/frames/{self.asset['id']}-{index:06d}/regions", json=body)
        return body["id"]

    def counts(self) -> list[int]:
        return [len(self.regions(index)) for index in range(FRAMES)]

    def submit(self, *, status: int = 202, **body: Any) -> dict[str, Any]:
        body = {"asset_id": self.asset["id"], "engine": "fake", "mapping": {"left": 1}, **body}
        return self.server.api("POST", f"/projects/{self.id}/auto-label", json=body, status=status)

    def run(self, **body: Any) -> dict[str, Any]:
        """Wait for both jobs; the result of the first and the report of the import."""
        job = self.server.finished(self.submit(**body))
        assert job["state"] == "done", job["reason"]
        made = self.server.finished({"id": job["result"]["import_job"]})
        assert made["state"] == "done", made["reason"]
        return {**job["result"], "report": self.server.api("GET", f"/imports/{made['id']}")}

    def labels(self, job: dict[str, Any]) -> Path:
        return self.server.data / "jobs" / job["id"] / "labels"


@pytest.fixture
def project(fake: Server, clip: bytes) -> Project:
    return Project(fake, clip)


def test_classes_of_the_engine_become_certified_regions_in_one_step(project: Project) -> None:
    own = project.draw(1)
    result = project.run(mapping={"left": 2, "right": None}, start=1, stop=3)
    assert (result["frames"], result["classes"], result["engine"]) == (3, {"left": 3, "right": 3}, "fake")
    assert project.counts() == [0, 2, 1, 1, 0, 0]
    (region,) = project.regions(2)
    assert (region["class_id"], region["author"], region["anchor"]) == (2, "fake", False)
    assert region["area"] == pytest.approx(WIDTH * HEIGHT / 2, rel=0.05)
    assert region["certificate"]["iou"] >= region["certificate"]["target"] == 0.95
    # What the engine saw is there to look at, beside each region.
    report = result["report"]
    assert report["certificates"]["count"] == 3
    source = project.server.api("GET", f"/imports/{report['job_id']}/regions/{region['id']}/source")
    assert source["size"] == [HEIGHT, WIDTH]
    said = project.server.api("POST", f"/projects/{project.id}/undo", json={})
    assert said["what"] == "Took the import Fake (tests) labels of clip.mp4 back."
    assert project.counts() == [0, 1, 0, 0, 0, 0]
    assert project.regions(1)[0]["id"] == own


def test_classes_that_occur_can_become_new_classes_of_the_template(project: Project) -> None:
    project.run(mapping={"left": None}, new_classes=True, start=0, stop=0)
    template = project.server.api("GET", f"/class-templates/{project.template['id']}")
    # The value 3 is taken by the wall.
    assert [(c["id"], c["name"], c["value"]) for c in template["classes"][1:]] == [
        (2, "wall", 3),
        (3, "right", 4),
    ]
    assert template["rules"] == []
    assert [r["class_id"] for r in project.regions(0)] == [3]


@pytest.fixture
def waiting(fake: Server) -> Iterator[Callable[..., None]]:
    """Lets the engine, loaded anew, hang or die at a frame; without one it goes on."""
    plan = fake.data / "run" / "fake-walk"

    def wait(line: str = "") -> None:
        if line:
            fake.api("POST", "/engines/fake/unload")
        plan.write_text(line)

    yield wait
    plan.unlink()


def test_a_cancelled_job_leaves_no_region_and_goes_on_where_it_was(
    project: Project, waiting: Callable[..., None]
) -> None:
    waiting("wait 3")
    job = project.submit()
    _until(project, job, 3)
    project.server.api("POST", f"/jobs/{job['id']}/cancel")
    ended = project.server.finished(job)
    assert (ended["state"], ended["done"]) == ("cancelled", 3)
    assert project.counts() == [0] * FRAMES
    kept = {path.name: path.stat().st_mtime_ns for path in project.labels(job).iterdir()}
    assert sorted(kept) == ["000000.png", "000001.png", "000002.png", "classes.json"]
    waiting()
    project.server.api("POST", f"/jobs/{job['id']}/retry")
    again = project.server.finished(job)
    project.server.finished({"id": again["result"]["import_job"]})
    assert project.counts() == [1] * FRAMES
    after = {path.name: path.stat().st_mtime_ns for path in project.labels(job).iterdir()}
    assert all(after[name] == kept[name] for name in list(kept) if name.endswith(".png"))


def test_a_worker_that_dies_on_the_way_costs_no_frame(project: Project, waiting: Callable[..., None]) -> None:
    waiting("die 2")
    assert project.run()["frames"] == FRAMES
    assert project.counts() == [1] * FRAMES


def _until(project: Project, job: dict[str, Any], done: int) -> None:
    """Wait, listening to the events, until so many frames are labelled."""
    with project.server.http.stream("GET", "/api/v1/events", timeout=60) as events:
        for line in events.iter_lines():
            if line.startswith("event:"):
                found = project.server.api("GET", f"/jobs/{job['id']}")
                assert found["state"] in ("waiting", "running"), found["reason"]
                if found["done"] >= done:
                    return


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"mapping": {"left": 9}}, 422, "“left” is mapped to the class 9, which the class template does not"),
        ({"mapping": {"top": 1}}, 422, "has no class “top”. It has: background, left, right."),
        ({"mapping": {"left": None}}, 422, "Map at least one"),
        ({"engine": "classic"}, 422, "classic cannot label whole frames. Choose deeplabv3 or fake."),
        ({"engine": "deeplabv3", "mapping": {"car": 1}}, 422, "deeplabv3"),
        ({"engine": "nobody"}, 422, "There is no engine 'nobody'"),
        ({"stop": 6}, 422, "between the frame indices 0 and 5"),
        ({"start": 3, "stop": 2}, 422, "between the frame indices 0 and 5"),
        ({"asset_id": new_id()}, 404, "no such asset"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(
    refusing: Project, body: dict[str, Any], status: int, words: str
) -> None:
    assert words in refusing.submit(status=status, **body)["detail"]


@pytest.fixture(scope="module")
def refusing(fake: Server, clip: bytes) -> Project:
    return Project(fake, clip)


def test_a_video_without_a_mapped_class_says_what_was_found(refusing: Project) -> None:
    ended = refusing.server.finished(refusing.submit(mapping={"background": 1}, start=0, stop=0))
    assert (ended["state"], refusing.counts()) == ("failed", [0] * FRAMES)
    assert ended["reason"] == (
        "What fake found in the frame is mapped to no class: left, right. Map one and start again."
    )


def test_the_command_line_waits_for_the_regions_and_says_what_fits_nothing(project: Project) -> None:
    where = [
        "--server",
        project.server.url,
        "auto-label",
        "--project",
        project.id,
        "--engine",
        "fake",
        "--json",
    ]
    looked = CliRunner().invoke(main, [*where, "--dry-run"])
    assert json.loads(looked.stdout)["unmatched"] == ["left", "right"]
    done = CliRunner().invoke(main, [*where, "--map", "Left=wall", "--stop", "1"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["frames"], found["regions"], found["mapping"]) == (2, 2, {"left": "wall"})
    assert project.counts() == [1, 1, 0, 0, 0, 0]
    refused = CliRunner().invoke(main, [*where, "--map", "top=wall"])
    assert (refused.exit_code, "has no class “top”" in refused.output) == (1, True)


# The proposal


def template(*names: str, rules: tuple[MappingRule, ...] = ()) -> ClassTemplate:
    classes = [ClassDef(id=i, name=name, colour="#000000") for i, name in enumerate(names, 1)]
    return ClassTemplate(id=new_id(), name="T", classes=classes, rules=list(rules))


def proposal(found: ClassTemplate) -> dict[str, tuple[int | None, str]]:
    return {row.name: (row.class_id, row.why) for row in mapped(found, VOC)}


def test_equal_names_come_before_synonyms_and_rules_before_both() -> None:
    rule = MappingRule(kind="name", key="dog", class_id=None)
    found = proposal(template("Pedestrian", "person", "motorcycle", "TV_monitor", "dog", rules=(rule,)))
    assert found["person"] == (2, "name")
    assert found["motorbike"] == (3, "synonym")
    assert found["tvmonitor"] == (4, "synonym")
    assert found["dog"] == (None, "rule")
    assert found["horse"] == (None, "")
    assert "background" not in found


def test_presets_are_matched_where_they_name_the_same_things() -> None:
    def unmatched(preset: str) -> set[str]:
        classes = PRESETS[preset].build()
        found = mapped(ClassTemplate(id=new_id(), name="T", classes=classes), VOC)
        return {row.name for row in found if row.class_id is None}

    assert unmatched("voc") == set()
    cityscapes = {"person", "car", "bus", "train", "bicycle", "motorbike"}
    assert unmatched("cityscapes") == set(VOC[1:]) - cityscapes
    assert unmatched("street") == set(VOC[1:]) - {"person", "car"}


def test_the_proposal_says_which_classes_fit_none(refusing: Project) -> None:
    path = f"/projects/{refusing.id}/auto-label/mapping"
    found = refusing.server.api("GET", path)
    assert (found["engine"], len(found["classes"]), found["classes"][0]["class_id"]) == (
        "deeplabv3",
        20,
        None,
    )
    assert found["unmatched"] == list(VOC[1:])
    assert found["note"].startswith("No class of the template fits aeroplane, bicycle")
    refused = refusing.server.api("GET", f"{path}?engine=sam3", status=422)
    assert "has no classes of its own" in refused["detail"]
