"""A process, with `faults` preloaded, whose disk fails at every N-th call in turn. Prints what happened as JSON."""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path

from app import store as db
from app.errors import PointillistError
from tests.store import rows

if __name__ == "__main__":
    folder, library, kind, error, stay, checkpoint = (
        Path(sys.argv[1]),
        sys.argv[2],
        *map(int, sys.argv[3:7]),
    )
    faults = ctypes.CDLL(library)
    promised: list[str] = []
    refusals: list[str] = []
    trouble: list[str] = []

    def act(store: db.Store) -> bool:
        """One write, or a checkpoint and a copy of everything."""
        if not checkpoint:
            return write(store)
        try:
            store.backup(folder / "copies" / "copy.duckdb")
        except PointillistError as exc:
            refusals.append(type(exc).__name__)
            return False
        return True

    def write(store: db.Store) -> bool:
        edit = rows.edit("p")
        try:
            store.write(lambda cur: db.edits.append(cur, edit))
        except PointillistError as exc:
            refusals.append(type(exc).__name__)
            return False
        promised.append(edit.id)
        return True

    store = db.Store.open(folder)
    write(store)
    rounds = 0
    for nth in range(1, 200):
        rounds = nth
        faults.arm(kind, nth, error, stay)
        saved = act(store)
        hit = faults.fault_hits() > 0
        if hit and stay and write(store):
            trouble.append(f"a write was acknowledged by a failing disk, at call {nth}")
        faults.arm(0, 0, 0, 0)
        if hit == saved:
            trouble.append(f"call {nth}: fault {hit}, acknowledged {saved}")
        if not write(store):
            trouble.append(f"no write after the disk recovered from call {nth}")
        if len(store.read(lambda cur: db.edits.history(cur, "p", limit=10_000))) < len(promised):
            trouble.append(f"an acknowledged edit cannot be read after call {nth}")
        if not hit:
            break
    store.close()
    with db.Store.open(folder) as store:
        found = {edit.id for edit in store.read(lambda cur: db.edits.history(cur, "p", limit=10_000))}
    lost = [id for id in promised if id not in found]
    print(json.dumps({"rounds": rounds, "refusals": sorted(set(refusals)), "trouble": trouble, "lost": lost}))
