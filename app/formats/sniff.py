"""What a file is by its first bytes. Names and extensions are never believed."""

from __future__ import annotations

from pathlib import Path

import msgspec

from app.errors import Refused

HEAD = 8192

VIDEO = {
    "mov": "mov",
    "matroska": "matroska",
    "avi": "avi",
    "mpegts": "mpegts",
    "mpeg": "mpeg",
    "mpegvideo": "mpegvideo",
    "h264": "h264",
    "hevc": "hevc",
    "gif": "gif",
    "apng": "apng",
}
"""Kinds that are opened as video → the one demuxer that may read them."""

IMAGE = frozenset({"jpeg", "png", "webp", "bmp", "tiff"})

_REFUSALS = {
    "empty": "The file is empty.",
    "playlist": "The file is a playlist that points at other files or addresses; choose the video itself.",
    "markup": "The file is a text document (HTML, SVG or XML), not a video or an image.",
    "text": "The file is a text file, not a video or an image.",
    "audio": "The file holds only sound, no video.",
    "zip": "The file is a zip archive, not a video; import it as a zip of images.",
    "archive": "The file is an archive that cannot be read; pack the images as zip.",
    "flv": "Flash video is not supported; convert the file to MP4 first.",
    "asf": "Windows Media video is not supported; convert the file to MP4 first.",
    "ogg": "Ogg files are not supported; convert the file to WebM or MP4 first.",
    "unknown": "The file is not a video that can be read (mp4, mov, avi, mkv, webm, mpeg-ts).",
}


class Sniffed(msgspec.Struct, frozen=True):
    """`kind` is a key of VIDEO, a member of IMAGE, "zip", or a key of the refusals."""

    kind: str

    @property
    def is_video(self) -> bool:
        return self.kind in VIDEO

    @property
    def is_image(self) -> bool:
        return self.kind in IMAGE


def sniff(path: Path) -> Sniffed:
    """Look at the first 8 KiB of a file. Raises Refused when it cannot be read at all."""
    try:
        if not path.is_file():
            raise Refused("The path is not a file.")
        with path.open("rb") as file:
            return sniff_bytes(file.read(HEAD))
    except OSError as exc:
        raise Refused(f"The file cannot be read: {exc.strerror}.") from exc


def sniff_bytes(head: bytes) -> Sniffed:
    """Like `sniff`, for bytes at hand."""
    return Sniffed(_kind(head))


def refusal(found: Sniffed) -> Refused:
    """The error that says why a file of this kind is not taken."""
    return Refused(_REFUSALS.get(found.kind, _REFUSALS["unknown"]))


def _kind(head: bytes) -> str:
    if not head:
        return "empty"
    for test in (_still, _video, _other):
        kind = test(head)
        if kind:
            return kind
    return _textual(head)


def _still(head: bytes) -> str:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        before_pixels = head.split(b"IDAT", 1)[0]
        return "apng" if b"acTL" in before_pixels else "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head.startswith((b"II*\x00", b"MM\x00*")):
        return "tiff"
    # A bare "BM" also begins English text: the reserved fields of a BMP are zero.
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return "bmp"
    return ""


def _video(head: bytes) -> str:
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        return "mov"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if head.startswith(b"\x00\x00\x01\xba"):
        return "mpeg"
    if head.startswith(b"\x00\x00\x01\xb3"):
        return "mpegvideo"
    for start, stride in ((0, 188), (4, 192), (0, 204)):
        marks = head[start::stride]
        if len(head) > start + 2 * stride and set(marks) == {0x47}:
            return "mpegts"
    return _raw_video(head)


def _raw_video(head: bytes) -> str:
    """Annex B streams begin with a start code and a parameter set, delimiter or supplemental unit."""
    start = 4 if head.startswith(b"\0\0\0\1") else 3 if head.startswith(b"\0\0\1") else 0
    if not start or len(head) <= start + 1 or head[start] & 0x80:
        return ""
    if head[start] in (0x67, 0x47, 0x27, 0x06, 0x09):
        return "h264"
    if (head[start] >> 1) & 0x3F in (32, 33, 35, 39) and head[start + 1] & 0x07 == 1:
        return "hevc"
    return ""


def _other(head: bytes) -> str:
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if (
        head.startswith((b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"BZh", b"\xfd7zXZ"))
        or head[257:262] == b"ustar"
    ):
        return "archive"
    if head.startswith((b"ID3", b"fLaC")) or (head[:4] == b"RIFF" and head[8:12] == b"WAVE"):
        return "audio"
    if head[0] == 0xFF and head[1:2] and head[1] & 0xE0 == 0xE0 and head[1] & 0x06:
        return "audio"
    if head.startswith(b"OggS"):
        return "ogg"
    if head.startswith(b"FLV\x01"):
        return "flv"
    if head.startswith(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"):
        return "asf"
    return ""


def _textual(head: bytes) -> str:
    try:
        text = head.decode("utf-8-sig", "strict")
    except UnicodeDecodeError as exc:
        # The cut at 8 KiB may fall inside a character.
        if exc.start < len(head) - 4:
            return "unknown"
        text = head[: exc.start].decode("utf-8-sig")
    if "\0" in text:
        return "unknown"
    start = text.lstrip().lower()
    if (
        start.startswith(("#extm3u", "ffconcat", "v=0", "[playlist]", "#ext-x"))
        or "<mpd" in start
        or "<smil" in start
    ):
        return "playlist"
    if start.startswith("<"):
        return "markup"
    return "text"
