"""`pointillist metrics`: what it says before and after measuring, and what it saves."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.models import new_id
from tests.conftest import Server
from tests.routes.test_api_regions import square


@pytest.fixture(scope="module")
def project(server: Server, clip: bytes) -> dict[str, Any]:
    """A square on every frame but one."""
    project = server.project("Metrics on the command line")
    asset = server.asset(project, "disc.mp4", clip)["id"]
    template = server.api("GET", f"/class-templates/{project['class_template_id']}")
    first = template["classes"][0]
    for index in (0, 1, 3, 4, 5):
        body = {"id": new_id(), "class_id": first["id"], "geometry": square(100, 10, 140, 50)}
        server.api("POST", f"/frames/{asset}-{index:06d}/regions", json=body)
    return {**project, "class": first["name"]}


def metrics(server: Server, project: dict[str, Any], *args: object) -> Result:
    common = ["--server", server.url, "metrics", "--project", project["id"]]
    return CliRunner().invoke(main, [*common, *map(str, args)])


def test_figures_are_shown_once_they_were_measured_and_saved_as_a_table(
    server: Server, project: dict[str, Any], tmp_path: Path
) -> None:
    assert metrics(server, project).stdout == "Nothing has been measured yet. Add --measure.\n"
    target = tmp_path / "rows.csv"
    result = metrics(server, project, "--measure", "--csv", target)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["flicker", "1-IoU", "IoU", "Dice", "F", "jumps"]
    of_class = next(line for line in lines if line.strip().startswith(project["class"]))
    assert of_class.split()[-1] == "2"
    assert lines[-1] == "disc.mp4: 2 of 5 frames flicker by more than 0.17."
    with target.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 12
    found = json.loads(metrics(server, project, "--json", "--asset", "disc.mp4").stdout)
    assert found["assets"][0]["over_limit"] == 2
    assert found["classes"][0]["name"] == project["class"]


def test_an_asset_that_is_not_there_is_one_sentence(server: Server, project: dict[str, Any]) -> None:
    result = metrics(server, project, "--asset", "none")
    assert result.exit_code == 1
    assert "There is no asset “none”." in result.stderr


def test_a_file_that_cannot_be_written_is_one_sentence(
    server: Server, project: dict[str, Any], tmp_path: Path
) -> None:
    result = metrics(server, project, "--csv", tmp_path / "missing" / "rows.csv")
    assert result.exit_code == 1
    assert "rows.csv cannot be written: No such file or directory." in result.stderr
