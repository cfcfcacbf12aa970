"""Engines over a real server: what the API, the page, the doctor and the command line say and do.

The files here are no weights, only shaped like them from outside.
"""

from __future__ import annotations

import html
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from tests.conftest import MakeServer, Server


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root").resolve()


@pytest.fixture(scope="module")
def own(make_server: MakeServer, root: Path) -> Server:
    """A server with the engines for tests, which may read `root`."""
    return make_server(fake_engine=True, allowed_roots=(str(root),), backoff=(0.05, 0.2))


def archive(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("data", "numbers")
    return path


def until(server: Server, engine: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The engine once `condition` holds, listening to the events instead of asking again and again."""
    with server.http.stream("GET", "/api/v1/events", timeout=120) as events:
        for line in events.iter_lines():
            if line.startswith(("event: process", "event: hello")):
                found = server.api("GET", f"/engines/{engine}")
                if condition(found):
                    return found
    raise AssertionError("the stream of events ended")


def page(server: Server) -> str:
    answer = server.http.get("/engines", headers={"Accept": "text/html"})
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


def card(server: Server, engine: str) -> str:
    return page(server).partition(f'id="engine-{engine}"')[2].partition("</section>")[0]


def pointillist(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args], env={"POINTILLIST_SERVER": ""})


def problem(server: Server, method: str, path: str, status: int, **options: Any) -> str:
    return server.api(method, path, status=status, **options)["detail"]


def test_page_api_doctor_and_command_line_say_the_same(own: Server) -> None:
    (found,) = (engine for engine in own.api("GET", "/engines") if engine["id"] == "sam3")
    assert (found["state"], found["available"], found["gated"]) == ("no-weights", False, True)
    shown = card(own, "sam3")
    assert "Missing weights" in shown
    assert found["reason"] in shown
    assert found["command"] in shown
    assert found["step"].removesuffix(found["command"]).strip() in shown
    said = f"{found['reason']} {found['step']}"
    assert said in pointillist("doctor", "--data", own.data).stdout
    assert said in pointillist("engines", "--data", own.data).stdout
    assert problem(own, "POST", "/engines/sam3/load", 503) == said
    failed = pointillist("engines", "check", "sam3", "--server", own.url)
    assert (failed.exit_code, failed.stderr) == (1, f"Error: {said}\n")
    assert "There is no engine 'sam9'; choose one of" in problem(own, "GET", "/engines/sam9", 404)


def test_an_engine_is_loaded_measured_and_unloaded(own: Server) -> None:
    assert own.api("POST", "/engines/fake/load", status=202)["id"] == "fake"
    found = until(own, "fake", lambda engine: not engine["loading"])
    assert (found["loaded"], found["device"], found["bytes"]) == (True, "cpu", 1 << 20)
    assert "Loaded" in card(own, "fake")
    assert "1.0\u202fMB measured on cpu" in card(own, "fake")
    checked = pointillist("engines", "check", "fake", "--json", "--data", own.data)
    assert json.loads(checked.stdout)["device"] == "cpu"
    own.api("POST", "/engines/fake/unload", status=202)
    until(own, "fake", lambda engine: not engine["loaded"])
    assert "Ready" in card(own, "fake")


def test_an_engine_of_the_consumer_needs_no_loading(own: Server) -> None:
    found = own.api("GET", "/engines/matte-fast")
    assert (found["available"], found["in_worker"], found["loaded"]) == (True, False, False)
    refused = own.http.post("/api/v1/engines/matte-fast/load")
    assert (refused.status_code, refused.json()["detail"]) == (
        422,
        "The engine matte-fast needs no loading: it is ready for jobs as it is.",
    )
    assert "needs no loading" in card(own, "matte-fast")
    assert 'data-do="load-engine"' not in card(own, "matte-fast")
    checked = pointillist("engines", "check", "matte-fast", "--data", own.data)
    assert checked.stdout == "matte-fast is ready on cpu.\n", checked.output


def test_licences_are_shown_before_an_engine_is_brought_in(own: Server) -> None:
    for words in ("NTU S-Lab License 1.0 (non-commercial)", "pip install --no-deps matanyone2-runtime"):
        assert words in card(own, "matanyone")
    for words in (
        "Stability AI Community License",
        "CC BY-NC 4.0 (non-commercial)",
        "diffusers (Apache-2.0)",
    ):
        assert words in card(own, "videomama")


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("refuse", "These are no weights of this engine."),
        ("die", "The engine stopped twice on this request; it was given up. Hand tools keep working."),
    ],
)
def test_a_loading_that_failed_is_told_until_one_succeeds(own: Server, fault: str, sentence: str) -> None:
    faults = own.data / "run" / "fake-load"
    faults.write_text(fault)
    try:
        own.api("POST", "/engines/fake/load")
        found = until(own, "fake", lambda engine: not engine["loading"])
    finally:
        faults.unlink()
    assert (found["state"], found["available"], found["reason"]) == ("bad-weights", False, sentence)
    assert "Refused" in card(own, "fake")
    assert sentence in card(own, "fake")
    assert "Load again" in card(own, "fake")
    own.api("POST", "/engines/fake/load")
    found = until(own, "fake", lambda engine: not engine["loading"])
    assert (found["loaded"], found["state"], found["reason"]) == (True, "ready", "")
    own.api("POST", "/engines/fake/unload")
    until(own, "fake", lambda engine: not engine["loaded"])


def test_weights_are_taken_from_allowed_folders_only(own: Server, root: Path, tmp_path: Path) -> None:
    def use(path: str | None, status: int = 200) -> Any:
        return own.api("PUT", "/engines/sam3/weights", json={"path": path}, status=status)

    outside, inside = archive(tmp_path / "sam3.pt"), archive(root / "mine.pt")
    (root / "link.pt").symlink_to(outside)
    for path in (str(outside), str(root / "link.pt"), "/etc/passwd"):
        assert "lies outside the folders that may be read from here" in use(path, 403)["detail"]
    for path in ("mine.pt", f"{root}/../mine.pt"):
        assert use(path, 403)["detail"] == "The path must be absolute and without `..`."
    assert use("  ", 400)["detail"] == "The path is empty or not a path."
    assert use(str(root / "none.pt"), 404)["detail"] == f"There is nothing at {root}/none.pt."
    assert use(str(inside))["file"] == str(inside)

    text = root / "text.pt"
    text.write_text("no weights")
    assert use(str(text), 422)["detail"] == f"{text} is no file of weights (PyTorch)."
    found = own.api("GET", "/engines/sam3")
    assert (found["file"], found["chosen"], found["state"]) == (str(inside), True, "ready")
    assert f">{inside}<" in card(own, "sam3")
    assert "Forget this path" in card(own, "sam3")
    text.replace(inside)
    assert "Refused" in card(own, "sam3")
    assert use(None)["file"] == ""
    assert (
        "needs no weights"
        in own.api("PUT", "/engines/classic/weights", json={"path": str(inside)}, status=422)["detail"]
    )


def test_whoever_has_a_shell_chooses_any_path(own: Server, tmp_path: Path) -> None:
    outside = archive(tmp_path / "sam3.pt")
    refused = pointillist("engines", "use", "sam3", outside, "--server", own.url)
    assert "lies outside the folders" in refused.stderr
    assert pointillist("engines", "use", "sam3", outside, "--data", own.data).exit_code == 0
    assert own.api("GET", "/engines/sam3")["file"] == str(outside)
    assert len(own.api("GET", "/engines/sam3")["sha256"]) == 64
    missing = pointillist("engines", "use", "sam3", tmp_path / "none.pt", "--data", own.data)
    assert missing.stderr == f"Error: There is nothing at {tmp_path / 'none.pt'}.\n"
    back = pointillist("engines", "use", "sam3", "--default", "--data", own.data)
    assert "The weights of sam3 are not on this machine." in back.stdout
    assert pointillist("engines", "use", "sam3", "--data", own.data).exit_code == 2


def test_an_engine_is_checked_on_a_machine_without_a_server(tmp_path: Path) -> None:
    ready = pointillist("engines", "check", "classic", "--data", tmp_path)
    assert ready.stdout == "classic is ready on cpu.\n", ready.output
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "fake-load").write_text("die")
    runner = CliRunner(env={"POINTILLIST_FAKE_ENGINE": "true", "POINTILLIST_SERVER": ""})
    died = runner.invoke(main, ["engines", "check", "fake", "--data", str(tmp_path)])
    assert f"ended with status 9; {tmp_path}/pointillist.log says why." in died.stderr
    missing = pointillist("engines", "check", "deeplabv3", "--data", tmp_path)
    assert missing.exit_code == 1
    assert f"{sys.executable.rpartition('/')[0]}/pointillist engines fetch deeplabv3" in missing.stderr
