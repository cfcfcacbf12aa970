"""Which frames a person opened, and when last."""

from __future__ import annotations

import time

from app.store.cursor import Cursor

DELETE = "delete from seen where frame_id = $frame_id and actor = $actor"
INSERT = 'insert into seen (frame_id, actor, "at") values ($frame_id, $actor, $at)'
STILL_SO = """
select max(seen."at") >= coalesce(
    (select max(updated_at) from region where frame_id = $frame_id), 0)
from seen where frame_id = $frame_id and actor = $actor
"""


def look(cur: Cursor, frame_id: str, actor: str) -> None:
    """Keep that a person looks at a frame now."""
    cur.run(DELETE, frame_id=frame_id, actor=actor)
    cur.run(INSERT, frame_id=frame_id, actor=actor, at=time.time())


def still_so(cur: Cursor, frame_id: str, actor: str) -> bool:
    """Whether the person looked at the frame as it is now."""
    row = cur.one(STILL_SO, frame_id=frame_id, actor=actor)
    return bool(row and row[0])
