"""How much memory there is for engines. Asks torch only where an engine imported it already."""

from __future__ import annotations

import gc
import sys
from pathlib import Path


def free_bytes(device: str) -> int:
    """Free memory of a device: of the GPU for `cuda…`, else of this machine. 0 where it cannot be told."""
    torch = sys.modules.get("torch")
    if device.startswith("cuda") and torch is not None:
        return int(torch.cuda.mem_get_info()[0])
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return 0
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def give_back() -> None:
    """Collect garbage, so that memory nobody refers to any more returns to the device."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
