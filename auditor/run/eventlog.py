"""The run as JSON lines, one event a line: `{"time": ..., "event": "TaskFinished", ...}`."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import TextIO

from auditor.digest import jsonable
from auditor.run.events import Event


class EventLog:
    """Writes each event as it happens, so that a reader can follow a run, and a traceback outlives it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        fields = {name: jsonable(value) for name, value in dataclasses.asdict(event).items() if value is not None}
        line = {"time": round(time.time(), 3), "event": type(event).__name__, **fields}
        self._stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._stream.flush()
