"""Downloads of weights from a hub and from a plain address: a real HTTP server on this machine plays both."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.errors import NotAllowed, NotFound, Refused, Unavailable
from app.worker import weights
from app.worker.fetching import fetch
from app.worker.registry import TABLE, Entry
from app.worker.weight_files import known_sha256

TOKEN = "the token of somebody who accepted the licence"


class Hub(ThreadingHTTPServer):
    """`files`: path → content under `/resolve/main/`, which sends on to another host name as hubs do.

    `gated`: repositories that need TOKEN; `cut`: bytes after which the next answer breaks off; `asked`: the Range
    header and the Authorization header of every request for content.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.gated: set[str] = set()
        self.cut = 0
        self.lie = ""
        self.asked: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        hub, path, token = self.server, urlsplit(self.path).path, self.headers.get("Authorization", "")
        repository, resolve, _ = path.removeprefix("/").partition("/resolve/main/")
        if resolve and repository in hub.gated and token != f"Bearer {TOKEN}":
            self._end(403 if token else 401)
        elif path.removeprefix("/content") not in hub.files:
            self._end(404)
        elif resolve and not path.startswith("/content"):
            promised = hub.lie or hashlib.sha256(hub.files[path]).hexdigest()
            where = f"http://localhost:{hub.server_port}/content{path}"
            self._end(302, {"X-Linked-Etag": f'"{promised}"', "Location": where})
        else:
            self._content(hub.files[path.removeprefix("/content")], token)

    def _content(self, body: bytes, token: str) -> None:
        hub, wanted = self.server, self.headers.get("Range", "")
        hub.asked.append((wanted, token))
        start = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
        if start >= len(body):
            self._end(416)
            return
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        cut, hub.cut = hub.cut, 0
        self.wfile.write(body[start : start + cut] if cut else body[start:])
        if cut:
            self.close_connection = True

    def _end(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "nobody"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def packed(size: int = 100_000) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("data", bytes(size))
    return made.getvalue()


def plain(hub: Hub, name: str = "model.pth") -> Entry:
    return dataclasses.replace(TABLE["deeplabv3"], files=("own.pth",), hub=f"{hub.url}/{name}", packages=())


def pointillist(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args], env={"POINTILLIST_SERVER": ""})


def test_gated_weights_come_with_a_token_and_say_how_without(hub: Hub, tmp_path: Path) -> None:
    hub.files["/facebook/sam3/resolve/main/sam3.pt"] = body = packed()
    hub.gated.add("facebook/sam3")
    refused = pointillist("engines", "fetch", "sam3", "--data", tmp_path)
    assert refused.exit_code == 1
    assert "Accept it at https://huggingface.co/facebook/sam3, make a token at" in refused.stderr
    assert "HF_TOKEN=… pointillist engines fetch sam3" in refused.stderr
    runner = CliRunner(env={"HF_TOKEN": "another", "POINTILLIST_SERVER": ""})
    assert (
        "has not been given the weights of sam3"
        in runner.invoke(main, ["engines", "fetch", "sam3", "--data", str(tmp_path)]).stderr
    )
    runner = CliRunner(env={"HF_TOKEN": TOKEN, "POINTILLIST_SERVER": ""})
    done = runner.invoke(main, ["engines", "fetch", "sam3", "--data", str(tmp_path)])
    assert done.exit_code == 0, done.output
    place = tmp_path / "weights" / "sam3.pt"
    assert place.read_bytes() == body
    digest = hashlib.sha256(body).hexdigest()
    assert done.stdout == f"{place}  {digest}\n"
    assert known_sha256(place, tmp_path) == digest
    assert hub.asked == [("", "")], "the token must not reach the host that the hub sends on to"
    again = pointillist("engines", "fetch", "sam3", "--data", tmp_path)
    assert again.stdout == done.stdout
    assert len(hub.asked) == 1, "what is there is not fetched again unasked"
    place.write_text("not what it was")
    assert pointillist("engines", "fetch", "sam3", "--data", tmp_path).exit_code == 1
    healed = runner.invoke(main, ["engines", "fetch", "sam3", "--data", str(tmp_path)])
    assert (healed.stdout, len(hub.asked)) == (done.stdout, 2)


