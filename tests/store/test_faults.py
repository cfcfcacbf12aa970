"""A disk that fails at the first, second, third … write or sync: refused with a sentence, nothing promised is lost."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
WRITES, SYNCS = 1, 2


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler on Linux to make the disk fail")
    target = tmp_path_factory.mktemp("faults") / "faults.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", str(target), str(HERE / "faults.c"), "-ldl"], check=True
    )
    return target


@pytest.mark.parametrize("checkpoint", [0, 1], ids=["write", "checkpoint"])
@pytest.mark.parametrize("lasting", [0, 1], ids=["once", "from then on"])
@pytest.mark.parametrize(
    ("kind", "error", "refusal"),
    [
        (WRITES, errno.ENOSPC, "StorageFull"),
        (WRITES, errno.EIO, "Unavailable"),
        (SYNCS, errno.EIO, "Unavailable"),
    ],
    ids=["full", "unwritable", "unsyncable"],
)
def test_every_failing_call_of_the_disk_is_refused_and_overcome(
    tmp_path: Path, library: Path, kind: int, error: int, refusal: str, lasting: int, checkpoint: int
) -> None:
    arguments = [str(tmp_path), str(library), str(kind), str(error), str(lasting), str(checkpoint)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.store.faulty", *arguments],
        cwd=HERE.parents[1],
        env={**os.environ, "LD_PRELOAD": str(library)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    report = json.loads(done.stdout)
    assert report["trouble"] == []
    assert report["lost"] == []
    assert report["rounds"] > 2, "no call was made to fail"
    assert report["refusals"] == [refusal]
