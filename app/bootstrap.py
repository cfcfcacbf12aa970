"""Sets the project up on a fresh machine and runs it; needs nothing but Python 3.11 or newer.

    python3 app/bootstrap.py serve [options of `pointillist serve`]
    python3 app/bootstrap.py test  [arguments of pytest]

Only the standard library is used here, because nothing else is there yet. The virtual environment is `.venv`
beside `app/`; it is set up again when the lists of requirements change.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
LOCKS = {"base": ROOT / ".lock" / "base.txt", "dev": ROOT / ".lock" / "dev.txt"}
SYSTEM = {"chromium": "chromium", "ffmpeg": "ffmpeg", "node": "nodejs"}
"""Programs that the whole test suite uses → the Debian package that brings each."""


def main(argv: list[str]) -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever starts this may have an older one
        print(f"Pointillist needs Python 3.11 or newer; this is {sys.version.split()[0]}.", file=sys.stderr)
        return 2
    command, rest = (argv[0], argv[1:]) if argv else ("serve", [])
    if command == "test":
        set_up("dev")
        return test(rest)
    set_up("base")
    program = BIN / ("pointillist.exe" if os.name == "nt" else "pointillist")
    if os.name == "nt":
        return subprocess.call([str(program), command, *rest])
    os.execv(program, [str(program), command, *rest])
    raise AssertionError("unreachable")


def set_up(level: str) -> None:
    """Make `.venv` hold what `level` (base or dev) needs; does nothing when it does already."""
    stamp = VENV / f".{level}.stamp"
    wanted = _digest(level)
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    started = time.monotonic()
    print(f"Setting up {VENV.name} ({level}) …", flush=True)
    if not PYTHON.exists():
        _make_venv()
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-compile"]
    _run([*pip, "--require-hashes", "--requirement", str(LOCKS[level])])
    _run([*pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
    stamp.write_text(wanted)
    print(f"Ready after {time.monotonic() - started:.0f} s.", flush=True)


def test(arguments: list[str]) -> int:
    """Lint, types, import arrows, the canvas modules' own tests, then the suite. The first failure decides."""
    _system_packages()
    node = shutil.which("node")
    checks = [
        [str(BIN / "ruff"), "check", "."],
        [str(BIN / "basedpyright"), "--level", "error"],
        [str(BIN / "lint-imports")],
        *(
            [[node, "--test", *map(str, sorted((ROOT / "tests" / "canvas").glob("*.test.js")))]]
            if node
            else []
        ),
    ]
    failed = 0
    if not arguments:
        for check in checks:
            print(f"— {Path(check[0]).name} {check[1] if len(check) > 1 else ''}", flush=True)
            failed = subprocess.call(check, cwd=ROOT) or failed
    # Two processes: half the suite waits for kills, browsers and jobs while the other half computes.
    wanted = arguments or ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    return subprocess.call([str(PYTHON), "-m", "pytest", *wanted], cwd=ROOT) or failed


def _make_venv() -> None:
    if subprocess.call([sys.executable, "-m", "venv", str(VENV)], stdout=subprocess.DEVNULL) == 0:
        return
    shutil.rmtree(VENV, ignore_errors=True)
    if not _apt("python3-venv"):
        sys.exit("Python's venv module is incomplete. On Debian: sudo apt-get install python3-venv")
    _run([sys.executable, "-m", "venv", str(VENV)])


def _system_packages() -> None:
    missing = [package for program, package in SYSTEM.items() if not shutil.which(program)]
    if missing and not _apt(*missing):
        print(f"Not here: {', '.join(missing)}; the tests that need them are skipped.", flush=True)


def _apt(*packages: str) -> bool:
    """Install Debian packages where that is possible without asking (root, or sudo that needs no password)."""
    if not shutil.which("apt-get"):
        return False
    prefix: list[str] = []
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        prefix = ["sudo", "-n"]
        if not shutil.which("sudo") or subprocess.call([*prefix, "true"], stderr=subprocess.DEVNULL):
            return False
    quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
    print(f"Installing {' '.join(packages)} …", flush=True)
    subprocess.call([*prefix, "apt-get", "-qq", "update"], **quiet)
    install = [*prefix, "apt-get", "-qq", "-y", "--no-install-recommends", "install", *packages]
    return subprocess.call(install, **quiet) == 0


def _digest(level: str) -> str:
    sources = (LOCKS[level], ROOT / "pyproject.toml")
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def _run(command: list[str]) -> None:
    if subprocess.call(command) != 0:
        sys.exit(f"Setting up failed at: {' '.join(command)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
