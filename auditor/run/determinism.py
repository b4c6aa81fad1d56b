"""The same numbers every time: seeds, deterministic algorithms, full precision, a fixed number of threads."""

from __future__ import annotations

import contextlib
import os
import random
import sys
from collections.abc import Iterator

CUBLAS = ":4096:8"
"""cuBLAS is deterministic only with a workspace of fixed size; read when CUDA starts."""


def threads() -> int:
    """CPU threads for one op: OMP_NUM_THREADS, else all cores.

    The same for any `--jobs`, since sums depend on it in their last bits.
    """
    stated = os.environ.get("OMP_NUM_THREADS", "")
    return int(stated) if stated.isdecimal() and int(stated) > 0 else (os.cpu_count() or 1)


@contextlib.contextmanager
def deterministic(device: str = "cpu") -> Iterator[None]:
    """Within it torch chooses deterministic algorithms, true float32 and `device` as the current one of its kind.

    What was set before comes back after.

    An op without a deterministic algorithm warns and still runs: the runner turns the warning into a note of the run.
    """
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", CUBLAS)
    algorithms = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn
    flags = cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32
    precision, count = torch.get_float32_matmul_precision(), torch.get_num_threads()
    try:
        torch.use_deterministic_algorithms(True, warn_only=True)
        cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32 = True, False, False
        torch.set_float32_matmul_precision("highest")
        if count != threads():
            torch.set_num_threads(threads())
        with torch.cuda.device(device) if device.startswith("cuda") else contextlib.nullcontext():
            yield
    finally:
        torch.use_deterministic_algorithms(algorithms[0], warn_only=algorithms[1])
        cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32 = flags
        torch.set_float32_matmul_precision(precision)
        if count != torch.get_num_threads():
            torch.set_num_threads(count)


@contextlib.contextmanager
def seeded(digest: str) -> Iterator[None]:
    """Global generators start from `digest`, so that a stray draw does not depend on what ran before; then go back.

    Ops take a `seed` and draw from a generator of their own; this is the net beneath. torch is seeded where it is
    loaded, as it is for device ops.
    """
    import numpy as np

    seed = int(digest[:15], 16)
    plain, numeric = random.getstate(), np.random.get_state()  # noqa: NPY002
    torch = sys.modules.get("torch")
    state = torch.get_rng_state() if torch else None
    try:
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        if torch:
            torch.manual_seed(seed)
        yield
    finally:
        random.setstate(plain)
        np.random.set_state(numeric)  # noqa: NPY002
        if torch and state is not None:
            torch.set_rng_state(state)


def environment_record(device: str) -> dict[str, object]:
    """What results.json says of the machine: versions, platform, device with its driver, threads, flags."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    libraries = {}
    for name in ("auditor", "torch", "numpy", "scipy", "scikit-learn", "pyarrow", "safetensors", "onnx"):
        with contextlib.suppress(PackageNotFoundError):
            libraries[name] = version(name)
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "libraries": libraries,
        "threads": threads(),
        "deterministic_algorithms": True,
        **_device_record(device),
    }


def _device_record(device: str) -> dict[str, object]:
    if not device.startswith("cuda"):
        return {"device_name": "cpu"}
    import torch

    driver = ""
    with contextlib.suppress(OSError), open("/proc/driver/nvidia/version", encoding="utf-8") as stream:
        driver = stream.readline().strip()
    return {"device_name": torch.cuda.get_device_name(device), "cuda": torch.version.cuda, "driver": driver}
