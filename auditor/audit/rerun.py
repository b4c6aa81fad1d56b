"""The command that reproduces one finding."""

from __future__ import annotations

import datetime as dt
import shlex
from typing import TYPE_CHECKING

from auditor.audit.folder import evidence_folder

if TYPE_CHECKING:
    from auditor.audit.conduct import Options
    from auditor.audit.prepare import Prepared


def rerun(prepared: Prepared, check: str, options: Options, as_of: dt.date) -> str:
    """`auditor check SPEC MODEL --select name:CHECK -o ...`, with every option that a number or the gate depends on.

    It does not depend on where this run's own folder is, so that equal audits have equal results.json.
    """
    words = ["auditor", "check", prepared.spec.as_posix(), prepared.model.file.as_posix(), "--select", f"name:{check}"]
    if options.device != "auto":
        words += ["--device", options.device]
    if options.seed is not None:
        words += ["--seed", str(options.seed)]
    if options.allow_unsafe_load:
        words.append("--allow-unsafe-load")
    words += ["--as-of", as_of.isoformat()]
    words += ["-o", f"reports/{prepared.document.name}-{evidence_folder(check)}"]
    return shlex.join(words)
