"""A small audit as a process of its own, to be killed: `python -m tests.run.audit_process STORE OUT JOBS`.

Writes the outcome, as canonical JSON with the tables in full, to OUT when it is done. Exits 130 on Ctrl-C.
"""

from __future__ import annotations

import sys
from pathlib import Path

from auditor.digest import canonical_json
from auditor.errors import Interrupted
from auditor.run import Store, execute
from auditor.run.codec import encode
from tests.run.plans import sums


def main() -> None:
    store, out, jobs = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    plan = sums({"a": -9.0, "bb": 9.0, "ccc": 0.0}, pause=0.02)
    try:
        outcome = execute(plan, store=Store(store), jobs=jobs)
    except Interrupted as error:
        print(error, flush=True)
        sys.exit(error.exit_code)
    out.write_bytes(canonical_json({name: everything(value) for name, value in outcome.judgements.items()}))


def everything(value) -> dict:
    parts = encode(value)
    tables = {key: table.to_pydict() for key, table in parts.tables.items()}
    arrays = {key: array.tolist() for key, array in parts.arrays.items()}
    return {"skeleton": parts.skeleton, "tables": tables, "arrays": arrays}


if __name__ == "__main__":
    main()
