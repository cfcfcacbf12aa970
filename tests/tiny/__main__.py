"""`python -m tests.tiny FOLDER NAME…`: save random weights of tiny models, in a process of its own.

A file or folder of the model's name in FOLDER for each.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

folder, *names = sys.argv[1:]
for name in names:
    part = Path(folder) / f"{name}.part"
    importlib.import_module(f"tests.tiny.{name}").save(part)
    part.rename(Path(folder) / name)