def test_a_folder_comes_whole_or_not_at_all(hub: Hub, tmp_path: Path) -> None:
    entry = dataclasses.replace(TABLE["sam2"], packages=())
    base = f"/{entry.hub}/resolve/main"
    hub.files[f"{base}/config.json"] = b"{}"
    with pytest.raises(NotFound, match="There is nothing at"):
        fetch(entry, tmp_path)
    assert weights.find(entry, tmp_path) is None
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    hub.files[f"{base}/model.safetensors"] = len(header).to_bytes(8, "little") + header + bytes(4)
    for _ in range(2):  # the second one replaces the first
        found = fetch(entry, tmp_path)
        assert sorted(path.name for path in found.path.iterdir()) == ["config.json", "model.safetensors"]
        assert weights.find(entry, tmp_path) == found
    assert [path.name for path in (tmp_path / "weights").iterdir()] == ["sam2"]
    for name in ("config.json", "model.safetensors"):
        hub.files[f"/somebody/smaller/resolve/main/{name}"] = hub.files[f"{base}/{name}"]
    asked = len(hub.asked)
    other = pointillist("engines", "fetch", "sam2", "--from", "somebody/smaller", "--data", tmp_path)
    assert (other.stdout, len(hub.asked)) == (f"{found.path}  {found.sha256}\n", asked + 2)
    wrong = pointillist("engines", "fetch", "sam2", "--from", "file:///etc", "--data", tmp_path)
    assert "is neither a hub repository (owner/name) nor an https address" in wrong.stderr


def test_a_folder_of_two_models_comes_from_two_repositories(hub: Hub, tmp_path: Path) -> None:
    entry = dataclasses.replace(TABLE["videomama"], packages=())
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    tensors = len(header).to_bytes(8, "little") + header + bytes(4)
    vae = entry.gate
    for repository, name in ((entry.hub, "unet/"), (vae, "vae/")):
        for part in (one.name for one in entry.parts if one.name.startswith(name)):
            content = tensors if part.endswith(".safetensors") else b"{}"
            hub.files[f"/{repository}/resolve/main/{part}"] = content
    hub.gated.add(vae)
    with pytest.raises(NotAllowed, match=rf"Accept it at https://huggingface\.co/{vae}, make a token"):
        fetch(entry, tmp_path)
    found = fetch(entry, tmp_path, token=TOKEN)
    assert found.sha256 == hashlib.sha256(tensors).hexdigest()
    assert weights.info_of(entry, tmp_path).state == "ready"


def test_a_download_that_broke_off_goes_on_where_it_stopped(hub: Hub, tmp_path: Path) -> None:
    body = packed()
    name = f"net-{hashlib.sha256(body).hexdigest()[:8]}.pth"
    hub.files[f"/{name}"] = body
    entry, seen = plain(hub, name), []
    hub.cut = 40_000
    with pytest.raises(Unavailable, match=r"broke off: .*goes on where it stopped"):
        fetch(entry, tmp_path)
    assert weights.find(entry, tmp_path) is None
    found = fetch(entry, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert found.path.read_bytes() == body
    assert found.sha256 == hashlib.sha256(body).hexdigest()
    assert [wanted for wanted, _ in hub.asked] == ["", "bytes=40000-"]
    assert seen[-1] == (len(body), len(body))
    (found.path.parent / ".own.pth.part").write_bytes(body)
    assert fetch(entry, tmp_path) == found, "the attempt before it ended just before the last step"


def test_without_a_checksum_a_broken_download_begins_anew(hub: Hub, tmp_path: Path) -> None:
    hub.files["/model.pth"] = packed()
    hub.cut = 40_000
    with pytest.raises(Unavailable, match=r"Run the command again\.$"):
        fetch(plain(hub), tmp_path)
    fetch(plain(hub), tmp_path)
    assert [wanted for wanted, _ in hub.asked] == ["", ""]


def test_damaged_or_foreign_downloads_are_refused_and_leave_the_last_good_ones(
    hub: Hub, tmp_path: Path
) -> None:
    hub.files["/model.pth"] = good = packed()
    place = fetch(plain(hub), tmp_path).path
    hub.files["/model-00000000.pth"] = packed()
    with pytest.raises(Refused, match="is damaged: its SHA-256 is not 00000000"):
        fetch(plain(hub, "model-00000000.pth"), tmp_path)
    hub.files["/model.pth"] = b"<html>Sign in to the network</html>"
    with pytest.raises(Refused, match="is no file of weights"):
        fetch(plain(hub), tmp_path)
    assert place.read_bytes() == good
    assert list(place.parent.iterdir()) == [place]
