"""A model file and the spec's `model` section, made into an audited model."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from auditor.digest import content_digest
from auditor.errors import AuditorError, HashMismatch, ModelError
from auditor.loading.audited import AuditedModel, Negate, Normalize, ZeroFirst
from auditor.loading.detection import UNSAFE, Kind, detect
from auditor.loading.unsafe import load_unsafe, refuse
from auditor.loading.weights import fill, read_safetensors, read_state_dict
from auditor.lookup.code import load_callable, parse_callable


def load_model(
    section: Any, file: Path | str, *, base: Path, device: str = "cpu", allow_unsafe: bool = False
) -> AuditedModel:
    """The model a spec's `model` section describes, with the weights of `file`, checked by one forward pass.

    Raises ModelError for a file or architecture that is missing, broken or does not fit, HashMismatch against
    `model.sha256`, LoadRefused for a file that could execute code (unless `allow_unsafe`).
    """
    path = Path(file)
    if not path.is_file():
        raise ModelError(
            f"model file {str(file)!r} {'is a folder' if path.is_dir() else 'does not exist'}",
            remedy="give the path of the weights as the second argument",
            code="missing-file",
        )
    pinned = getattr(section, "sha256", None)
    if pinned is not None and content_digest(path) != pinned.lower():
        raise HashMismatch(
            f"model file {path.name} has SHA-256 {content_digest(path)}, the spec pins {pinned}",
            remedy="audit the file that was pinned, or pin the new one if it is meant",
        )
    shape = tuple(section.input.shape)
    network = _network(section, path, Path(base), shape, allow_unsafe)
    network.eval()
    normalize = section.normalize
    model = AuditedModel(
        network,
        classes=section.classes,
        input_shape=shape,
        normalize=None if normalize is None else Normalize(*_mean_std(normalize), shape),
        decide=None,
    )
    for name in getattr(section, "assumed", {}):
        _check_named(model, name)
    width = check_output(model, section, path.name)
    if width == 1 and len(model.classes) == 2:
        model.decide = ZeroFirst() if section.decision == "highest" else nn.Sequential(Negate(), ZeroFirst())
    elif section.decision == "lowest":
        model.decide = Negate()
    return model.to(device)


def _check_named(model: AuditedModel, name: str) -> None:
    """Raises ModelError unless the network has a module of that name, of which `model.assumed` states a constant."""
    try:
        model.layer(name)
    except ModelError as error:
        remedy = error.remedy or "name the module as the architecture does, parts joined by dots"
        raise ModelError(f"model.assumed: {error.what}", remedy=remedy, code=error.code) from None


def check_output(model: AuditedModel, section: Any, subject: str) -> int:
    """Runs two inputs from the middle of the range through `model` and returns the number of its logits.

    Raises ModelError unless the result is a float tensor [2, classes], or [2, 1] for two classes.
    """
    low, high = section.input.range or (0.0, 0.0)
    inputs = torch.full((2, *model.input_shape), (low + high) / 2)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outputs = model(inputs)
    except AuditorError:
        raise
    except Exception as error:
        raise ModelError(
            f"{subject}: the network cannot take inputs of shape {list(model.input_shape)}: {error}",
            remedy="correct model.input.shape (channels first), or the architecture",
            code="wrong-input",
        ) from error
    if not isinstance(outputs, torch.Tensor) or not outputs.is_floating_point():
        found = outputs.dtype if isinstance(outputs, torch.Tensor) else type(outputs).__name__
        raise ModelError(
            f"{subject}: the network returns {found}, expected one tensor of logits",
            remedy="return the logits alone",
            code="wrong-output",
        )
    classes = len(model.classes)
    if outputs.shape == (2, 1) and classes == 2:
        return 1
    if outputs.shape != (2, classes):
        raise ModelError(
            f"{subject}: the network maps two inputs to {list(outputs.shape)}, expected [2, {classes}] for the "
            f"{classes} classes of the spec{' (or [2, 1])' if classes == 2 else ''}",
            remedy="correct model.classes, or model.arguments of the architecture",
            code="wrong-output",
        )
    if not bool(torch.isfinite(outputs).all()):
        raise ModelError(f"{subject}: the logits of a mid-range input are NaN or infinite", code="wrong-output")
    return classes


def _network(section: Any, path: Path, base: Path, shape: tuple[int, ...], allow_unsafe: bool) -> nn.Module:
    kind = detect(path)
    if kind in UNSAFE:
        if not allow_unsafe:
            raise refuse(path, kind)
        return load_unsafe(path, kind)
    if kind is Kind.ONNX:
        if section.architecture is not None:
            raise ModelError(
                f"model file {path.name} is ONNX, which holds its own graph, and the spec names an architecture",
                remedy="remove model.architecture",
            )
        from auditor.loading.onnx import translate_file

        return translate_file(path, shape)
    if section.architecture is None:
        raise ModelError(
            f"model file {path.name} holds weights only, and the spec names no architecture",
            remedy="add model.architecture: path/to/file.py:callable",
        )
    network = build(section, base)
    state = read_safetensors(path) if kind is Kind.SAFETENSORS else read_state_dict(path)
    fill(network, state, path, section.architecture)
    return network


def build(section: Any, base: Path) -> nn.Module:
    """The module of `model.architecture`, with the weights its callable gives it. Raises ModelError."""
    target = parse_callable(str(section.architecture))
    if target is None:
        raise ModelError(
            f"model.architecture {section.architecture!r} is not a callable",
            remedy="write path/to/file.py:callable or package.module:callable",
        )
    function = load_callable(target, base, subject="model.architecture", error=ModelError)
    arguments = dict(section.arguments or {})
    try:
        network = function(**arguments)
    except AuditorError:
        raise
    except Exception as error:
        listed = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        raise ModelError(
            f"model.architecture: {target.name}({listed}) raised {type(error).__name__}: {error}",
            remedy="correct model.arguments",
        ) from error
    if not isinstance(network, nn.Module):
        raise ModelError(f"model.architecture: {target} returned {type(network).__name__}, expected a torch.nn.Module")
    return network


def _mean_std(normalize: Any) -> tuple[list[float], list[float]]:
    """Both as lists, of a section's attributes or a plain map; a single number stands for every channel."""
    mean, std = (
        normalize[name] if isinstance(normalize, Mapping) else getattr(normalize, name) for name in ("mean", "std")
    )
    return _numbers(mean), _numbers(std)


def _numbers(value: Any) -> list[float]:
    return [float(value)] if isinstance(value, (int, float)) else [float(each) for each in value]
