"""Layers of one value that torch has no module for; each can be traced."""

from __future__ import annotations

from torch import Tensor, nn


class Shift(nn.Module):
    """x + constant."""

    def __init__(self, constant: Tensor) -> None:
        super().__init__()
        self.constant: Tensor
        self.register_buffer("constant", constant)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.constant


class Scale(nn.Module):
    """x · constant."""

    def __init__(self, constant: Tensor) -> None:
        super().__init__()
        self.constant: Tensor
        self.register_buffer("constant", constant)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.constant


class Permute(nn.Module):
    """Reorders the axes after the batch."""

    def __init__(self, order: tuple[int, ...]) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.order)


class Reshape(nn.Module):
    """Gives each input of a batch the shape `sizes`."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.sizes = sizes

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(-1, *self.sizes)


class Part(nn.Module):
    """The entries start to stop of one axis after the batch."""

    def __init__(self, axis: int, start: int, stop: int) -> None:
        super().__init__()
        self.axis, self.start, self.stop = axis, start, stop

    def forward(self, x: Tensor) -> Tensor:
        return x.narrow(self.axis, self.start, self.stop - self.start)
