"""ONNX files: parsed and checked, never executed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from auditor.errors import ModelError

if TYPE_CHECKING:
    from onnx import ModelProto

LARGEST = (1 << 31) - 1
"""Bytes of one protobuf message, which an ONNX file is."""


def parse(path: Path) -> ModelProto:
    """The model of an ONNX file that holds all of its weights. Raises ModelError."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise ModelError("reading ONNX needs the package onnx", remedy="pip install 'auditor[onnx]'") from error
    if path.stat().st_size > LARGEST:
        raise ModelError(
            f"model file {path.name} exceeds the 2 GiB that an ONNX file may have",
            remedy="save its weights as safetensors, with an architecture",
        )
    try:
        model = onnx.load(path, load_external_data=False)
    except DecodeError as error:
        raise ModelError(f"model file {path.name} is no ONNX file, or is cut off", remedy="export it again") from error
    outside = [tensor.name for tensor in model.graph.initializer if tensor.data_location == tensor.EXTERNAL]
    if outside:
        raise ModelError(
            f"model file {path.name} keeps weights in other files ({', '.join(outside[:3])})",
            remedy="save it whole: onnx.save(onnx.load(path), path, save_as_external_data=False)",
        )
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        raise ModelError(
            f"model file {path.name} is no valid ONNX model, or is cut off: {str(error).splitlines()[0]}",
            remedy="export it again",
        ) from error
    return model
