"""Pages over a real server: they answer, escape what people typed and say what is wrong."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import httpx
import pytest

from app.models import new_id
from tests.conftest import MakeServer, Server

PAGES = ["/", "/library", "/workspace", "/templates", "/jobs", "/engines", "/settings"]
PANELS = [
    "/_problems",
    "/_job-count",
    "/dashboard/_overview",
    "/dashboard/_quality",
    "/dashboard/_jobs",
    "/library/_cards",
    "/library/_trash",
]
HOSTILE = '<img src=x onerror=alert(1)> {{7*7}} \u202eesrever\u202c "quoted" ' + "🦢" * 20
BROWSER = {"Accept": "text/html,application/xhtml+xml"}


def seen(server: Server, path: str, status: int = 200) -> str:
    answer = server.http.get(path, headers=BROWSER, follow_redirects=True)
    assert answer.status_code == status, answer.text
    return answer.text


@pytest.mark.parametrize("path", PAGES + PANELS)
def test_pages_and_panels_answer(server: Server, path: str) -> None:
    seen(server, path)


class Attributes(HTMLParser):
    """The names of all attributes of a page (a name in a text or a value does not count)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names |= {name for name, _ in attrs}


@pytest.mark.parametrize("path", PAGES)
def test_pages_carry_the_content_policy_and_are_not_stored(server: Server, path: str) -> None:
    answer = server.http.get(path, headers=BROWSER, follow_redirects=True)
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    found = Attributes(answer.text).names
    assert "class" in found
    assert not [name for name in found if name == "style" or name.startswith("on")]


@pytest.mark.parametrize("path", ["/", "/library", "/library/_cards", "/dashboard/_overview"])
def test_hostile_project_names_are_escaped(server: Server, path: str) -> None:
    made = server.api("POST", "/projects", json={"name": HOSTILE})
    text = seen(server, path)
    assert "<img src=x" not in text
    assert "{{7*7}}" in text
    assert html.escape(made["name"], quote=True).replace("&quot;", "&#34;") in text.replace("&quot;", "&#34;")


def test_hostile_class_names_stay_data_in_the_editor(server: Server) -> None:
    name = '</script><script>alert(1)</script>"'
    classes = [{"id": 1, "name": name, "colour": "#aabbcc"}]
    made = server.api("POST", "/class-templates", json={"name": "Hostile", "classes": classes})
    text = seen(server, f"/templates/{made['id']}")
    assert "<script>alert(1)" not in text
    assert "\\u003cscript\\u003ealert(1)" in text


def test_a_workspace_shows_frames_and_gives_the_island_its_data(server: Server, clip: bytes) -> None:
    project = server.project("Open me")
    asset = server.asset(project, "disc.mp4", clip)
    text = seen(server, f"/workspace/{project['id']}?frame=3")
    for wanted in (
        "canvas-host",
        "tools",
        "timeline",
        "workspace-data",
        "help-sheet",
        "frame-number",
        "saved",
    ):
        assert f'id="{wanted}"' in text
    assert '"frame_index": 2' in text
    frame = f"{asset['id']}-000002"
    assert "Frame 3" in seen(server, f"/workspace/{project['id']}/_frame?frame={frame}")
    panel = seen(server, f"/workspace/{project['id']}/_panel?frame={frame}")
    assert "No region yet" in panel
    assert 'data-state="todo" aria-checked="true"' in panel


def test_a_region_shows_up_in_the_tree_with_its_certificate(server: Server, clip: bytes) -> None:
    project = server.project("Tree")
    asset = server.asset(project, "disc.mp4", clip)
    frame, region = f"{asset['id']}-000000", new_id()
    ring = [[20, 20], [90, 20], [90, 80], [20, 80]]
    body = {"id": region, "class_id": 1, "geometry": {"points": [], "outline": [ring]}}
    server.api("POST", f"/frames/{frame}/regions", json=body)
    tree = seen(server, f"/workspace/{project['id']}/_regions?frame={frame}")
    assert f'data-region="{region}"' in tree
    assert "exact" in tree
    facts = seen(server, f"/workspace/{project['id']}/_properties?frame={frame}&region={region}")
    assert "4 nodes" in facts
    assert "is no longer on this frame" in html.unescape(
        seen(server, f"/workspace/{project['id']}/_properties?frame={frame}&region={new_id()}", 404)
    )


def test_a_project_without_frames_says_what_to_do_first(server: Server) -> None:
    project = server.project("Nothing here")
    assert "No frames yet" in seen(server, f"/workspace/{project['id']}")


@pytest.mark.parametrize(
    "path", ["/workspace/zz", "/workspace/" + "0" * 24, "/templates/" + "0" * 24, "/nowhere"]
)
def test_what_does_not_exist_is_a_page_that_says_so(server: Server, path: str) -> None:
    text = seen(server, path, 404)
    assert "Open the dashboard" in text
    assert "Traceback" not in text


def test_a_panel_that_fails_answers_with_a_problem_block_only(server: Server) -> None:
    answer = server.http.get(
        f"/workspace/{new_id()}/_panel?frame=x", headers={**BROWSER, "HX-Request": "true"}
    )
    assert answer.status_code == 404
    assert 'class="problem"' in answer.text
    assert "<html" not in answer.text


def test_the_import_sheet_shows_what_the_probe_found(server: Server, clip: bytes) -> None:
    upload = server.upload("disc <b>.mp4", clip)
    text = seen(server, f"/library/_import?upload_id={upload}")
    assert "Readable" in text
    assert "160 × 120" in text
    assert "<b>.mp4" not in text
    assert 'data-duration="0.0"' not in text


def test_the_import_sheet_gives_the_reason_why_a_file_cannot_be_used(server: Server) -> None:
    upload = server.upload("note.mp4", b"this is not a video at all, only words")
    text = seen(server, f"/library/_import?upload_id={upload}")
    assert 'class="problem"' in text
    assert "Nothing was imported" in text


def test_scripts_get_the_fields_of_a_page_as_json(server: Server) -> None:
    answer = server.http.get("/dashboard/_jobs", headers={"Accept": "application/json"})
    assert set(answer.json()) == {"jobs", "names", "running", "waiting", "paused"}


def test_theme_and_language_come_from_the_cookies_and_nonsense_is_ignored(server: Server) -> None:
    light = server.http.get("/settings", headers={**BROWSER, "Cookie": "pt_theme=light"})
    assert 'data-theme="light"' in light.text
    odd = server.http.get(
        "/settings", headers={**BROWSER, "Cookie": 'pt_theme=x"onload; pt_language=../../etc'}
    )
    assert 'lang="en" data-theme="dark"' in odd.text


def test_a_server_with_a_token_asks_for_it_and_then_lets_in(make_server: MakeServer) -> None:
    guarded = make_server(token="open sesame")
    with httpx.Client(base_url=guarded.url, headers=BROWSER) as browser:
        away = browser.get("/library")
        assert away.headers["location"].startswith("/sign-in")
        form = browser.get("/sign-in?next=//evil.example")
        token = re.search(r'name="_csrf_token" value="([^"]+)"', form.text)
        assert token is not None
        assert 'name="next" value="/"' in form.text
        body = {"_csrf_token": token[1], "token": "wrong", "next": "/jobs"}
        wrong = browser.post("/sign-in", data=body)
        assert wrong.status_code == 401
        assert "That is not the token" in wrong.text
        assert browser.get("/library").status_code == 303
        right = browser.post("/sign-in", data={**body, "token": "open sesame"})
        assert right.headers["location"] == "/jobs"
        assert "HttpOnly" in right.headers["set-cookie"]
        assert browser.get("/library").status_code == 200
