"""The README's script runs as it is printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.conftest import Server

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_script_of_the_readme_labels_and_exports(server: Server, clip: bytes, tmp_path: Path) -> None:
    found = re.search(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert found
    (tmp_path / "clip.mp4").write_bytes(clip)
    environment = {
        **os.environ,
        "SERVER": server.url,
        "VIDEO": str(tmp_path / "clip.mp4"),
        "CLICKS": json.dumps({"chair": [50, 54, 12], "floor": [120, 72, 8]}),
    }
    done = subprocess.run(
        [sys.executable, "-c", found[1]], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    archive = zipfile.ZipFile(next(tmp_path.glob("*.zip")))
    names = sorted(name for name in archive.namelist() if name.endswith(".png"))
    assert len(names) == 3
    with archive.open(names[0]) as file:
        picture = Image.open(file)
        assert picture.mode == "P"
        assert {2, 4} <= set(np.unique(np.asarray(picture)).tolist())
