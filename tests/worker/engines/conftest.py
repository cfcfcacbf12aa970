"""One worker with the tiny weights of all models: importing their packages takes longer than most tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.conftest import TinyWeights
from tests.worker.conftest import Bench


@pytest.fixture(scope="package")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    data = tmp_path_factory.mktemp("data").resolve()
    (data / "weights").mkdir()
    made = Bench(data)
    yield made
    made.close()


@pytest.fixture(scope="package")
def sam3_worker(worker: Bench, tiny_weights: TinyWeights) -> Bench:
    (worker.data / "weights" / "sam3.pt").symlink_to(tiny_weights("sam3"))
    return worker


@pytest.fixture(scope="package")
def sam2_worker(worker: Bench, tiny_weights: TinyWeights) -> Bench:
    shutil.copytree(tiny_weights("sam2"), worker.data / "weights" / "sam2")
    return worker


@pytest.fixture(scope="package")
def deeplabv3_worker(worker: Bench, tiny_weights: TinyWeights) -> Bench:
    (worker.data / "weights" / "deeplabv3.pth").symlink_to(tiny_weights("deeplabv3"))
    return worker


@pytest.fixture(scope="package")
def videomama_worker(worker: Bench, tiny_weights: TinyWeights) -> Bench:
    shutil.copytree(tiny_weights("videomama"), worker.data / "weights" / "videomama")
    return worker
