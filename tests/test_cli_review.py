"""`diff`, `check`, `backup` and `restore` as a person types them, against a real server where one is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app import store as db
from app.cli import main
from app.formats import bundle
from app.models import new_id
from app.store import Store
from tests.conftest import Server
from tests.tasks.test_diff import scene


def pointillist(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args], env={"POINTILLIST_SERVER": ""})


@pytest.fixture(scope="module")
def outlined(server: Server, clip: bytes) -> dict[str, Any]:
    """A project with one outlined region on its first frame."""
    project = server.project("Reviewed")
    asset = server.asset(project, "clip.mp4", clip)
    template = server.api("GET", f"/class-templates/{project['class_template_id']}")
    ring = [[40, 40], [70, 40], [70, 70], [40, 70]]
    region = {"id": new_id(), "class_id": template["classes"][0]["id"], "geometry": {"outline": [ring]}}
    server.api("POST", f"/frames/{asset['id']}-000000/regions", json=region)
    return {"project": project["name"], "region": region["id"], "class": template["classes"][0]["name"]}


def test_diff_tells_by_frame_and_class_and_its_status_says_whether(tmp_path: Path) -> None:
    a = scene().write(tmp_path / "a.jsonl")
    b = scene().square(0, "car", 2, 11, 12, 10).square(2, "new", 3, 0, 0, 4).write(tmp_path / "b.jsonl")
    same = pointillist("diff", a, a)
    assert (same.exit_code, same.stdout) == (0, f"{a} and {a} are equal: 3 frames.\n")
    found = pointillist("diff", a, b)
    assert found.exit_code == 1
    assert found.stdout.splitlines()[1:] == [
        "",
        "clip 000000",
        "  road                          IoU 0.968  300 → 310 px",
        "  car                 ~1        IoU 0.818  100 → 100 px",
        "",
        "clip 000002",
        "  tree    +1                    IoU 0.000  0 → 16 px",
        "",
        "In total, 2 of 3 frames differ (regions: + added, - removed, ~ changed, > reclassified):",
        "  car                 ~1        IoU 0.818  100 → 100 px",
        "  tree    +1                    IoU 0.000  0 → 16 px",
        "  road                          IoU 0.968  300 → 310 px",
    ]
    as_json = json.loads(pointillist("diff", a, b, "--json").stdout)
    assert [len(frame["regions"]) for frame in as_json["frames"]] == [1, 1]
    assert pointillist("diff", a, b, "--iou-below", "0").exit_code == 0


def test_what_cannot_be_compared_or_checked_is_a_sentence_and_status_2(tmp_path: Path) -> None:
    good = scene().write(tmp_path / "a.jsonl")
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"type":"bundle","version":99}\n')
    rules = tmp_path / "rules.json"
    rules.write_text('{"max_gaps": 0.1}')
    for args, sentence in (
        (("diff", good, bad), "Line 1 of the bundle has format version 99"),
        (("diff", good, tmp_path / "absent.jsonl"), "There is no bundle file"),
        (("check", bad), "Line 1 of the bundle"),
        (("check", good, "--rules", rules), "unknown field `max_gaps`. There are: max_gap,"),
        (("diff", good, "project:x", "--server", "http://127.0.0.1:9"), "does not answer"),
    ):
        result = pointillist(*args)
        assert result.exit_code == 2, args
        assert sentence in result.stderr
        assert "Traceback" not in result.output


def test_check_prints_one_line_a_violation(tmp_path: Path) -> None:
    path = scene().write(tmp_path / "a.jsonl")
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps({"max_gap": 0.7, "areas": {"car": {"min": 101}}}))
    result = pointillist("check", path, "--rules", rules)
    assert result.exit_code == 1
    car = scene().id("1car")
    assert f"clip 000001 car: Region {car} has 100 px, less than 101 px." in result.stdout.splitlines()
    assert result.stdout.splitlines()[-1] == (
        "clip 000002 -: 100.00% of the frame is unlabelled, more than 70.00%."
    )
    assert pointillist("check", path).exit_code == 0


def test_names_from_a_bundle_cannot_steer_the_terminal(tmp_path: Path) -> None:
    made = scene()
    made.classes[1].name = "car\x1b[2J\nclip 000009 -: forged"
    path = made.write(tmp_path / "a.jsonl")
    rules = tmp_path / "rules.json"
    rules.write_text('{"allowed_classes": ["road"]}')
    lines = pointillist("check", path, "--rules", rules).stdout.splitlines()
    assert len(lines) == 2
    assert "\x1b" not in lines[0]


def test_a_project_of_the_server_is_compared_with_a_bundle(
    server: Server, outlined: dict[str, Any], tmp_path: Path
) -> None:
    where = ("--data", server.data)
    name = f"project:{outlined['project']}"
    out = tmp_path / "out"
    pointillist("export", "--project", outlined["project"], "--format", "bundle", "--out", out, *where)
    file = next(out.glob("*.jsonl"))
    with file.open("rb") as text:
        kept = [line for _, line in bundle.read(text) if not isinstance(line, bundle.RegionLine)]
    file.write_bytes(b"".join(map(bundle.encode, kept)))
    result = pointillist("diff", name, file, *where, "--json")
    assert result.exit_code == 1, result.output
    regions = [region for frame in json.loads(result.stdout)["frames"] for region in frame["regions"]]
    assert regions == [{"kind": "removed", "id": outlined["region"], "class": outlined["class"]}]


def test_backup_of_a_running_server_restores_into_another_folder(
    server: Server, outlined: dict[str, Any], tmp_path: Path
) -> None:
    made = json.loads(
        pointillist("backup", "--data", server.data, "--out", tmp_path / "disk", "--json").stdout
    )
    assert made["name"] in [row["name"] for row in server.api("GET", "/backups")]
    assert made["files"] == made["linked"] > 6
    refused = pointillist("restore", "latest", "--data", server.data)
    assert refused.exit_code == 1
    assert "already uses the data folder" in refused.stderr
    other = tmp_path / "other"
    result = pointillist("restore", made["copied"], "--data", other)
    assert result.exit_code == 0, result.output
    with Store.open(other) as store:
        names = [project.name for project in store.read(db.projects.listing)]
    assert outlined["project"] in names
    assert list(other.glob("assets/*/frames/000005.jpg"))
    assert "backups/damaged-" in result.stdout
    assert pointillist("restore", "--data", tmp_path / "empty").stdout == ""


def test_restore_over_the_network_is_refused(server: Server) -> None:
    result = pointillist("restore", "latest", "--server", server.url)
    assert result.exit_code == 1
    assert "without --server" in result.stderr
