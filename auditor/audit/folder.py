"""The output folder: its name, its layout, and how one run takes the place of another in it.

results.json  report.html  report.pdf  ...
certificate.json  weights.safetensors
evidence/<check, '/' as '__'>/points.parquet  <id>.parquet  <id>.png
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.certificate.writing import CERTIFICATE, WEIGHTS, certificate_files
from auditor.errors import UsageError
from auditor.records import Finding, Judgement

if TYPE_CHECKING:
    import numpy as np

RESULTS = "results.json"
RENDERED = (
    "report.html",
    "report.pdf",
    "junit.xml",
    "results.sarif",
    "summary.md",
    "attestation.intoto.json",
    CERTIFICATE,
    WEIGHTS,
)
"""What speaks of one results.json and is stale once there is another."""
EVIDENCE = "evidence"
SAMPLES = "_samples"
"""Below `evidence/`, a picture of each class; no check can have this name."""
PENDING = ".auditor-pending"
"""Lies in the folder from when a run claims it until its results.json does, so that a killed run may be repeated."""
OURS = frozenset({".parquet", ".png", ".svg"})
"""Endings of the files that an audit writes below `evidence/<check>/`. Nothing else there is ever touched."""


def default_folder(name: str, run_digest: str) -> Path:
    """`reports/<name>-<first 8 of the run digest>`."""
    return Path("reports") / f"{name}-{run_digest[:8]}"


def evidence_folder(check: str) -> str:
    """The check's folder below `evidence/`."""
    return check.replace("/", "__")


def claim(folder: Path) -> None:
    """Makes the folder, before anything is computed. Raises UsageError where it is no place for a run.

    It must be new, empty, or hold an earlier run, finished or killed: a folder of other things is left alone.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"-o {folder} is a file", remedy="name a folder")
    if folder.is_dir() and not any((folder / name).exists() for name in (RESULTS, PENDING)):
        foreign = sorted(path.name for path in folder.iterdir())
        if foreign:
            shown = ", ".join(foreign[:3]) + (", ..." if len(foreign) > 3 else "")
            raise UsageError(
                f"-o {folder} holds other things ({shown}) and no earlier run", remedy="name a new or an empty folder"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PENDING).touch()
    except OSError as error:
        raise UsageError(f"-o {folder} cannot be written: {error.strerror}", remedy="name another folder") from None


def release(folder: Path) -> None:
    """The run is over, with results or without: an unused new folder goes away again."""
    (folder / PENDING).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def write_evidence(
    folder: Path,
    judgements: Mapping[str, Judgement],
    samples: Mapping[str, np.ndarray] | None = None,
    *,
    model: str,
) -> dict[str, Finding]:
    """Writes tables, images and certificate in the place of an earlier run's; returns the findings with their paths.

    `model` is the SHA-256 of the audited file.
    The earlier results.json and what was rendered from it go first, so that a run which is killed here leaves no folder
    whose parts speak of different runs.
    """
    for name in (RESULTS, *RENDERED):
        (folder / name).unlink(missing_ok=True)
    kept: set[Path] = set()
    findings: dict[str, Finding] = {}
    for check, judgement in judgements.items():
        below = Path(EVIDENCE) / evidence_folder(check)
        for id_, table in judgement.tables.items():
            kept.add(_put(folder / below / f"{id_}.parquet", lambda path, table=table: _parquet(path, table)))
        for id_, image in judgement.images.items():
            kept.add(_put(folder / below / f"{id_}.png", lambda path, image=image: _png(path, image)))
        findings[check] = _with_paths(judgement, below)
    proved = [judgement.proved for judgement in judgements.values() if judgement.proved is not None]
    for name, content in certificate_files(proved, model=model).items():
        _put(folder / name, lambda path, content=content: path.write_bytes(content))
    for id_, image in (samples or {}).items():
        kept.add(_put(folder / EVIDENCE / SAMPLES / f"{id_}.png", lambda path, image=image: _png(path, image)))
    _sweep(folder / EVIDENCE, kept)
    return findings


def _with_paths(judgement: Judgement, below: Path) -> Finding:
    evidence = tuple(
        item.model_copy(
            update={
                "data": (below / f"{item.id}.parquet").as_posix() if item.id in judgement.tables else item.data,
                "picture": (below / f"{item.id}.png").as_posix() if item.id in judgement.images else item.picture,
            }
        )
        for item in judgement.finding.evidence
    )
    return judgement.finding.model_copy(update={"evidence": evidence})


def _sweep(evidence: Path, kept: set[Path]) -> None:
    """Removes an earlier run's files that this one has not written, and folders left empty."""
    if not evidence.is_dir() or evidence.is_symlink():
        return
    for below in sorted(evidence.iterdir()):
        if below.is_symlink() or not below.is_dir():
            continue
        for file in sorted(below.iterdir()):
            if file not in kept and file.suffix in OURS and (file.is_file() or file.is_symlink()):
                file.unlink()
        if not any(below.iterdir()):
            below.rmdir()
    if not any(evidence.iterdir()):
        evidence.rmdir()


def _put(path: Path, write: Callable[[Path], Any]) -> Path:
    """Writes beside `path` and renames, so that a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        write(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _parquet(path: Path, table: Any) -> None:
    import pyarrow.parquet

    pyarrow.parquet.write_table(table, path)


def _png(path: Path, image: Any) -> None:
    from PIL import Image

    Image.fromarray(image).save(path, format="PNG")
