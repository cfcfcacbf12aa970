"""`python -m app.worker --socket PATH --data DIR`; the key of the socket is in POINTILLIST_AUTHKEY (hex)."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from pathlib import Path

from app.worker import loop, registry


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m app.worker", description="Runs Pointillist's engines.")
    parser.add_argument("--socket", type=Path, required=True, help="path of the AF_UNIX socket to listen on")
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--cache-mb", type=int, default=1024, help="memory for prepared frames")
    parser.add_argument("--memory-mb", type=int, default=0, help="memory for models, 0 = all there is")
    parser.add_argument("--no-lifeline", action="store_true", help="go on when stdin is closed")
    options = parser.parse_args(argv)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    try:
        authkey = bytes.fromhex(os.environ.pop("POINTILLIST_AUTHKEY", ""))
    except ValueError:
        authkey = b""
    if not authkey:
        print("POINTILLIST_AUTHKEY must hold the key of the socket in hex.", file=sys.stderr)
        return 2
    loop.run(
        options.socket,
        options.data,
        authkey,
        cache_mb=options.cache_mb,
        memory_mb=options.memory_mb,
        fake=registry.fake_wanted(),
        lifeline=not options.no_lifeline,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
