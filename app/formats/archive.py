"""Image folders and zip archives as image sequences, and a zip reader that trusts nothing an archive says.

`CheckedZip` is for every import that takes an archive: all names and sizes are judged before anything is
read, and reading stops at the caps whatever the archive promised.
"""

from __future__ import annotations

import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from app.errors import Refused
from app.formats.frames import ArrayPicture, FrameWriter, fitted
from app.formats.images import read_image
from app.formats.sniff import sniff
from app.formats.video import Sampler, Summary
from app.models import Sampling

MAX_ENTRIES = 200_000
MAX_DIRECTORY_BYTES = 64 << 20
MAX_ENTRY_BYTES = 512 << 20
MAX_TOTAL_BYTES = 64 << 30
MAX_RATIO = 200
FREE_RATIO_BYTES = 8 << 20
"""Below this size an entry may be compressed as well as it likes: a flat image is."""

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
NESTED_SUFFIXES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst"})
_DRIVE = re.compile(r"^[A-Za-z]:")


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key that puts `frame10` after `frame9`: runs of digits compare as numbers."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts if part] + [
        (0, 0, name)
    ]


def stem_of(name: str) -> str:
    """The file name of an image without folders and suffix, as frames are matched by it."""
    return PurePosixPath(name).stem[:200]


