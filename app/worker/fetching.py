"""Downloads weights, and only when a person asked for it by a command.

Hub repositories are read by their plain https addresses (`<hub>/<owner>/<name>/resolve/main/<file>`), so that
one way serves all engines and nothing more must be installed. A download that broke off goes on where it
stopped; what the source says of the SHA-256 is checked before anything gets its final name.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx

from app.errors import NotAllowed, NotFound, Refused, StorageFull, Unavailable
from app.worker import weights
from app.worker.registry import Entry
from app.worker.weight_files import BLOCK, complaint, main_file, promised_sha256, remember_sha256
from app.worker.weights import Found

Progress = Callable[[int, int], None]
"""Called with (done, total) bytes of a file; total 0 where it is not known."""

TIMEOUT = httpx.Timeout(30.0, read=60.0)


def from_source(entry: Entry, source: str) -> Entry:
    """The engine with its weights from elsewhere: `owner/name` of a hub repository, or an https address.

    Raises Refused for anything else.
    """
    if re.fullmatch(r"https?://\S+", source):
        if entry.folder:
            raise Refused(
                f"The weights of {entry.info.id} are a folder; name a hub repository, like owner/name."
            )
        return replace(entry, hub=source, gated=False)
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", source, re.ASCII):
        raise Refused(f"{source[:200]!r} is neither a hub repository (owner/name) nor an https address.")
    return replace(entry, hub=source if entry.folder else f"{source}:{entry.files[0]}")


def fetch(entry: Entry, data: Path, *, token: str = "", progress: Progress | None = None) -> Found:
    """Download the weights of an engine into `<data>/weights/`, replacing those that lie there.

    Raises NotAllowed with what to do (licence, token), NotFound, StorageFull, Unavailable where the download
    broke off, Refused where what came is not what was to come.
    """
    if not entry.hub:
        raise Refused(f"There is nowhere to fetch weights of the engine {entry.info.id} from.")
    place = weights.weights_place(entry, data)
    part = place.with_name(f".{place.name}.part")
    digests: dict[Path, str] = {}
    with httpx.Client(timeout=TIMEOUT, follow_redirects=True) as http:
        for address, target in _sources(entry, part):
            target.parent.mkdir(parents=True, exist_ok=True)
            digests[target] = _download(http, entry, address, target, token, progress)
    sha256 = digests[main_file(part)]
    wrong = complaint(entry, part)
    if wrong:
        _remove(part)
        raise Refused(f"What came from {weights.source_page(entry)} cannot be used: {wrong}")
    _swap(part, place)
    remember_sha256(place, sha256, data)
    return Found(place, sha256)


def _sources(entry: Entry, part: Path) -> list[tuple[str, Path]]:
    """(address, file to write) of everything that is needed."""
    if "://" in entry.hub:
        return [(entry.hub, part)]
    hub = os.environ.get("HF_ENDPOINT", "").rstrip("/") or weights.HUB
    repository, _, name = entry.hub.partition(":")
    if name:
        return [(f"{hub}/{repository}/resolve/main/{name}", part)]
    return [
        (f"{hub}/{one.hub or repository}/resolve/main/{one.name}", part / one.name) for one in entry.parts
    ]


def _download(
    http: httpx.Client, entry: Entry, address: str, target: Path, token: str, progress: Progress | None
) -> str:
    """Write one file, going on where an earlier attempt stopped; its SHA-256."""
    there = target.stat().st_size if target.is_file() else 0
    headers = {"Accept-Encoding": "identity"}
    if token and "://" not in entry.hub:
        headers["Authorization"] = f"Bearer {token}"
    if there:
        headers["Range"] = f"bytes={there}-"
    expected = ""
    try:
        with http.stream("GET", address, headers=headers) as answer:
            if answer.status_code == 416:
                # All of it was there, or the source became shorter: from the beginning, to be sure.
                target.unlink()
                return _download(http, entry, address, target, token, progress)
            _check(entry, answer, bool(token))
            expected = _expected(answer, address)
            goes_on = answer.status_code == 206 and there > 0
            digest = hashlib.sha256()
            if goes_on:
                _hash_into(digest, target)
            done = there if goes_on else 0
            total = done + int(answer.headers.get("content-length") or 0)
            _require_space(target, total - done)
            with target.open("ab" if goes_on else "wb") as file:
                for block in answer.iter_raw():
                    file.write(block)
                    digest.update(block)
                    done += len(block)
                    if progress is not None:
                        progress(done, max(done, total))
    except httpx.InvalidURL as exc:
        raise Refused(f"The address {address} cannot be used: {exc}.") from exc
    except (httpx.HTTPError, OSError) as exc:
        then = "Run the command again; it goes on where it stopped."
        if not expected:
            # Without a checksum a later attempt could not tell whether the two halves belong together.
            target.unlink(missing_ok=True)
            then = "Run the command again."
        raise Unavailable(
            f"The download of {address} broke off: {str(exc) or type(exc).__name__}. {then}"
        ) from exc
    if expected and not digest.hexdigest().startswith(expected):
        target.unlink()
        raise Refused(f"What came from {address} is damaged: its SHA-256 is not {expected}. Fetch it again.")
    return digest.hexdigest()


def _check(entry: Entry, answer: httpx.Response, has_token: bool) -> None:
    if answer.is_success:
        return
    page, name = weights.licence_page(entry), entry.info.id
    if answer.status_code in (401, 403) and not has_token:
        raise NotAllowed(
            f"The weights of {name} are given only to people who accepted the licence. Accept it at {page}, make "
            f"a token at {weights.HUB}/settings/tokens, then run: HF_TOKEN=… pointillist engines fetch {name}"
        )
    if answer.status_code == 401:
        raise NotAllowed(f"The hub does not know this token. Make one at {weights.HUB}/settings/tokens.")
    if answer.status_code == 403:
        raise NotAllowed(
            f"The owner of this token has not been given the weights of {name}. Accept the licence at {page} and "
            "wait until it is granted; a fine-grained token also needs the right to read gated repositories."
        )
    if answer.status_code == 404:
        raise NotFound(f"There is nothing at {answer.request.url}.")
    raise Unavailable(
        f"{answer.request.url.host} answered with status {answer.status_code}; try again later."
    )


def _expected(answer: httpx.Response, address: str) -> str:
    """The SHA-256, or its beginning, that the source promises; empty where it promises none."""
    for step in (*answer.history, answer):
        # The hub names the content of a large file before it sends one on to where it lies.
        tag = step.headers.get("x-linked-etag", "").removeprefix("W/").strip('"')
        if re.fullmatch(r"[0-9a-f]{64}", tag):
            return tag
    return promised_sha256(httpx.URL(address).path)


def _require_space(target: Path, needed: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if needed > free:
        raise StorageFull(
            f"{needed / 1e9:.1f} GB are to be downloaded, but {target.parent} has only {free / 1e9:.1f} GB free."
        )


def _hash_into(digest: hashlib._Hash, path: Path) -> None:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)


def _swap(part: Path, place: Path) -> None:
    """Give the finished download its name; what had it before goes last."""
    old = place.with_name(f".{place.name}.old")
    _remove(old)
    if place.is_dir():
        place.rename(old)
    part.replace(place)
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
