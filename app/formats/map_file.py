"""Maps of a frame as the browser paints them: a gzip file of who is seen where.

| bytes | what |
|---|---|
| 4 | length of the header, little-endian |
| … | the header, JSON: `width`, `height`, `dtype` (u1 or u2), `regions` [{`id`, `class_id`, `area`, …}], … |
| … | rows of ids, little-endian: place in `regions` + 1, 0 where nobody is seen |

The header is padded with blanks so that 16-bit ids are aligned.
"""

from __future__ import annotations

import gzip
from typing import Any

import msgspec


def encode(facts: dict[str, Any], body: bytes) -> bytes:
    """The file of a map. `facts`: the header; `body`: the ids."""
    header = msgspec.json.encode(facts)
    header += b" " * (-(len(header) + 4) % 4)
    return gzip.compress(len(header).to_bytes(4, "little") + header + body, compresslevel=1, mtime=0)


def decode(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the ids of a file. Raises ValueError where it is damaged."""
    try:
        raw = gzip.decompress(data)
        stop = 4 + int.from_bytes(raw[:4], "little")
        return msgspec.json.decode(raw[4:stop]), raw[stop:]
    except (OSError, EOFError, msgspec.DecodeError) as exc:
        raise ValueError("This is no map.") from exc
