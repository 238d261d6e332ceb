"""Where a recorded number came from: command, versions, hardware, date."""

import importlib.metadata
import os
import platform
import sys
import time
from pathlib import Path


def provenance(device: str = "cpu") -> dict:
    """What must stand beside every recorded result. `device`: "cpu" or "cuda"."""
    script = Path(sys.argv[0]).resolve()
    command = ["python", f"{script.parent.name}/{script.name}", *sys.argv[1:]]
    return {
        "command": " ".join(command),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "python": platform.python_version(),
        "numpy": importlib.metadata.version("numpy"),
        "torch": _version("torch"),
        "hardware": hardware(device),
    }


def hardware(device: str = "cpu") -> str:
    """The processor and its cores, and the GPU if one is used."""
    cores = f"{_processor()}, {os.cpu_count()} cores"
    if device == "cpu":
        return cores
    import torch

    return f"{torch.cuda.get_device_name(device)}; {cores}"


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
