from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest


@pytest.fixture
def calls(tmp_path, monkeypatch) -> Callable[[], Counter[str]]:
    """Counts the op calls since the last time it was asked, in every process."""
    path = tmp_path / "calls.txt"
    monkeypatch.setenv("AUDITOR_TEST_CALLS", str(path))

    def count() -> Counter[str]:
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        path.write_text("", "utf-8")
        return Counter(lines)

    return count
