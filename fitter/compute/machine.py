"""What this machine has: cores, memory, devices."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
from pathlib import Path

logger = logging.getLogger(__name__)

HOST_MEMORY = 1.2e9  # bytes that a worker may need


def has_nvidia() -> bool:
    """Whether it is worth a second to ask torch for a GPU."""
    return os.name == "nt" or any(os.path.exists(path) for path in ("/dev/nvidiactl", "/dev/dxg", "/dev/nvhost-ctrl"))


def usable_cores() -> int:
    """Cores of this process, or fewer where the memory does not do for as many workers."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    free = free_memory()
    return cores if free is None else max(1, min(cores, int(free / HOST_MEMORY)))


def free_memory() -> float | None:
    """Bytes a new program may use, the container's limit included; None where the system does not say."""
    limits = []
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                limits.append(float(line.split()[1]) * 1024)
    except OSError:
        pass
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        if limit != "max":
            limits.append(float(limit) - float(Path("/sys/fs/cgroup/memory.current").read_text()))
    except (OSError, ValueError):
        pass
    return min(limits) if limits else None


def usable_device(name: str, renderer: str = "auto") -> str:
    """The device of that name; "auto" is the GPU where there is one and a renderer for it.

    Raises:
        ValueError: torch does not know it, or cannot use it here.
    """
    import torch

    if name == "auto":
        name = "cpu"
        if torch.cuda.is_available() and renderer != "cpu":
            if renderer == "auto" and importlib.util.find_spec("nvdiffrast") is None:
                logger.warning("there is a GPU but no nvdiffrast, which renders on it: fits run on the CPU")
            else:
                name = "cuda"
    try:
        device = str(torch.device(name))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"--device {name}: {str(error).splitlines()[0]}") from None
    return device
