"""What of the machine is part of a result's identity, found without importing torch where that is possible."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

from auditor.errors import UsageError

NVIDIA = ("/dev/nvidia0", "/proc/driver/nvidia/version", "/dev/dxg")
"""Files that exist where an NVIDIA driver is loaded (the last under WSL)."""


@dataclass(frozen=True)
class Environment:
    """The torch version and the kind of device ("cpu", "cuda"): what the numbers of device ops depend on.

    Results of two models of GPU share an identity; which one computed is in the run's record.
    """

    torch: str
    device: str


def torch_version() -> str:
    """Of the installed torch, from its metadata; "absent" where there is none."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def devices(choice: str = "auto") -> tuple[str, ...]:
    """The devices that `--device` means: "auto", "cpu", "cuda", "cuda:1" or several, comma-separated.

    "auto" asks torch only where an NVIDIA driver is loaded. Raises UsageError for what is none of these, for a mixture
    of kinds, and for a device named twice.
    """
    if choice == "auto":
        return ("cuda:0",) if _has_cuda() else ("cpu",)
    names = tuple("cuda:0" if part.strip() == "cuda" else part.strip() for part in choice.split(","))
    for name in names:
        kind, _, number = name.partition(":")
        if not (name == "cpu" or (kind == "cuda" and number.isdecimal())):
            raise UsageError(
                f"--device {choice}: {name!r} is not a device", remedy="use auto, cpu, cuda:0 or cuda:0,cuda:1"
            )
    if len({kind_of(name) for name in names}) > 1:
        raise UsageError(f"--device {choice}: devices of two kinds compute different numbers", remedy="name one kind")
    if len(set(names)) < len(names):
        raise UsageError(f"--device {choice}: a device is named twice", remedy="use --jobs for several workers on one")
    return names


def require_present(names: tuple[str, ...]) -> None:
    """Raises UsageError where this machine lacks one of the devices; a plan for another machine needs none of them."""
    if kind_of(names[0]) == "cpu":
        return
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    absent = [name for name in names if int(name.partition(":")[2]) >= count]
    if absent:
        found = f"{count} CUDA device{'' if count == 1 else 's'} that torch can use"
        raise UsageError(
            f"--device {','.join(names)}: {', '.join(absent)} is not here; this machine has {found}",
            remedy="use --device cpu, or look at `auditor doctor`",
        )


def kind_of(device: str) -> str:
    """ "cuda:1" -> "cuda"."""
    return device.partition(":")[0]


def environment(device: str = "auto") -> Environment:
    """Of this process, for the devices that `device` means."""
    return Environment(torch_version(), kind_of(devices(device)[0]))


def _has_cuda() -> bool:
    if not any(Path(file).exists() for file in NVIDIA):
        return False
    import torch

    return torch.cuda.is_available()
