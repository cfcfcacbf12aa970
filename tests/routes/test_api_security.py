"""The gate: rows 33–35, 37, 40 and 45 of the hostile inputs, over real HTTP and a real WebSocket."""

from __future__ import annotations

import httpx
import pytest
import websockets.sync.client as ws
from websockets.exceptions import InvalidStatus

from app.models import new_id
from tests.conftest import MakeServer, Server

JSON = {"content-type": "application/json"}


def socket_url(server: Server) -> str:
    return server.url.replace("http", "ws") + f"/ws/workspace/{new_id()}"


def test_a_foreign_host_name_is_refused(server: Server) -> None:
    answer = server.http.get("/api/v1/health", headers={"host": "evil.com"})
    assert answer.status_code == 400
    assert "evil.com" in answer.json()["detail"]


@pytest.mark.parametrize("origin", ["http://evil.com", "null"])
def test_a_foreign_origin_may_not_write(server: Server, origin: str) -> None:
    answer = server.http.post("/api/v1/projects", json={"name": "x"}, headers={"origin": origin})
    assert answer.status_code == 403


def test_a_browser_that_says_cross_site_may_not_write(server: Server) -> None:
    answer = server.http.post(
        "/api/v1/projects", json={"name": "x"}, headers={"sec-fetch-site": "cross-site"}
    )
    assert answer.status_code == 403


def test_json_in_disguise_of_plain_text_is_refused(server: Server) -> None:
    answer = server.http.post(
        "/api/v1/projects", content=b'{"name":"x"}', headers={"content-type": "text/plain"}
    )
    assert answer.status_code == 400
    assert "text/plain" in answer.json()["detail"]


@pytest.mark.parametrize("origin", ["http://evil.com", "null"])
def test_a_websocket_from_another_site_is_refused_at_the_handshake(server: Server, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused, ws.connect(socket_url(server), origin=origin):  # pyright: ignore
        pass
    assert refused.value.response.status_code == 403


def test_a_websocket_with_a_foreign_host_is_refused(server: Server) -> None:
    with (
        pytest.raises(InvalidStatus),
        ws.connect(socket_url(server), additional_headers={"Host": "evil.com"}),
    ):
        pass


@pytest.fixture(scope="module")
def guarded(make_server: MakeServer) -> Server:
    return make_server(token="correct-horse-battery-staple")


def every_path(server: Server) -> list[tuple[str, str]]:
    described = server.http.get("/api/openapi.json").json()["paths"]
    fill = {"frame_id": f"{new_id()}-000000", "name": "a.png"}
    found = []
    for path, methods in described.items():
        for method in methods:
            if method in ("get", "post", "put", "patch", "delete"):
                concrete = path
                for part in path.split("/"):
                    if part.startswith("{"):
                        concrete = concrete.replace(part, fill.get(part[1:-1].split(":")[0], new_id()))
                found.append((method, concrete))
    return found


def test_no_route_answers_without_the_token(guarded: Server) -> None:
    paths = every_path(guarded)
    assert len(paths) > 30
    with httpx.Client(base_url=guarded.url) as stranger:
        for method, path in [*paths, ("get", "/"), ("get", "/library"), ("get", "/api/openapi.json")]:
            answer = stranger.request(method, path, headers=JSON if method != "get" else {})
            assert answer.status_code == 401, (method, path, answer.status_code)
    with pytest.raises(InvalidStatus) as refused, ws.connect(socket_url(guarded)):
        pass
    assert refused.value.response.status_code == 403


def test_a_wrong_token_is_no_token(guarded: Server) -> None:
    answer = httpx.get(f"{guarded.url}/api/v1/projects", headers={"authorization": "Bearer wrong"})
    assert answer.status_code == 401


def test_the_token_opens_the_api(guarded: Server) -> None:
    assert guarded.api("GET", "/projects") == []


@pytest.mark.parametrize("bad", ["-1", str(2**63), "..%2f..%2fetc", "x" * 24, "%00", "A" * 24])
def test_an_id_that_cannot_be_one_is_not_found(server: Server, bad: str) -> None:
    for path in (f"/projects/{bad}", f"/assets/{bad}", f"/frames/{bad}", f"/jobs/{bad}", f"/regions/{bad}"):
        answer = server.http.get(f"/api/v1{path}")
        assert answer.status_code == 404, (path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"name": "\xff\xfe"}',
        b'{"name": 1e999}',
        b"{",
        b'{"name": NaN}',
        b'"just text"',
        b'{"name": "x", "surprise": 1}',
    ],
    ids=["deep", "not utf-8", "infinite", "cut", "nan", "text", "unknown key"],
)
def test_json_that_cannot_be_used_is_a_plain_400(server: Server, body: bytes) -> None:
    answer = server.http.post("/api/v1/projects", content=body, headers=JSON)
    assert answer.status_code == 400, answer.text
    problem = answer.json()
    assert problem["status"] == 400
    assert problem["detail"].endswith(".")
    assert "Traceback" not in answer.text


def test_every_answer_carries_the_policy(server: Server) -> None:
    for path in ("/api/v1/health", "/api/v1/projects/zzz", "/"):
        headers = server.http.get(path).headers
        assert "unsafe-inline" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_an_unknown_address_answers_in_a_sentence(server: Server) -> None:
    answer = server.http.get("/api/v1/nothing")
    assert answer.status_code == 404
    assert answer.json()["detail"].endswith(".")
