"""A small client of the HTTP API, for the command line and for scripts in Python.

It speaks exactly what the pages speak. An answer that is no success becomes an `ApiError` with the server's
own sentence.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Self

import httpx

from app.errors import PointillistError
from app.models import new_id

CHUNK = 1 << 20
POLL_S = 0.2
RETRIES = 5
ENDED = ("done", "failed", "cancelled")

Progress = Callable[[int, int], None]
"""Called with (done, total): bytes of an upload or download, units of a job."""


class ApiError(PointillistError):
    """The server refused, or cannot be reached. `code`: the HTTP status, 0 where there was no answer."""

    title = "The server refused"

    def __init__(self, sentence: str, code: int = 0, **extra: object) -> None:
        super().__init__(sentence, **extra)
        self.code = code


class Client:
    """One server. A context manager; methods raise ApiError."""

    def __init__(self, url: str, token: str = "", *, timeout_s: float = 120.0) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.url = url.rstrip("/")
        try:
            self._http = httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=timeout_s)
        except httpx.InvalidURL as exc:
            raise ApiError(
                f"{url!r} is not the address of a server; write it like http://host:8787."
            ) from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(self, method: str, path: str, **options: Any) -> Any:
        """One request; the decoded JSON of the answer, None where it is empty."""
        try:
            answer = self._http.request(method, path, **options)
        except httpx.HTTPError as exc:
            raise ApiError(f"The server {self.url} does not answer: {exc}.") from exc
        except httpx.InvalidURL as exc:
            raise ApiError(f"The address {self.url} cannot be used: {exc}.") from exc
        except ValueError as exc:
            raise ApiError("Numbers must be finite; there is no JSON for the others.") from exc
        _check(answer)
        return answer.json() if answer.content else None

    def upload(self, file: Path, name: str, progress: Progress | None = None) -> str:
        """Send a file as a stream; after a break it goes on where the server stopped. Returns its id."""
        upload_id, size = new_id(), file.stat().st_size
        for attempt in range(RETRIES):
            offset = self.call("GET", f"/uploads/{upload_id}")["received"] if attempt else 0
            if offset and offset >= size:
                break
            try:
                with file.open("rb") as source:
                    source.seek(offset)
                    answer = self._http.put(
                        f"/uploads/{upload_id}",
                        params={"offset": offset, "name": name},
                        content=_blocks(source, offset, size, progress),
                        headers={
                            "Content-Length": str(size - offset),
                            "Content-Type": "application/octet-stream",
                        },
                    )
            except httpx.HTTPError as exc:
                if attempt == RETRIES - 1:
                    raise ApiError(f"The upload broke off and could not go on: {exc}.") from exc
                time.sleep(0.5 * 2**attempt)
                continue
            _check(answer)
            break
        return upload_id

    def wait(self, job: dict[str, Any], progress: Progress | None = None) -> dict[str, Any]:
        """Wait until a job has ended. Raises ApiError with its reason unless it is done."""
        while job["state"] not in ENDED:
            time.sleep(POLL_S)
            job = self.call("GET", f"/jobs/{job['id']}")
            if progress is not None:
                progress(job["done"], job["total"])
        if job["state"] != "done":
            raise ApiError(job["reason"] or f"The job was {job['state']}.", job=job)
        return job

    def download(self, path: str, target: Path, progress: Progress | None = None) -> None:
        """Save an answer as a file, written aside and renamed."""
        part = target.with_name(f".{target.name}.part")
        try:
            with self._http.stream("GET", path) as answer:
                if not answer.is_success:
                    answer.read()
                    _check(answer)
                total, done = int(answer.headers.get("content-length", 0)), 0
                with part.open("wb") as file:
                    for block in answer.iter_bytes(CHUNK):
                        file.write(block)
                        done += len(block)
                        if progress is not None:
                            progress(done, total)
            part.replace(target)
        except httpx.HTTPError as exc:
            raise ApiError(f"The download broke off: {exc}.") from exc
        except OSError as exc:
            raise ApiError(f"{target} cannot be written: {exc.strerror}.") from exc
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def project(self, name_or_id: str) -> dict[str, Any]:
        """The one project of that id or exact name, as a card {project, assets, progress, …}."""
        cards = self.call("GET", "/projects")
        found = [card for card in cards if name_or_id in (card["project"]["id"], card["project"]["name"])]
        return _only(found, "project", name_or_id, [card["project"]["name"] for card in cards])

    def asset(self, card: dict[str, Any], name_or_id: str | None) -> dict[str, Any]:
        """The one asset of a project of that id, name or stem; without one, the project's only asset."""
        assets = card["assets"]
        if name_or_id is None:
            if len(assets) == 1:
                return assets[0]
            names = ", ".join(asset["name"] for asset in assets) or "none"
            raise ApiError(f"Say which asset of the project is meant. It has: {names}.")
        found = [asset for asset in assets if name_or_id in (asset["id"], asset["name"], asset["stem"])]
        return _only(found, "asset", name_or_id, [asset["name"] for asset in assets])

    def class_template(self, name_or_id: str) -> dict[str, Any]:
        """The one class template of that id or exact name."""
        templates = self.call("GET", "/class-templates")
        found = [known for known in templates if name_or_id in (known["id"], known["name"])]
        return _only(found, "class template", name_or_id, [known["name"] for known in templates])


def _only(found: list[dict[str, Any]], kind: str, wanted: str, names: list[str]) -> dict[str, Any]:
    if len(found) == 1:
        return found[0]
    if found:
        raise ApiError(f"There are {len(found)} {kind}s named “{wanted}”; use the id instead.")
    known = ", ".join(f"“{name}”" for name in names[:10]) or "none yet"
    raise ApiError(f"There is no {kind} “{wanted}”. There are: {known}.")


def _blocks(source: BinaryIO, offset: int, size: int, progress: Progress | None) -> Iterator[bytes]:
    done = offset
    while block := source.read(CHUNK):
        yield block
        done += len(block)
        if progress is not None:
            progress(done, size)


def _check(answer: httpx.Response) -> None:
    """Raises ApiError with the sentence of the problem document."""
    if answer.is_success:
        return
    try:
        problem = answer.json()
        sentence = problem["detail"]
    except (ValueError, KeyError, TypeError):
        raise ApiError(f"The server answered with status {answer.status_code}.", answer.status_code) from None
    extra = {key: value for key, value in problem.items() if key not in ("type", "title", "status", "detail")}
    raise ApiError(sentence, answer.status_code, **extra)
