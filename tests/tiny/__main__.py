"""`python -m tests.tiny NAME PATH`: save random weights of a tiny model, in a process of its own."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

name, path = sys.argv[1:]
importlib.import_module(f"tests.tiny.{name}").save(Path(path))
