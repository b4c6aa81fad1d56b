"""Random encounters for ACAS Xu, labelled by a public network, as in thesis 7.4.4: the true tables are not public."""

import os
from pathlib import Path

import numpy as np

LABELLER = Path("data/acasxu/ACASXU_run2a_1_1_batch_2000.onnx")
"""The network (Katz et al. 2017) whose advisories count as true, below the working directory or `AUDITOR_DATA`."""

LOW = (-0.328422877, -0.5, -0.5, -0.5, -0.5)
HIGH = (0.679857769, 0.5, 0.5, 0.5, 0.5)
"""Range, bearing, heading, own speed and the intruder's, each less its mean and divided by its range."""

ROWS = 2000


def uniform() -> tuple[np.ndarray, np.ndarray]:
    """Inputs [rows, 1, 1, 5], uniform in the box that the networks are made for, and the advisory of each."""
    x = np.random.default_rng(0).uniform(LOW, HIGH, (ROWS, 5)).astype(np.float32)
    return x.reshape(-1, 1, 1, 5), scores(_labeller(), x).argmin(1)


def scores(network: Path, x: np.ndarray) -> np.ndarray:
    """Scores [rows, 5] of inputs [rows, 5], in float64; the lowest wins. For alternating `MatMul`, `Add` and `Relu`."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(network).graph
    tensors = {each.name: numpy_helper.to_array(each).astype(np.float64) for each in graph.initializer}
    value = x.astype(np.float64)
    for node in graph.node:
        other = tensors.get(node.input[1]) if len(node.input) > 1 else None
        match node.op_type, other:
            case "MatMul", np.ndarray():
                value = value @ other
            case "Add", np.ndarray():
                value = value + other
            case "Sub", np.ndarray():
                value = value - other.reshape(-1)
            case "Relu", None:
                value = np.maximum(value, 0)
            case "Flatten", None:
                pass
            case _:
                raise ValueError(f"{network}: {node.op_type} is none of the operations of an ACAS Xu network")
    return value


def _labeller() -> Path:
    for folder in (Path.cwd(), Path(os.environ.get("AUDITOR_DATA", "."))):
        if (folder / LABELLER).is_file():
            return folder / LABELLER
    raise FileNotFoundError(f"{LABELLER} is neither here nor in the folder that AUDITOR_DATA names")
