"""Exports over the API: every option reaches the writer, and what cannot be is refused in words."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from app.models import new_id
from tests.conftest import Server


@pytest.fixture(scope="module")
def project(server: Server, clip: bytes) -> str:
    made = server.project("Exported")
    asset = server.asset(made, "clip.mp4", clip)
    for index in (0, 2):
        for x in (10, 60):
            ring = [[x, 10], [x + 40, 10], [x + 40, 50], [x, 50]]
            region = {"id": new_id(), "class_id": 1, "geometry": {"points": [], "outline": [ring]}}
            server.api("POST", f"/frames/{asset['id']}-{index:06d}/regions", json=region)
    return made["id"]


def exported(server: Server, project: str, **wanted: object) -> zipfile.ZipFile:
    job = server.finished(server.api("POST", f"/projects/{project}/exports", json=wanted))
    assert job["state"] == "done", job["reason"]
    name = job["result"]["files"][0]["name"]
    answer = server.http.get(f"/api/v1/jobs/{job['id']}/files/{name}")
    return zipfile.ZipFile(io.BytesIO(answer.content))


def test_objects_split_and_images_reach_the_file(server: Server, project: str) -> None:
    with exported(server, project, format="coco", objects="region", split="val", media=True) as archive:
        document = json.loads(archive.read("annotations/instances_val.json"))
        assert [row["image_id"] for row in document["annotations"]] == [1, 1, 2, 2]
        for row in document["images"]:
            assert archive.getinfo(f"images/{row['file_name']}").file_size > 0
    with exported(server, project, format="coco", only_labelled=False) as archive:
        document = json.loads(archive.read("annotations/instances_default.json"))
        assert (len(document["images"]), len(document["annotations"])) == (6, 2)


def test_formats_are_listed_with_what_they_heed(server: Server) -> None:
    formats = server.api("GET", "/projects/export-formats")
    assert {"coco", "cvat", "davis", "yolo-seg", "bundle"} <= formats.keys()
    assert formats["yolo-seg"]["lossy"]
    assert "objects" in formats["coco"]["options"]


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"format": "gif"}, "There is no export format 'gif'"),
        ({"format": "coco", "split": "../up"}, "letters, digits"),
        ({"format": "coco", "objects": "pixel"}, "Invalid enum value"),
    ],
)
def test_wrong_wishes_are_refused_in_words(
    server: Server, project: str, wanted: dict[str, str], sentence: str
) -> None:
    answer = server.http.post(f"/api/v1/projects/{project}/exports", json=wanted)
    assert answer.status_code in (400, 422)
    assert sentence in answer.text
