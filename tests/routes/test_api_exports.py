"""Exports over the API: every option reaches the writer, and what cannot be is refused in words."""

from __future__ import annotations

import io
import json
import zipfile

import av
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


def test_a_part_of_an_asset_becomes_videos_that_end_when_its_next_frame_begins(
    server: Server, project: str
) -> None:
    wanted = {"format": "mask-video", "start": 1, "stop": 2, "class_ids": [1], "lossless": True}
    job = server.finished(server.api("POST", f"/projects/{project}/exports", json=wanted))
    assert job["state"] == "done", job["reason"]
    answer = server.http.get(f"/api/v1/jobs/{job['id']}/files/{job['result']['files'][0]['name']}")
    with av.open(io.BytesIO(answer.content)) as container:
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert [int(frame.max()) for frame in frames] == [0, 255]
    assert (frames[1][10:50, 10:50] == 255).all()
    job = server.finished(
        server.api("POST", f"/projects/{project}/exports", json={**wanted, "format": "overlay-mp4"})
    )
    assert job["result"]["notes"] == ["The video has no sound: the source has none for these frames."]


def test_whether_there_is_sound_to_keep_is_said(server: Server, project: str) -> None:
    assets = server.api("GET", f"/projects/{project}")["assets"]
    sound = server.api("GET", f"/projects/{project}/export-sound?asset_id={assets[0]['id']}")
    assert sound == {"available": False, "sentence": "This asset has no sound.", "codec": ""}
    assert server.http.get(f"/api/v1/projects/{project}/export-sound?asset_id={new_id()}").status_code == 404


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
        ({"format": "overlay-mp4", "opacity": 1.5}, "Expected `float` <= 1.0"),
        ({"format": "overlay-mp4", "outline_width": 0.1}, "Expected `float` >= 0.5"),
        ({"format": "overlay-mp4", "quality": "best"}, "Invalid enum value"),
        ({"format": "overlay-mp4", "max_side": 20}, "at least 64 px"),
        ({"format": "overlay-mp4", "start": 4, "stop": 2}, "its start before its stop"),
        ({"format": "overlay-mp4", "stop": 6}, "between the frame indices 0 and 5"),
        ({"format": "mask-video", "class_ids": [7777]}, "The project has no class 7777."),
        ({"format": "mask-video", "track_ids": ["nobody"]}, "The project has no track nobody."),
    ],
)
def test_wrong_wishes_are_refused_in_words(
    server: Server, project: str, wanted: dict[str, object], sentence: str
) -> None:
    answer = server.http.post(f"/api/v1/projects/{project}/exports", json=wanted)
    assert answer.status_code in (400, 422)
    assert sentence in answer.text
