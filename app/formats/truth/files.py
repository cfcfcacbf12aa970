"""The files of a source of ground truth: a folder, a zip archive, or one file, read on demand.

Nothing is unpacked and no link is followed. Where everything lies in one top folder ("export/masks/1.png"),
that folder is left out of the names, so that a folder and a zip of it read alike; a top folder whose name
tells the layout ("Annotations", "gtFine") stays.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from app.errors import Refused
from app.formats.archive import MAX_ENTRIES, MAX_ENTRY_BYTES, CheckedZip, ignorable, natural_key, stem_of
from app.formats.sniff import sniff_bytes
from app.formats.truth.model import Files

__all__ = ["Files", "check_kind", "open_files", "stem_of", "suffix_of", "with_suffix"]

MAX_DEPTH = 32
HEAD = 4096

LAYOUT_FOLDERS = frozenset(
    "annotations ann img images image masks mask labels labels_seg segmentationclass segmentationobject jpegimages "
    "gtfine gtcoarse leftimg8bit trainannot valannot testannot train val test training validation ds0".split()
)
"""Folder names (lower case) that tell a layout and are therefore never left out of the names."""

_SERIALISED = {".pkl", ".pickle", ".npy", ".npz", ".pt", ".pth", ".ckpt", ".mat", ".h5", ".hdf5"}
_ARCHIVES = {".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst"}


def open_files(path: Path, name: str = "") -> FolderFiles | ZipFiles | SingleFile:
    """Open a folder, a zip archive or one file; `name` is what the client calls it (default: its own name).

    Raises Refused: missing or unreadable, links in the folder, too many files, an archive that `CheckedZip`
    refuses, another kind of archive, and files that could run code when they are read (pickle, numpy, torch).
    """
    title = PurePosixPath((name or path.name).replace("\\", "/")).name or path.name
    try:
        if path.is_dir() and not path.is_symlink():
            return FolderFiles(path, title)
        if path.is_symlink() or not path.is_file():
            raise Refused(f"“{title}” is neither a folder nor a file that can be read.")
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as exc:
        raise Refused(f"“{title}” cannot be read: {exc.strerror}.") from exc
    check_kind(title, head)
    if sniff_bytes(head).kind == "zip":
        return ZipFiles(path, title)
    return SingleFile(path, title)


def check_kind(name: str, head: bytes) -> None:
    """Raises Refused for files that no reader takes, whatever they hold: serialised objects, other archives."""
    suffix = suffix_of(name)
    if suffix in _SERIALISED or head.startswith(
        (b"\x93NUMPY", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
    ):
        raise Refused(
            f"“{name}” holds serialised objects ({suffix or 'pickle'}), which can run code when they are read; "
            "save the masks as PNG instead."
        )
    if suffix in _ARCHIVES or sniff_bytes(head).kind == "archive":
        raise Refused(f"“{name}” is an archive of a kind that is not read; pack the files as zip.")


def suffix_of(name: str) -> str:
    """The ending of a name in lower case with its dot, "" without one."""
    return PurePosixPath(name).suffix.lower()


def with_suffix(files: Files, *suffixes: str) -> list[str]:
    """The names that end in one of `suffixes` (lower case, with dots), in the order of `files.names`."""
    return [name for name in files.names if suffix_of(name) in suffixes]


class _Base:
    def __init__(self, title: str, real: Iterable[str]) -> None:
        self.title = title
        inside = sorted(real, key=natural_key)
        top = _shared_top(inside)
        self._real = {name[len(top) :]: name for name in inside}
        self.names: list[str] = list(self._real)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of what is open; reading afterwards is an error."""

    def _known(self, name: str) -> str:
        try:
            return self._real[name]
        except KeyError:
            raise Refused(f"“{self.title}” has no file “{name[:200]}”.") from None


