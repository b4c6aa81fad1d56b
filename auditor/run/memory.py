"""Out of memory: telling it from other errors, and going on with half the batch."""

from __future__ import annotations

import gc
import sys

HALVINGS = 3
"""How often a task may halve its batch before running out of memory is an error."""

_TEXTS = ("not enough memory", "out of memory", "cannot allocate memory", "can't allocate memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that the device's or the machine's memory ran out, in the words torch and CUDA use."""
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, (RuntimeError, OSError)) and any(text in str(error).lower() for text in _TEXTS)


def release() -> None:
    """Gives back what is no longer referred to, to the device too."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
