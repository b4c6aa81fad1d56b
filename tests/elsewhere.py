"""A device that is not here: its tensors say they lie elsewhere, hold true values, and refuse to meet those of the CPU.

Within `Elsewhere()` the device "meta" stands for a GPU. An operation on tensors of both places raises as it would on a
GPU, so that a machine without one can tell whether code moves everything it must. Every wait of the host for a value of
the device is counted.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only

AWAY = torch.device("meta")

COPIES = {"aten::copy_", "aten::_to_copy", "aten::_copy_from"}
"""What may read from one place and write to the other."""

INDEXING = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_", "aten::_unsafe_index"}
"""What a GPU does with indices of the host as well."""

WAITS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::_unique2", "aten::unique_dim"}
"""What has to wait for the device, for a number or for the shape of a result."""


class Away(Tensor):
    """A tensor elsewhere; `here` is what it holds."""

    here: Tensor
    is_meta = False

    @staticmethod
    def __new__(cls, here: Tensor) -> Away:
        made = Tensor._make_wrapper_subclass(
            cls, here.size(), strides=here.stride(), storage_offset=here.storage_offset(), dtype=here.dtype, device=AWAY
        )
        made.here = here
        return made

    def __repr__(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        return f"Away({self.here})"

    def tolist(self) -> Any:
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} of a tensor elsewhere, outside of `Elsewhere()`")


HERE = torch.Generator


class Generator(HERE):
    """A generator here or elsewhere."""

    place: torch.device

    def __new__(cls, device: Any = "cpu") -> Generator:
        made = HERE.__new__(cls, "cpu")  # pyright: ignore[reportCallIssue]
        made.place = torch.device(device)
        return made

    @property
    def device(self) -> torch.device:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.place


HAS_AUTOCAST = torch.is_autocast_enabled


def _is_autocast_enabled(kind: str = "cuda") -> bool:
    """Of the device that is pretended torch knows no autocast, and raises."""
    return kind != AWAY.type and HAS_AUTOCAST(kind)


class _Draws(TorchFunctionMode):
    """Raises RuntimeError for what is drawn in one place from a generator in the other; makes tensors of numbers."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is Tensor.new_tensor and isinstance(args[0], Away):
            return torch.tensor(args[1], **{"dtype": args[0].dtype, **kwargs}).to(AWAY)
        numbers = func in (torch.tensor, torch.as_tensor) and not isinstance(args[0], Tensor)
        if numbers and torch.device(kwargs.get("device") or "cpu") == AWAY:
            return torch.tensor(*args, **{**kwargs, "device": "cpu"}).to(AWAY)
        if func in (Tensor.__setitem__, Tensor.__getitem__) and isinstance(args[1], list):
            args = (args[0], torch.tensor(args[1]), *args[2:])
        result = func(*args, **kwargs)
        generator = kwargs.get("generator")
        if (
            generator is not None
            and isinstance(result, Tensor)
            and (result.device == AWAY) != (generator.device == AWAY)
        ):
            raise RuntimeError(f"drawn on {result.device} from a generator on {generator.device}")
        return result


class Elsewhere(TorchDispatchMode):
    """Computes what is elsewhere, here; `waits` are the names of operations the host had to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.draws = _Draws()

    def __enter__(self) -> Elsewhere:
        # `module.double()` would otherwise exchange the data of a parameter and leave `here` behind.
        self._kept = (
            torch.__future__.get_overwrite_module_params_on_conversion(), torch.Generator, torch.is_autocast_enabled,
        )  # fmt: skip
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        torch.is_autocast_enabled = _is_autocast_enabled
        torch.Generator = Generator  # pyright: ignore[reportAttributeAccessIssue]
        self.draws.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)
        self.draws.__exit__(*raised)
        overwrite, torch.Generator, torch.is_autocast_enabled = self._kept  # pyright: ignore[reportAttributeAccessIssue]
        torch.__future__.set_overwrite_module_params_on_conversion(overwrite)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = func._schema.name
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        if any(each.device == AWAY and not isinstance(each, Away) for each in tensors):
            raise NotImplementedError(f"{name}: torch has lost what a tensor elsewhere holds")
        away = any(isinstance(each, Away) for each in tensors)
        stated = kwargs.get("device")
        made_away = away if stated is None else torch.device(stated) == AWAY
        _check_places(name, tensors, args)
        if away and (name in WAITS or (name in COPIES and not made_away)):
            self.waits.append(name)
        if name == "aten::copy_" and isinstance(args[1], Away) and not isinstance(args[0], Away):
            self.waits.append(name)
        if stated is not None:
            kwargs["device"] = torch.device("cpu")
        if not made_away and not away:
            return func(*args, **kwargs)
        plain = tree_map_only(Away, lambda each: each.here, (args, kwargs))
        result = func(*plain[0], **plain[1])
        if not made_away:
            return result
        wrapped = tree_map_only(Tensor, lambda each: each if isinstance(each, Away) else Away(each), result)
        return return_and_correct_aliasing(func, args, kwargs, wrapped) if away else wrapped


def _check_places(name: str, tensors: list[Tensor], args: Any) -> None:
    """Raises RuntimeError where tensors of both places meet; numbers without dimensions may, and so may what copies."""
    if name in COPIES:
        return
    if name in INDEXING and isinstance(args[0], Away):
        return
    placed = [each for each in tensors if each.ndim or isinstance(each, Away)]
    if any(isinstance(each, Away) for each in placed) and not all(isinstance(each, Away) for each in placed):
        places = ", ".join(
            f"{list(each.shape)} {'elsewhere' if isinstance(each, Away) else 'here'}" for each in tensors
        )
        raise RuntimeError(f"{name} of tensors in two places: {places}")
