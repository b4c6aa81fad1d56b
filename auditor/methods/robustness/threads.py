"""One CPU thread, so that a proof's digits do not depend on the machine's number of cores."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Within it torch computes on one CPU thread; the number set before comes back after.

    A library splits its sums by threads, and rounds differently for each split. Nor would more threads help: batches of
    small matrices spend them waiting for each other, the more so on a busy machine.
    """
    count = torch.get_num_threads()
    if count == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(count)
