"""A process that writes edits until it is killed, and prints the id of each one that was acknowledged."""

from __future__ import annotations

import sys
from pathlib import Path

from app import store as db
from tests.store import rows

if __name__ == "__main__":
    store = db.Store.open(Path(sys.argv[1]))
    print("open", flush=True)
    while True:
        edit = rows.edit("p")
        store.write(lambda cur, e=edit: db.edits.append(cur, e))
        print(edit.id, flush=True)
