"""The page scripts that work without a page, in node; and the zip they make, read by Python."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed")
    return found


def test_rule_book_colours_and_zip_behave(node: str) -> None:
    done = subprocess.run([node, "--test", str(HERE / "pages.test.js")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_packed_folder_is_a_zip_that_others_read(node: str) -> None:
    script = f"""
        import {{ zipOf }} from {str(HERE.parents[1] / "static" / "pages" / "zip.js")!r};
        const files = [new File(['one'], '000001.png'), new File(['zwölf'], 'größe.png')];
        process.stdout.write(Buffer.from(await (await zipOf(files)).arrayBuffer()));
    """
    made = subprocess.run([node, "--input-type=module", "-e", script], capture_output=True, check=True)
    with zipfile.ZipFile(io.BytesIO(made.stdout)) as packed:
        assert packed.testzip() is None
        assert packed.namelist() == ["000001.png", "größe.png"]
        assert packed.read("größe.png") == "zwölf".encode()
