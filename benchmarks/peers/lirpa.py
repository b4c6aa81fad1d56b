"""auto_LiRPA's bounds of a network written by `benchmarks.certifiers`; runs in an environment of its own.

    PYTHON benchmarks/peers/lirpa.py FILE METHOD

auto_LiRPA knows neither maximum nor minimum of two tensors, so MinMax is written as max(a, b) = b + relu(a − b) and
min(a, b) = a − relu(a − b), with the differences and sums as 1×1 convolutions or dense layers.
"""

import json
import resource
import sys
import time

import auto_LiRPA
import numpy as np
import torch
from auto_LiRPA import BoundedModule, BoundedTensor, PerturbationLpNorm
from torch import nn


class RectifiedMinMax(nn.Module):
    def __init__(self, channels: int, dense: bool) -> None:
        super().__init__()
        half = channels // 2
        one, zero = torch.eye(half), torch.zeros(half, half)
        self.difference = self._linear(torch.cat((one, -one), 1), dense)
        self.swap = self._linear(torch.cat((torch.cat((zero, one), 1), torch.cat((one, zero), 1))), dense)
        self.spread = self._linear(torch.cat((one, -one)), dense)

    @staticmethod
    def _linear(weight: torch.Tensor, dense: bool) -> nn.Module:
        out, into = weight.shape
        layer = nn.Linear(into, out, bias=False) if dense else nn.Conv2d(into, out, 1, bias=False)
        layer.weight.data.copy_(weight if dense else weight[:, :, None, None])
        return layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.swap(x) + self.spread(torch.relu(self.difference(x)))


def rebuilt(layers: list, tensors: dict) -> nn.Module:
    made: list = []
    channels, dense = 0, False
    for place, (kind, stride, padding) in enumerate(layers):
        if kind == "minmax":
            made.append(RectifiedMinMax(channels, dense))
        elif kind == "flatten":
            made.append(nn.Flatten())
            dense = True
        else:
            weight, bias = (torch.from_numpy(tensors[f"{place}.{name}"]) for name in ("weight", "bias"))
            channels, into = weight.shape[0], weight.shape[1]
            layer = (
                nn.Linear(into, channels)
                if kind == "dense"
                else nn.Conv2d(into, channels, weight.shape[2], stride, padding)
            )
            layer.weight.data.copy_(weight)
            layer.bias.data.copy_(bias)
            made.append(layer)
    return nn.Sequential(*made).eval()


def main() -> None:
    file, method = sys.argv[1:]
    torch.set_num_threads(1)
    tensors = dict(np.load(file))
    stated = json.loads(str(tensors["stated"]))
    model = rebuilt(stated["layers"], tensors)
    rows = torch.from_numpy(tensors["rows"])[: stated["limit"].get(method)]
    with torch.no_grad():
        start = time.perf_counter()
        logits = torch.cat([model(part) for part in rows.split(stated["batch"])])
        forward = len(rows) / (time.perf_counter() - start)
        bounded = BoundedModule(model, rows[:1])
        size = min(stated["batch"], stated["peer_batch"].get(method, stated["batch"]))
        held = []
        start = time.perf_counter()
        for part, scores in zip(rows.split(size), logits.split(size), strict=True):
            top = scores.argmax(1)
            classes = scores.shape[1]
            others = torch.tensor([[i for i in range(classes) if i != int(j)] for j in top])
            margins = torch.eye(classes)[top][:, None] - torch.eye(classes)[others]
            ball = BoundedTensor(part, PerturbationLpNorm(norm=2, eps=stated["epsilon"]))
            lower, _ = bounded.compute_bounds(x=(ball,), C=margins, method=method, bound_upper=False)
            held.append((lower > 0).all(1))
        seconds = time.perf_counter() - start
    print(
        json.dumps(
            {
                "version": f"auto_LiRPA {auto_LiRPA.__version__}, torch {torch.__version__}",
                "certified": torch.cat(held).tolist(),
                "rate": len(rows) / seconds,
                "forward": forward,
                "difference": float((logits - torch.from_numpy(tensors["logits"])[: len(logits)]).abs().max()),
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