class CheckedZip:
    """A zip archive whose entries were all judged on opening.

    Raises Refused, naming the entry, for: paths that leave the archive (`../`, absolute, drive letters,
    backslashes, NUL), links and devices, encryption, exotic compression, names that collide when case or
    Unicode form is ignored, nested archives, and too many or too large entries.
    """

    def __init__(self, path: Path) -> None:
        _check_directory_size(path)
        try:
            self._zip = zipfile.ZipFile(path)
        except (
            zipfile.BadZipFile,
            OSError,
            struct.error,
            ValueError,
            NotImplementedError,
            UnicodeDecodeError,
        ) as exc:
            raise Refused("The zip archive is damaged: its list of contents cannot be read.") from exc
        self._left = MAX_TOTAL_BYTES
        try:
            self.names = self._check(self._zip.infolist())
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def _check(self, entries: list[zipfile.ZipInfo]) -> list[str]:
        if len(entries) > MAX_ENTRIES:
            raise Refused(f"The zip archive has {len(entries)} entries; at most {MAX_ENTRIES} are accepted.")
        seen: dict[str, str] = {}
        total = 0
        for entry in entries:
            name = entry.orig_filename
            check_name(name)
            _check_entry(entry)
            folded = unicodedata.normalize("NFC", name).rstrip("/").casefold()
            if folded in seen:
                raise Refused(
                    f"The zip archive has two entries “{seen[folded]}” and “{name}” that would be one file."
                )
            seen[folded] = name
            total += entry.file_size
        if total > MAX_TOTAL_BYTES:
            raise Refused(
                f"The zip archive would unpack to {total >> 30} GiB; "
                f"at most {MAX_TOTAL_BYTES >> 30} are accepted."
            )
        return [entry.filename for entry in entries if not entry.is_dir() and not ignorable(entry.filename)]

    def size(self, name: str) -> int:
        """How many bytes an entry unpacks to, as far as the archive can be believed."""
        return self._zip.getinfo(name).file_size

    def head(self, name: str, size: int) -> bytes:
        """The first bytes of one entry. Raises Refused naming it when they cannot be unpacked."""
        try:
            with self._zip.open(name) as file:
                return file.read(size)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as exc:
            raise Refused(f"“{name}” in the zip archive is damaged.") from exc

    def read(self, name: str, limit: int = MAX_ENTRY_BYTES) -> bytes:
        """The bytes of one entry. Raises Refused naming it when it is damaged or larger than it says."""
        try:
            with self._zip.open(name) as file:
                data = file.read(limit + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as exc:
            raise Refused(f"“{name}” in the zip archive is damaged.") from exc
        if len(data) != self._zip.getinfo(name).file_size:
            raise Refused(f"“{name}” in the zip archive has not the size that the archive says.")
        self._left -= len(data)
        if self._left < 0:
            raise Refused(f"The zip archive is too large: the limit was reached at “{name}”.")
        return data


def check_name(name: str) -> None:
    """Raises Refused when an entry's name could point outside the folder it is unpacked to."""
    shown = name.replace("\0", "\\0")
    if not name or "\0" in name:
        raise Refused(f"The zip archive has an entry with an impossible name: “{shown}”.")
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        raise Refused(f"The zip archive has an entry with an absolute path: “{shown}”.")
    if "\\" in name or any(part in ("..", ".") for part in name.split("/")):
        raise Refused(f"The zip archive has an entry that points outside it: “{shown}”.")
    if len(name) > 1000 or any(len(part.encode()) > 255 for part in name.split("/")):
        raise Refused(f"The zip archive has an entry with too long a name: “{shown[:80]}…”.")


def ignorable(name: str) -> bool:
    """Whether an entry or file is a leftover of some operating system, not content."""
    parts = name.split("/")
    return any(part.startswith(".") or part == "__MACOSX" for part in parts) or parts[-1] in (
        "Thumbs.db",
        "desktop.ini",
    )


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.orig_filename
    mode = stat.S_IFMT(entry.external_attr >> 16)
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Refused(f"“{name}” in the zip archive is a link or a device, not a file.")
    if entry.flag_bits & 0x1:
        raise Refused(f"“{name}” in the zip archive is encrypted; unpack it with its password first.")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Refused(f"“{name}” in the zip archive uses a compression that is not supported; use deflate.")
    if Path(name).suffix.lower() in NESTED_SUFFIXES and not ignorable(name):
        raise Refused(f"“{name}” is an archive within the archive; unpack it first.")
    if entry.file_size > MAX_ENTRY_BYTES:
        raise Refused(
            f"“{name}” in the zip archive is too large; at most {MAX_ENTRY_BYTES >> 20} MiB are accepted."
        )
    if entry.file_size > FREE_RATIO_BYTES and entry.file_size > MAX_RATIO * max(1, entry.compress_size):
        raise Refused(f"“{name}” in the zip archive is compressed too much to be an image.")


def _check_directory_size(path: Path) -> None:
    """Judge the number of entries by the end record, before zipfile makes an object of each."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = max(0, size - 65_557)
            file.seek(start)
            tail = file.read()
    except OSError as exc:
        raise Refused(f"The zip archive cannot be read: {exc.strerror}.") from exc
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        raise Refused("The file is not a complete zip archive.")
    count, length = struct.unpack_from("<HL", tail, end + 10)
    wide = tail.rfind(b"PK\x06\x06", 0, end)
    if wide >= 0 and len(tail) >= wide + 56:
        count, length = struct.unpack_from("<QQ", tail, wide + 32)
    if count > MAX_ENTRIES or length > MAX_DIRECTORY_BYTES:
        raise Refused(f"The zip archive has too many entries; at most {MAX_ENTRIES} are accepted.")


def is_sequence(path: Path) -> str | None:
    """ "images" for a folder, "zip" for a zip archive, None for everything else."""
    if path.is_dir():
        return "images"
    return "zip" if sniff(path).kind == "zip" else None


def list_folder(folder: Path) -> list[Path]:
    """Image files directly in a folder, in natural order. Links are refused, other files left out."""
    found = []
    try:
        for path in folder.iterdir():
            if path.suffix.lower() not in IMAGE_SUFFIXES or ignorable(path.name):
                continue
            if path.is_symlink():
                raise Refused(f"“{path.name}” in the folder is a link; copy the file itself there.")
            if path.is_file():
                found.append(path)
            if len(found) > MAX_ENTRIES:
                raise Refused(f"The folder holds more than {MAX_ENTRIES} images.")
    except OSError as exc:
        raise Refused(f"The folder cannot be read: {exc.strerror}.") from exc
    if not found:
        raise Refused("The folder holds no images (jpg, png, webp, bmp, tiff).")
    return sorted(found, key=lambda path: natural_key(path.name))


def extract_images(
    path: Path,
    sampling: Sampling,
    writer: FrameWriter,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    check: Callable[[], None] = lambda: None,
) -> Summary:
    """Frames from a folder or a zip of images, in natural order of their names, re-encoded by `writer`.

    With `sampling.mode` "fps", `sampling.fps` says how fast the images follow one another: frame i has the
    time i / fps, and every image is kept. Otherwise images have no time. A damaged image refuses the whole
    sequence, naming it, because a gap would shift every later index.
    """
    if path.is_dir():
        files = list_folder(path)
        names = [file.name for file in files]
        return _extract(names, lambda name: (path / name).read_bytes(), sampling, writer, on_progress, check)
    with CheckedZip(path) as archive:
        names = [name for name in archive.names if Path(name).suffix.lower() in IMAGE_SUFFIXES]
        if not names:
            raise Refused("The zip archive holds no images (jpg, png, webp, bmp, tiff).")
        names.sort(key=natural_key)
        return _extract(names, archive.read, sampling, writer, on_progress, check)


def _extract(
    names: list[str],
    read: Callable[[str], bytes],
    sampling: Sampling,
    writer: FrameWriter,
    on_progress: Callable[[int, int], None],
    check: Callable[[], None],
) -> Summary:
    rate = sampling.fps
    chosen = list(_choose(names, sampling))
    if not chosen:
        raise Refused("No image lies in the chosen range.")
    summary = Summary(decoded=len(names), codec="images", fps=rate)
    sizes: set[tuple[int, int]] = set()
    for source_index, name in chosen:
        check()
        if writer.index < writer.kept:
            writer.index += 1
            continue
        image = read_image(read(name), name)
        height, width = image.shape[:2]
        sizes.add((width, height))
        if not summary.width:
            summary.width, summary.height = fitted(width, height, writer.fit)
        writer.put(
            source_index,
            source_index / rate if rate else None,
            ArrayPicture(image),
            image.nbytes,
            stem_of(name),
        )
        on_progress(writer.emitted, len(chosen))
    writer.drain()
    summary.frames = writer.emitted
    summary.duration = len(names) / rate if rate else None
    if len(sizes) > 1:
        summary.notes.append("The images have different sizes; every frame keeps its own size.")
    return summary


def _choose(names: Iterable[str], sampling: Sampling) -> Iterator[tuple[int, str]]:
    if sampling.mode == "fps" and not sampling.fps:
        raise Refused("Say how many images make a second.")
    timed = sampling.fps is not None
    if not timed and (sampling.start is not None or sampling.stop is not None):
        raise Refused("Images have no times; say how many make a second, or choose every n-th.")
    sampler = Sampler(Sampling(mode="nth", nth=sampling.nth, start=sampling.start, stop=sampling.stop))
    step = 1 / sampling.fps if sampling.fps else 0.0
    for index, name in enumerate(names):
        if sampler.wants(index * step):
            yield index, name


def first_image(path: Path) -> tuple[str, bytes, int]:
    """(name, bytes, number of images) of a folder or zip: enough to describe it before an import."""
    if path.is_dir():
        files = list_folder(path)
        return files[0].name, files[0].read_bytes(), len(files)
    with CheckedZip(path) as archive:
        names = sorted(
            (n for n in archive.names if Path(n).suffix.lower() in IMAGE_SUFFIXES), key=natural_key
        )
        if not names:
            raise Refused("The zip archive holds no images (jpg, png, webp, bmp, tiff).")
        return names[0], archive.read(names[0]), len(names)
