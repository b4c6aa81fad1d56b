"""What a float32 certificate presumes of torch's arithmetic: refused where a setting breaks it, switched off where it
can only be avoided.

Each entry of a dense layer or a convolution is to be one sum of products of float32 numbers, in any order, fused or
not. TF32 and bfloat16 round the factors first; Winograd and FFT convolutions are other sums, with larger errors.
On the machine that serves the model nothing of this can be checked: a finding says so among its limits.
"""

from __future__ import annotations

import contextlib
import operator
import os
from collections.abc import Iterator

import torch

from auditor.errors import Unsupported

FLOAT32 = ("ieee", "none")
"""Values of torch's `fp32_precision` under which float32 is float32."""

PRECISIONS = {
    "cuda": ("torch.backends.cuda.matmul.fp32_precision", "torch.backends.cudnn.conv.fp32_precision"),
    "cpu": ("torch.backends.mkldnn.matmul.fp32_precision", "torch.backends.mkldnn.conv.fp32_precision"),
}

FPMATH = ("ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE")
"""Environment variables by which oneDNN rounds factors on the CPU."""


def lowered_float32(device: torch.device | str) -> list[str]:
    """The settings by which torch would compute float32 layers and products on `device` in less."""
    kind = torch.device(device).type
    lowered = [name for name in PRECISIONS.get(kind, ()) if _precision(name) not in FLOAT32]
    if torch.is_autocast_enabled(kind):
        lowered.append(f"torch.is_autocast_enabled({kind!r})")
    if kind == "cpu":
        lowered += [name for name in FPMATH if os.environ.get(name, "").upper() not in ("", "STRICT")]
    return lowered


def check_true_float32(device: torch.device | str) -> None:
    """Raises Unsupported, naming the setting, where torch would compute float32 layers on `device` in less."""
    for setting in lowered_float32(device):
        raise Unsupported(
            f"`{setting}` lets float32 layers be computed in less than float32",
            node=setting,
            remedy="switch it off (torch.set_float32_matmul_precision('highest'), "
            "torch.backends.cudnn.allow_tf32 = False), or use arithmetic: real",
        )


def _precision(name: str) -> str:
    try:
        return operator.attrgetter(name.removeprefix("torch."))(torch)
    except AttributeError:
        # Before torch 2.9.
        lowered = torch.get_float32_matmul_precision() != "highest"
        return "tf32" if lowered or ("cudnn" in name and torch.backends.cudnn.allow_tf32) else "ieee"


@contextlib.contextmanager
def plain_convolutions() -> Iterator[None]:
    """Within it torch takes no convolution from cuDNN or NNPACK, which may choose Winograd or FFT; oneDNN, which is
    asked for direct ones, and torch's own im2col remain.
    """
    nnpack = torch._C._get_nnpack_enabled()
    cudnn = torch._C._get_cudnn_enabled()
    try:
        torch._C._set_nnpack_enabled(False)
        torch._C._set_cudnn_enabled(False)
        yield
    finally:
        torch._C._set_nnpack_enabled(nnpack)
        torch._C._set_cudnn_enabled(cudnn)
