"""The Quality page over a real server: what it says before and after frames were measured and scored."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from app.models import new_id
from tests.conftest import Server
from tests.routes.test_pages_http import Attributes, seen

SECTIONS = ("review", "stability", "stabilised", "truth")
HOSTILE = '</title><script>alert(1)</script>{{7*7}}"'


class Project:
    """Six frames of a drawn clip; on each the same square of class 1, but for one where it is half as wide."""

    def __init__(self, server: Server, clip: bytes) -> None:
        classes = [
            {"id": 1, "name": HOSTILE, "colour": "#aabbcc"},
            {"id": 2, "name": "bar", "colour": "#112233"},
        ]
        template = server.api("POST", "/class-templates", json={"name": "Shapes", "classes": classes})
        body = {"name": HOSTILE, "class_template_id": template["id"]}
        self.server = server
        self.row = server.api("POST", "/projects", json=body)
        self.id: str = self.row["id"]
        self.asset: str = server.asset(self.row, "disc.mp4", clip)["id"]
        for index in range(6):
            self.add(index, 1, 20, 50 if index == 3 else 80)

    def add(self, index: int, class_id: int, left: int, right: int) -> None:
        ring = [[left, 20], [right, 20], [right, 80], [left, 80]]
        body = {"id": new_id(), "class_id": class_id, "geometry": {"points": [], "outline": [ring]}}
        self.server.api("POST", f"/frames/{self.asset}-{index:06d}/regions", json=body)

    def job(self, path: str, **body: Any) -> dict[str, Any]:
        done = self.server.finished(self.server.api("POST", f"/projects/{self.id}/{path}", json=body))
        assert done["state"] == "done", done["reason"]
        return done

    def section(self, name: str, query: str = "") -> str:
        return seen(self.server, f"/quality/{self.id}/_{name}{query}")


@pytest.fixture(scope="module")
def project(server: Server, clip: bytes) -> Project:
    return Project(server, clip)


def test_every_section_of_a_new_project_says_what_is_missing_and_what_to_do(server: Server) -> None:
    made = server.project("Nothing yet")
    text = seen(server, f"/quality/{made['id']}")
    assert text.count("No frames yet") == 2
    assert "Nothing stabilised yet" in text
    assert "No hidden ground truth yet" in text
    for name in SECTIONS:
        assert f'id="{name}"' in text


def test_an_asset_without_labels_has_nothing_to_measure(server: Server, clip: bytes) -> None:
    made = server.project("Unlabelled")
    server.asset(made, "disc.mp4", clip)
    text = seen(server, f"/quality/{made['id']}/_stability")
    assert "Nothing to compare yet" in text
    assert 'data-do="measure"' not in text
    assert "Nothing left to review" in seen(server, f"/quality/{made['id']}/_review")


def test_before_measuring_the_page_offers_to_measure(project: Project) -> None:
    assert "Not measured yet" in project.section("stability")
    assert 'data-do="measure"' in project.section("stability")


def test_what_was_measured_is_shown_and_leads_to_its_frames(project: Project) -> None:
    project.job("measure")
    text = html.unescape(project.section("stability"))
    frames = re.findall(r'class="chip" href="([^"]+)">frame (\d+)', text)
    assert {number for _, number in frames[:2]} == {"4", "5"}
    assert frames[0][0].endswith(f"asset={project.asset}&frame={frames[0][1]}")
    assert "2 frames over 0.17" in text
    assert "not up to date" not in text
    assert text.count("<title>Frame ") == 5
    assert "Flicker of 5 frames, 2 above the limit" in text

    review = html.unescape(project.section("review"))
    queue = re.findall(r'id="row-([\w-]+)"', review)
    assert queue[0] in (f"{project.asset}-000003", f"{project.asset}-000004")
    assert f'data-asset="{project.asset}"' in review

    project.server.http.cookies.set("pt_project", project.id)
    cards = html.unescape(seen(project.server, "/dashboard/_quality"))
    project.server.http.cookies.delete("pt_project")
    assert "2 frames over 0.17" in cards
    assert f"/workspace/{project.id}?asset={project.asset}&frame=4" in cards
    assert f"/quality/{project.id}#stability" in seen(project.server, "/dashboard/_overview")


def test_a_class_has_a_curve_of_its_own_and_its_name_stays_text(project: Project) -> None:
    text = project.section("stability", "?layer=class-1&sort=-name")
    assert 'class="cur"' in text
    assert 'aria-sort="descending"' in text
    assert "<script>alert" not in text + seen(project.server, f"/quality/{project.id}")
    assert "{{7*7}}" in text


@pytest.mark.parametrize(
    "query",
    [
        "?asset=nonsense",
        "?layer=class-x&sort=__class__",
        "?offset=-1",
        "?offset=99999999999",
        "?matrix=%22%3E%3Ci+id%3Dx%3E",
        "?offset=²",
    ],
)
def test_nonsense_in_the_address_changes_nothing(project: Project, query: str) -> None:
    text = seen(project.server, f"/quality/{project.id}{query}")
    assert 'id="stability"' in text
    assert "<i id=x>" not in text


def test_the_page_holds_no_inline_style_or_script(project: Project) -> None:
    found = Attributes(seen(project.server, f"/quality/{project.id}")).names
    assert not [name for name in found if name == "style" or name.startswith("on")]


def test_an_approved_frame_leaves_the_queue_and_changed_labels_are_told(project: Project) -> None:
    worst = re.findall(r'id="row-([\w-]+)"', project.section("review"))[0]
    index = int(worst[25:])
    body = {"start": index, "stop": index, "state": "approved"}
    project.server.api("POST", f"/assets/{project.asset}/states", json=body)
    assert f"row-{worst}" not in project.section("review")
    assert "16\u202f%" in project.section("review")
    project.add(0, 2, 100, 140)
    assert "2 frames are not up to date." in project.section("stability")
    project.job("measure")
    assert "not up to date" not in project.section("stability")


def test_scores_against_hidden_ground_truth(project: Project) -> None:
    assert "No hidden ground truth yet" in project.section("truth")
    project.job("truth", asset_id=project.asset, frames=[0, 1])
    kept = project.section("truth")
    assert "Not scored yet" in kept
    assert "labels of this project" in kept
    assert "Delete 2 frames" in kept
    project.add(1, 2, 20, 50)
    project.job("score")
    text = html.unescape(project.section("truth"))
    assert "2 of 2 frames scored" in text
    # The newer region lies over the left half of the square on one of the two frames.
    assert re.search(r'title="[\d\u202f]+ px, 25\.\d\u202f% of the row">25<', text)
    assert "1\u202f800" in project.section("truth", "?matrix=px")
    assert f"asset={project.asset}&frame=2" in text
    assert "you, on this machine" in text
    project.server.api("DELETE", f"/projects/{project.id}/truth?asset_id={project.asset}")
    assert "No hidden ground truth yet" in project.section("truth")


def test_what_stabilising_did_is_shown_before_and_after(project: Project) -> None:
    body = {"asset_id": project.asset, "method": "median", "window": 3, "overwrite_anchors": True}
    project.job("stabilise", **body)
    text = html.unescape(project.section("stabilised"))
    assert "Median, window 3, motion-compensated" in text
    assert "less flicker" in text
    assert "frames 1–6" in text
    assert project.server.http.get(f"/quality/{project.id}/_stabilised?asset={new_id()}").status_code == 200


def test_a_project_that_does_not_exist_is_a_page_that_says_so(server: Server) -> None:
    assert "Open the dashboard" in seen(server, f"/quality/{new_id()}", 404)
    assert "Open the dashboard" in seen(server, "/quality/zz", 404)
