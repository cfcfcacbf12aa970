"""Uploads, probing and importing over HTTP; rows 1, 2, 4, 8, 10, 12, 15, 26 and 39 of the hostile inputs."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import httpx
import pytest

from app.models import new_id
from tests.conftest import MakeServer, Server


def leftovers(server: Server) -> set[str]:
    return {path.name for folder in ("assets", "uploads") for path in (server.data / folder).iterdir()}


def test_an_upload_goes_on_where_it_stopped(server: Server, clip: bytes) -> None:
    upload_id, half = new_id(), len(clip) // 2
    server.api("PUT", f"/uploads/{upload_id}?name=a.mp4&offset=0", content=clip[:half])
    assert server.api("GET", f"/uploads/{upload_id}")["received"] == half
    wrong = server.api("PUT", f"/uploads/{upload_id}?name=a.mp4&offset=7", content=b"zzz", status=409)
    assert wrong["offset"] == half
    server.api("PUT", f"/uploads/{upload_id}?name=a.mp4&offset={half}", content=clip[half:])
    project = server.project()
    made = server.api("POST", f"/projects/{project['id']}/assets", json={"upload_id": upload_id})
    assert server.finished(made["job"])["state"] == "done"
    assert not (server.data / "uploads" / f"{upload_id}.part").exists()


def test_a_probe_tells_what_a_video_holds(server: Server, clip: bytes) -> None:
    probe = server.api("POST", "/probe", json={"upload_id": server.upload("disc.mp4", clip)})
    assert probe["readable"]
    assert probe["info"]["width"], probe["info"]["height"] == (160, 120)
    picture = server.http.get(probe["preview_url"])
    assert picture.headers["content-type"] == "image/jpeg"


def test_frames_of_an_import_have_times_sizes_and_pictures(server: Server, clip: bytes) -> None:
    project = server.project()
    asset = server.asset(project, "disc.mp4", clip)
    assert (asset["state"], asset["frame_count"], asset["stem"]) == ("ready", 6, "disc")
    page = server.api("GET", f"/projects/{project['id']}/frames?asset={asset['id']}&start=0&limit=10")
    assert page["total"] == 6
    assert [round(f["pts"] * 12) for f in page["frames"]] == list(range(6))
    frame = page["frames"][3]["id"]
    picture = server.http.get(f"/api/v1/frames/{frame}/image")
    assert picture.headers["content-type"] == "image/jpeg"
    again = server.http.get(
        f"/api/v1/frames/{frame}/image", headers={"if-none-match": picture.headers["etag"]}
    )
    assert again.status_code == 304
    part = server.http.get(f"/api/v1/frames/{frame}/image", headers={"range": "bytes=2-9"})
    assert (part.status_code, part.content) == (206, picture.content[2:10])
    many = server.http.get(f"/api/v1/frames/{frame}/image", headers={"range": "bytes=0-,0-,0-"})
    assert many.status_code == 416
    head = server.http.head(f"/api/v1/frames/{frame}/thumb")
    assert head.status_code == 200
    assert head.content == b""


def test_multipart_with_sampling_fields_imports_too(server: Server, clip: bytes) -> None:
    project = server.project()
    made = server.api(
        "POST",
        f"/projects/{project['id']}/assets",
        files={"file": ("../../etc/disc.mp4", clip)},
        data={"every": "2", "max_side": "80"},
    )
    assert server.finished(made["job"])["state"] == "done"
    asset = server.api("GET", f"/assets/{made['asset']['id']}")
    assert (asset["frame_count"], asset["width"], asset["name"]) == (3, 80, "disc.mp4")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("empty.mp4", b""),
        ("noise.mp4", bytes(range(256)) * 40),
        ("words.mp4", b"this is not a video " * 50),
        ("list.mp4", b"#EXTM3U\n#EXT-X-VERSION:3\nfile:///etc/passwd\n"),
        ("concat.mp4", b"ffconcat version 1.0\nfile /etc/passwd\n"),
        ("page.png", b"<svg xmlns='http://www.w3.org/2000/svg'></svg>"),
    ],
)
def test_what_is_no_video_is_refused_and_nothing_is_kept(server: Server, name: str, data: bytes) -> None:
    project = server.project()
    before = leftovers(server)
    upload_id = server.upload(name, data)
    problem = server.api(
        "POST", f"/projects/{project['id']}/assets", json={"upload_id": upload_id}, status=422
    )
    assert problem["detail"].endswith(".")
    assert leftovers(server) == before
    assert server.api("GET", f"/projects/{project['id']}/assets") == []


def test_a_zip_that_climbs_out_is_refused_naming_the_entry(server: Server) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("../../evil.png", b"x")
    project = server.project()
    upload_id = server.upload("frames.zip", packed.getvalue())
    problem = server.api(
        "POST", f"/projects/{project['id']}/assets", json={"upload_id": upload_id}, status=422
    )
    assert "evil.png" in problem["detail"]


def test_an_upload_over_the_limit_is_refused_and_removed(make_server: MakeServer) -> None:
    small = make_server(max_upload_gb=0.000001)
    upload_id = new_id()
    answer = small.http.put(f"/api/v1/uploads/{upload_id}?name=a.mp4", content=b"x" * 2000)
    assert answer.status_code == 413
    streamed = small.http.put(
        f"/api/v1/uploads/{upload_id}?name=a.mp4", content=iter([b"x" * 900, b"x" * 900])
    )
    assert streamed.status_code == 413
    assert list((small.data / "uploads").iterdir()) == []


@pytest.fixture(scope="module")
def rooted(make_server: MakeServer, tmp_path_factory: pytest.TempPathFactory, clip: bytes) -> Server:
    root = tmp_path_factory.mktemp("allowed")
    (root / "disc.mp4").write_bytes(clip)
    outside = tmp_path_factory.mktemp("outside") / "secret.mp4"
    outside.write_bytes(clip)
    (root / "link.mp4").symlink_to(outside)
    return make_server(allowed_roots=[root])


def test_a_path_inside_an_allowed_folder_imports(rooted: Server) -> None:
    project = rooted.project()
    path = str(rooted.settings.allowed_roots[0] / "disc.mp4")
    made = rooted.api("POST", f"/projects/{project['id']}/assets", json={"path": path})
    assert rooted.finished(made["job"])["state"] == "done"
    assert Path(path).exists()


@pytest.mark.parametrize("path", ["/etc/passwd", "{root}/../x.mp4", "disc.mp4", "{root}/link.mp4"])
def test_a_path_outside_the_allowed_folders_is_forbidden(rooted: Server, path: str) -> None:
    project = rooted.project()
    wanted = path.format(root=rooted.settings.allowed_roots[0])
    problem = rooted.api("POST", f"/projects/{project['id']}/assets", json={"path": wanted}, status=403)
    assert problem["detail"].endswith(".")


def test_the_same_import_twice_is_one_asset(server: Server, clip: bytes) -> None:
    project = server.project()
    wanted = {"upload_id": server.upload("a.mp4", clip), "id": new_id()}
    first = server.api("POST", f"/projects/{project['id']}/assets", json=wanted)
    second = server.api("POST", f"/projects/{project['id']}/assets", json=wanted)
    assert second["asset"]["id"] == first["asset"]["id"]
    assert second["job"]["id"] == first["job"]["id"]
    server.finished(first["job"])
    assert len(server.api("GET", f"/projects/{project['id']}/assets")) == 1


def test_deleting_a_project_during_an_import_leaves_it_in_the_trash(server: Server, clip: bytes) -> None:
    project = server.project("Doomed")
    made = server.api(
        "POST", f"/projects/{project['id']}/assets", json={"upload_id": server.upload("a.mp4", clip)}
    )
    server.api("DELETE", f"/projects/{project['id']}")
    assert server.finished(made["job"])["state"] in ("cancelled", "done")
    names = [card["project"]["name"] for card in server.api("GET", "/projects")]
    assert "Doomed" not in names
    server.api("POST", f"/projects/{project['id']}/restore")
    assert "Doomed" in [card["project"]["name"] for card in server.api("GET", "/projects")]


def test_cancelling_twice_is_cancelling_once(server: Server, clip: bytes) -> None:
    project = server.project()
    made = server.api(
        "POST", f"/projects/{project['id']}/assets", json={"upload_id": server.upload("a.mp4", clip)}
    )
    for _ in range(2):
        server.api("POST", f"/jobs/{made['job']['id']}/cancel")
    assert server.finished(made["job"])["state"] in ("cancelled", "done")


def test_a_name_with_markup_stays_text(server: Server) -> None:
    for name in ("<img onerror=alert(1)>", "{{7*7}}", "‮evil", "🦢 swan"):
        card = server.api("POST", "/projects", json={"name": name})
        assert "\u202e" not in card["name"]
    for bad in ("", "   ", "x" * 10_000):
        answer = server.http.post("/api/v1/projects", json={"name": bad})
        assert answer.status_code == 422


def test_a_client_without_the_right_length_is_refused(server: Server) -> None:
    upload_id = new_id()
    with pytest.raises((httpx.HTTPError, Exception)):
        server.http.put(
            f"/api/v1/uploads/{upload_id}?name=a.mp4", content=b"short", headers={"content-length": "5000"}
        )