class FolderFiles(_Base):
    """A folder with everything below it."""

    def __init__(self, root: Path, title: str) -> None:
        self._root = root
        self._resolved = root.resolve()
        super().__init__(title, _walk(root))

    def read(self, name: str, limit: int = MAX_ENTRY_BYTES) -> bytes:
        data = _read(self._path(name), name, limit + 1)
        if len(data) > limit:
            raise Refused(f"“{name}” is larger than {_shown(limit)}.")
        return data

    def head(self, name: str, size: int = HEAD) -> bytes:
        return _read(self._path(name), name, size)

    def _path(self, name: str) -> Path:
        path = self._root / self._known(name)
        # A folder may have become a link since the listing.
        if path.parent.resolve() != self._resolved / path.parent.relative_to(self._root):
            raise Refused(f"“{name}” lies behind a link; copy the file itself into the folder.")
        return path


class SingleFile(_Base):
    """One file, under the name that the client gave it."""

    def __init__(self, path: Path, title: str) -> None:
        self._path = path
        super().__init__(title, [title])

    def read(self, name: str, limit: int = MAX_ENTRY_BYTES) -> bytes:
        self._known(name)
        data = _read(self._path, name, limit + 1)
        if len(data) > limit:
            raise Refused(f"“{name}” is larger than {_shown(limit)}.")
        return data

    def head(self, name: str, size: int = HEAD) -> bytes:
        self._known(name)
        return _read(self._path, name, size)


class ZipFiles(_Base):
    """A zip archive; entries are read where they are."""

    def __init__(self, path: Path, title: str) -> None:
        self._zip = CheckedZip(path)
        super().__init__(title, self._zip.names)

    def read(self, name: str, limit: int = MAX_ENTRY_BYTES) -> bytes:
        real = self._known(name)
        if self._zip.size(real) > limit:
            raise Refused(f"“{name}” is larger than {_shown(limit)}.")
        return self._zip.read(real)

    def head(self, name: str, size: int = HEAD) -> bytes:
        return self._zip.head(self._known(name), size)

    def close(self) -> None:
        self._zip.__exit__(None, None, None)


def _shared_top(names: list[str]) -> str:
    """The folders that all names begin with, "/" at the end; none of LAYOUT_FOLDERS and none below one."""
    top = ""
    while names:
        head, slash, _ = names[0][len(top) :].partition("/")
        if not slash or head.lower() in LAYOUT_FOLDERS:
            break
        longer = f"{top}{head}/"
        if not all(name.startswith(longer) for name in names):
            break
        top = longer
    return top


def _walk(root: Path) -> list[str]:
    found: list[str] = []
    pending = [(root, "", 0)]
    while pending:
        folder, prefix, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise Refused(
                f"“{prefix[:200]}” lies too deep in the folder; at most {MAX_DEPTH} levels are read."
            )
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    name = prefix + entry.name
                    if ignorable(entry.name):
                        continue
                    if entry.is_symlink():
                        raise Refused(f"“{name}” in the folder is a link; copy the file itself there.")
                    if entry.is_dir(follow_symlinks=False):
                        pending.append((Path(entry.path), f"{name}/", depth + 1))
                    elif not entry.is_file(follow_symlinks=False):
                        raise Refused(f"“{name}” in the folder is a device or a pipe, not a file.")
                    else:
                        found.append(name)
                    if len(found) + len(pending) > MAX_ENTRIES:
                        raise Refused(f"The folder holds more than {MAX_ENTRIES} files.")
        except OSError as exc:
            raise Refused(f"The folder “{prefix or folder.name}” cannot be read: {exc.strerror}.") from exc
    return found


def _read(path: Path, name: str, size: int) -> bytes:
    """At most `size` bytes; a link that took the file's place since the listing is not followed."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise Refused(f"“{name}” is not a file.")
            return file.read(size)
    except OSError as exc:
        raise Refused(f"“{name}” cannot be read: {exc.strerror}.") from exc


def _shown(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size} bytes"
