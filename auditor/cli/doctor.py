"""`auditor doctor`: what this machine can do, and what to install for the rest."""

from __future__ import annotations

import ctypes.util
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import click

from auditor import __version__
from auditor.cli.lazy import CONTEXT
from auditor.cli.terminal import dim, mark, paragraph, say, size

PANGO = {
    "Linux": "apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0",
    "Darwin": "brew install pango",
    "Windows": "install MSYS2, then: pacman -S mingw-w64-x86_64-pango",
}


class Found(NamedTuple):
    """One thing looked at: its state as a status, what was found, what to do where that is not fine."""

    what: str
    status: str
    text: str
    remedy: str = ""


@click.command(context_settings=CONTEXT)
def doctor() -> int:
    """Say what is installed, what is missing and what to do about it. Exit 1 if an audit could not run."""
    found = [python(), torch(), device(), pango(), fonts(), store(), data()]
    for item in found:
        paragraph(item.text, first=f"{mark(item.status)} {item.what.ljust(8)} ")
        if item.remedy:
            say(f"  {' ' * 8} {dim(item.remedy)}")
    return 1 if any(item.status == "fail" for item in found) else 0


def python() -> Found:
    return Found("python", "pass", f"{platform.python_version()}, auditor {__version__}, {platform.platform()}")


def torch() -> Found:
    try:
        return Found("torch", "pass", version("torch"))
    except PackageNotFoundError:
        remedy = "pip install torch; without it only validate, report, diff and the like work"
        return Found("torch", "fail", "not installed", remedy)


def device() -> Found:
    from auditor.plan.machine import NVIDIA

    driver = any(Path(file).exists() for file in NVIDIA)
    if not driver:
        return Found("device", "pass", f"cpu, {os.cpu_count()} cores")
    try:
        import torch as library
    except ImportError:
        return Found("device", "inconclusive", "an NVIDIA driver, but no torch")
    if library.cuda.is_available():
        return Found("device", "pass", f"{library.cuda.get_device_name(0)}, CUDA {library.version.cuda}")
    return Found(
        "device", "inconclusive", "an NVIDIA driver, but this torch has no CUDA", "see https://pytorch.org/get-started"
    )


def pango() -> Found:
    """PDF needs it; nothing else does."""
    needed = ("pango-1.0", "pangoft2-1.0", "harfbuzz-subset")
    missing = [name for name in needed if ctypes.util.find_library(name) is None]
    if not missing:
        return Found("Pango", "pass", "found; PDF works")
    remedy = PANGO.get(platform.system(), "install Pango")
    return Found("Pango", "inconclusive", f"{', '.join(missing)} missing; no PDF, everything else works", remedy)


def fonts() -> Found:
    """The report embeds its own."""
    folder = Path(__file__).parent.parent / "report" / "fonts"
    files = [path for path in folder.rglob("*") if path.suffix in (".woff2", ".ttf", ".otf")] if folder.is_dir() else []
    if files:
        return Found("fonts", "pass", f"{len(files)} embedded")
    return Found("fonts", "inconclusive", "none embedded; reports use the system's", "reinstall auditor")


def store() -> Found:
    from auditor.run.store import Store

    kept = Store()
    nearest = next(path for path in (kept.root, *kept.root.resolve().parents) if path.exists())
    where = "AUDITOR_CACHE" if os.environ.get("AUDITOR_CACHE") else "the default"
    text = f"{kept.root} ({where}), {size(kept.size())}" if kept.root.exists() else f"{kept.root} ({where}), empty"
    if not os.access(nearest, os.W_OK):
        return Found("store", "fail", f"{text}; not writable", "set AUDITOR_CACHE to a folder you can write")
    return Found("store", "pass", text)


def data() -> Found:
    folder = os.environ.get("AUDITOR_DATA")
    if not folder:
        return Found("data", "pass", "AUDITOR_DATA is not set; paths start from the working directory, then the spec")
    if not Path(folder).is_dir():
        return Found("data", "inconclusive", f"AUDITOR_DATA={folder} is no folder", "correct or unset it")
    return Found("data", "pass", f"AUDITOR_DATA={folder}")
