"""Ground truth through the HTTP API: dry run, mapping, import, undo, and what bad requests get."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.algo.labels import decode_rle
from app.models import new_id
from tests import drawing
from tests.conftest import Server

WIDTH, HEIGHT = 96, 72


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


class Project:
    """A project of two drawn images, and a zip of their label maps."""

    def __init__(self, server: Server) -> None:
        self.server = server
        scenes = [drawing.scene(index, WIDTH, HEIGHT) for index in range(2)]
        self.labels = [labels for _, labels in scenes]
        classes = [
            {"id": i, "name": name, "colour": colour, "priority": i}
            for i, name, colour in ((1, "disc", "#d03c2c"), (2, "bar", "#286ebe"))
        ]
        self.template = server.api("POST", "/class-templates", json={"name": "T", "classes": classes})
        body = {"name": "P", "class_template_id": self.template["id"]}
        self.row = server.api("POST", "/projects", json=body)
        self.id = self.row["id"]
        images = zipped({f"shot_{i}.png": png(image) for i, (image, _) in enumerate(scenes)})
        self.asset = server.asset(self.row, "shots.zip", images, format="png")
        self.truth = zipped({f"masks/shot_{i}.png": png(labels) for i, labels in enumerate(self.labels)})

    def frame(self, index: int) -> str:
        return f"{self.asset['id']}-{index:06d}"

    def regions(self, index: int = 0) -> list[dict[str, Any]]:
        return self.server.api("GET", f"/frames/{self.frame(index)}/regions")

    def submit(self, *, status: int = 202, **body: Any) -> dict[str, Any]:
        return self.server.api("POST", f"/projects/{self.id}/imports", json=body, status=status)

    def run(self, **body: Any) -> dict[str, Any]:
        job = self.server.finished(self.submit(**body))
        assert job["state"] == "done", job["reason"]
        return self.server.api("GET", f"/imports/{job['id']}")

    def dry(self, data: bytes | None = None, name: str = "truth.zip", **body: Any) -> dict[str, Any]:
        return self.run(upload_id=self.server.upload(name, data or self.truth), **body)

    def bring_in(self, **body: Any) -> dict[str, Any]:
        mapping = {"value:0": 0, "value:1": 1, "value:2": 2}
        source = {} if "from_job" in body else {"upload_id": self.server.upload("truth.zip", self.truth)}
        return self.run(**{**source, "dry_run": False, "mapping": mapping, **body})

    def undo(self, kind: str = "undo") -> dict[str, Any]:
        return self.server.api("POST", f"/projects/{self.id}/{kind}", json={})


@pytest.fixture(scope="module")
def project(server: Server) -> Project:
    return Project(server)


@pytest.fixture
def fresh(server: Server) -> Project:
    return Project(server)


def test_frames_of_images_keep_their_names_and_are_matched_by_them(project: Project) -> None:
    report = project.dry()
    assert (report["match"], report["counts"]["matched"], report["dry_run"]) == ("name", 2, True)
    rows = {row["key"]: row for row in report["classes"]}
    assert rows["value:1"]["pixels"] == sum(int((labels == 1).sum()) for labels in project.labels)
    assert rows["value:1"]["class_id"] is None
    assert project.regions() == []


def test_an_import_is_one_step_that_can_be_undone_and_done_again(fresh: Project) -> None:
    report = fresh.bring_in()
    assert report["regions"] == 4
    assert report["edit_id"] == report["job_id"]
    assert report["last_edit"]
    before = fresh.regions()
    assert {region["class_id"] for region in before} == {1, 2}
    said = fresh.undo()
    assert said["what"] == "Took the import truth.zip back."
    assert fresh.regions(0) == fresh.regions(1) == []
    assert fresh.server.api("GET", f"/imports/{report['job_id']}")["undone"]
    fresh.undo("redo")
    after = fresh.regions()
    assert [r["geometry"] for r in after] == [r["geometry"] for r in before]
    assert all(new["revision"] > old["revision"] for new, old in zip(after, before, strict=True))


def test_existing_regions_are_replaced_kept_or_spared_and_come_back_by_undo(fresh: Project) -> None:
    first = fresh.bring_in()
    own = fresh.regions()
    assert fresh.bring_in(from_job=first["job_id"])["regions"] == 4
    assert len(fresh.regions()) == 2
    assert {r["id"] for r in fresh.regions()}.isdisjoint(r["id"] for r in own)
    fresh.undo()
    assert [r["id"] for r in fresh.regions()] == [r["id"] for r in own]
    fresh.bring_in(existing="keep")
    assert len(fresh.regions()) == 4
    fresh.undo()
    job = fresh.server.finished(
        fresh.submit(from_job=first["job_id"], dry_run=False, existing="skip", mapping={"value:0": 0})
    )
    assert job["state"] == "failed"
    assert "nothing was imported" in job["reason"]
    assert [r["id"] for r in fresh.regions()] == [r["id"] for r in own]


def test_a_region_moved_since_is_undone_before_the_import(fresh: Project) -> None:
    fresh.bring_in(budget=20)
    region = fresh.regions()[0]
    geometry = region["geometry"]
    geometry["points"][0]["x"] += 1
    headers = {"If-Match": f'"{region["revision"]}"'}
    fresh.server.api("PATCH", f"/regions/{region['id']}", json={"geometry": geometry}, headers=headers)
    assert fresh.undo()["edit"]["kind"] == "undo"
    assert fresh.undo()["what"].startswith("Took the import")
    assert fresh.regions() == []


def test_new_classes_and_the_mapping_are_kept_in_the_template(fresh: Project) -> None:
    dry = fresh.dry()
    body = {
        "from_job": dry["job_id"],
        "dry_run": False,
        "mapping": {"value:1": 1, "value:2": 1},
        "new_classes": {"value:0": {"name": "floor", "colour": "#807060"}},
    }
    report = fresh.run(**body)
    template = fresh.server.api("GET", f"/class-templates/{fresh.template['id']}")
    assert [c["name"] for c in template["classes"]] == ["disc", "bar", "floor"]
    assert {(r["kind"], r["key"]): r["class_id"] for r in template["rules"]} == {
        ("value", "0"): 3, ("value", "1"): 1, ("value", "2"): 1,
    }  # fmt: skip
    assert report["regions"] == 4
    again = fresh.dry()
    assert {row["key"]: (row["class_id"], row["why"]) for row in again["classes"] if row["pixels"]} == {
        "value:0": (3, "rule"), "value:1": (1, "rule"), "value:2": (1, "rule"),
    }  # fmt: skip


def test_certificates_come_worst_first_with_their_source_masks(fresh: Project) -> None:
    report = fresh.bring_in()
    page = fresh.server.api("GET", f"/imports/{report['job_id']}/regions?limit=3")
    assert page["total"] == 4
    assert len(page["rows"]) == 3
    assert [row["iou"] for row in page["rows"]] == sorted(row["iou"] for row in page["rows"])
    row = page["rows"][0]
    rle = fresh.server.api("GET", f"/imports/{report['job_id']}/regions/{row['region_id']}/source")
    index = int(row["frame_id"].rpartition("-")[2])
    assert (decode_rle(rle) == (fresh.labels[index] == row["class_id"])).all()


def test_a_class_without_a_decision_fails_the_import_and_keeps_nothing(fresh: Project) -> None:
    upload = fresh.server.upload("truth.zip", fresh.truth)
    job = fresh.server.finished(fresh.submit(upload_id=upload, dry_run=False, mapping={}))
    assert job["state"] == "failed"
    assert "has no class of the template" in job["reason"]
    assert fresh.regions() == []


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({}, 422, "one of them"),
        ({"upload_id": "f" * 24, "path": "/x"}, 422, "one of them"),
        ({"upload_id": "f" * 24}, 404, "not here"),
        ({"from_job": "f" * 24}, 404, ""),
        ({"path": "/etc"}, 403, "no folder is allowed"),
        ({"upload_id": "f" * 24, "format": "exe"}, 422, "no format 'exe'"),
        ({"upload_id": "f" * 24, "mapping": {"value:1": 7}}, 422, "class 7"),
        ({"upload_id": "f" * 24, "asset_id": "f" * 24}, 404, "no such asset"),
        ({"upload_id": "f" * 24, "iou_target": 2}, 400, ""),
        ({"upload_id": "f" * 24, "iou_traget": 1}, 400, ""),
        ({"upload_id": "f" * 24, "new_classes": {"a": {"name": "x", "colour": "red"}}}, 400, ""),
        (
            {"upload_id": "f" * 24, "new_classes": {"a": {"name": "disc", "colour": "#123456"}}},
            422,
            "same name",
        ),
    ],
    ids=str,
)
def test_bad_requests_get_a_sentence(
    project: Project, body: dict[str, Any], status: int, sentence: str
) -> None:
    answer = project.submit(**body, status=status)
    assert sentence in answer["detail"]


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("m.zip", zipped({"../up.png": b"x"}), "up.png"),
        ("m.pkl", b"\x80\x04\x95", "serialised objects"),
        ("m.json", b"[" * 100_000, "m.json"),
        ("m.xml", b"<!DOCTYPE a [<!ENTITY b 'c'>]><annotations>&b;</annotations>", "m.xml"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_hostile_sources_fail_with_a_sentence(
    project: Project, name: str, data: bytes, sentence: str
) -> None:
    job = project.server.finished(project.submit(upload_id=project.server.upload(name, data)))
    assert job["state"] == "failed"
    assert sentence in job["reason"]
    assert "Traceback" not in job["reason"]


def test_imports_of_another_project_are_not_found(project: Project, fresh: Project) -> None:
    dry = project.dry()
    answer = fresh.submit(from_job=dry["job_id"], dry_run=False, status=404)
    assert "no such import" in answer["detail"]
    assert project.server.api("GET", f"/imports/{new_id()}", status=404)
