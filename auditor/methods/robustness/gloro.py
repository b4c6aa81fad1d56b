"""The abstaining model: a network that answers only where its answer is certified (thesis eq. 6.3, thm 6.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from auditor.methods.robustness.certificates import admissible_sets, largest_set
from auditor.methods.robustness.evaluation_error import EvaluationError
from auditor.methods.robustness.radii import HEADROOM, certified_radii, finite_scores
from auditor.methods.robustness.set_margins import set_margins
from auditor.tensors import Inputs, Logits, MarginConstants
from auditor.terms import Affinity, Standard, TopK

ABSTAIN = -1
"""What `GloRo.predict` says instead of a class."""


TAKEN_AS_EXACT = EvaluationError(0.0, 0.0, unit=1.0)
"""No error, whatever the arithmetic."""


class GloRo(nn.Module):
    """`model` with one more logit, ⊥, which is the largest wherever `guarantee` is not certified at `epsilon`.

    forward(x) gives [batch, classes + 1], float64: the model's logits, then max_i f_i − m (eqs. 6.2, 7.1 and 7.3 in
    one), m the largest margin left within the radius of any set that the guarantee admits. Its argmax is ⊥ exactly
    where `certify` certifies nothing, ties, NaN and infinities included: there ⊥ lies strictly above every class,
    elsewhere strictly below the highest. Theorem 6.2 then says that no two inputs within 2·epsilon of each other get
    different answers, as long as neither gets ⊥ (under a relaxed guarantee: sets of which neither holds the other).

    `margin_constants` are `Bounds.reach` of the same weights, `error` is `Bounds.error`. They and `epsilon` are
    buffers, so that a state dict carries them, and stay float64 whatever the module is cast to: a constant rounded down
    is void.

    What this promises in floating point. From `bound_model(…)`: `model` is run in float64, and the answer is certified
    for the real-number function of its weights although it was computed. From `bound_model(…, arithmetic="float32")`:
    `model` is run in float32 (or float64), and the answer is certified for the float32 logits of `model` at every
    neighbour, computed here or elsewhere without TF32, autocast, Winograd or FFT. Where `model` runs in less than its
    `error` speaks of, everything gets ⊥. Without `error` the logits are taken as exact.

    Where `Bounds.assumed` names a module, all of this rests on the user's word for it.

    Evaluation only: batch normalisation in training mode is another function than the certified one.
    """

    def __init__(
        self,
        model: nn.Module,
        margin_constants: MarginConstants,
        epsilon: float,
        guarantee: Standard | TopK | Affinity = Standard(),  # noqa: B008
        *,
        error: EvaluationError | None = None,
    ) -> None:
        super().__init__()
        classes = len(margin_constants)
        if margin_constants.shape != (classes, classes) or margin_constants.dtype != torch.float64:
            raise ValueError(
                f"margin constants are {margin_constants.dtype} {tuple(margin_constants.shape)}, expected a square "
                "float64 matrix"
            )
        if not epsilon >= 0:
            raise ValueError(f"epsilon is {epsilon}, expected a radius of at least 0")
        if largest_set(guarantee, classes) >= classes:
            raise ValueError(f"{guarantee} admits the set of all {classes} classes, which never changes")
        error = error or TAKEN_AS_EXACT
        floats = [each.dtype for each in model.parameters() if each.dtype.is_floating_point]
        if any(_unit(dtype) > error.unit for dtype in floats):
            raise ValueError(
                f"the model is in {floats[0]}, its error bound is of float64: "
                "use bound_model(…, arithmetic='float32'), or run the model in float64"
            )
        self.model = model
        self.guarantee = guarantee
        self.margin_constants: Tensor
        self.epsilon: Tensor
        self.error: Tensor
        self.register_buffer("margin_constants", margin_constants.detach().clone())
        self.register_buffer("epsilon", torch.tensor(epsilon, dtype=torch.float64))
        self.register_buffer("error", torch.tensor(error, dtype=torch.float64))
        self.eval()

    def forward(self, x: Inputs) -> Logits:
        """Logits with ⊥ last, float64 [batch, classes + 1]. A row with NaN or infinite logits gets finite ones."""
        scores, _, _, certified = self._ranked(x)
        finite = scores.isfinite().all(1)
        shown = scores.nan_to_num(-1.0, 1.0, -1.0)
        top = shown.amax(1)
        within = self.epsilon * (1 + HEADROOM)
        bottom = top - set_margins(shown, self.margin_constants, within, self.guarantee).left.amax(1)
        least, most = torch.nextafter(top, -torch.inf * torch.ones_like(top)), torch.nextafter(top, top + torch.inf)
        bottom = torch.where(certified, torch.minimum(bottom, least), torch.maximum(bottom, most))
        return torch.cat((shown, torch.where(finite, bottom, torch.inf)[:, None]), dim=1)

    def predict(self, x: Inputs) -> Tensor:
        """The class of each row, or ABSTAIN: int64 [batch]. Under top-k and affinity the loosest certified set as a
        mask, bool [batch, classes], all False for ⊥.
        """
        _, order, radii, certified = self._ranked(x)
        if isinstance(self.guarantee, Standard):
            return torch.where(certified, order[:, 0], ABSTAIN)
        places = torch.arange(1, radii.shape[1] + 1, device=radii.device)
        size = (self._held(radii) * places).amax(1)
        ranked = torch.arange(order.shape[1], device=order.device) < size[:, None]
        return torch.zeros_like(ranked).scatter_(1, order, ranked)

    def train(self, mode: bool = True) -> GloRo:
        """Stays in evaluation mode; raises ValueError where training mode is asked for."""
        if mode:
            raise ValueError(
                "a deployed GloRo net is certified in evaluation mode; train the network inside it instead"
            )
        return super().train(False)

    def _ranked(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits, classes by falling logit, radii of the admitted sets [batch, sizes], and which rows are certified."""
        logits = self.model(x)
        scores = logits.double()
        lengths = x.flatten(1).double().norm(dim=1)
        stated = EvaluationError(*self.error.unbind())  # pyright: ignore[reportArgumentType]
        error = stated.at(lengths) + torch.where(self.error[3] >= _unit(logits.dtype), 0.0, torch.inf)
        error = torch.where(self.error[:2].sum() > 0, error, torch.zeros_like(error))
        sizes = largest_set(self.guarantee, scores.shape[1])
        order = finite_scores(scores).argsort(dim=1, descending=True, stable=True)
        leaders = order[:, :sizes]
        radii = certified_radii(scores, leaders, self.margin_constants, error)
        radii = radii.masked_fill(~admissible_sets(leaders, self.guarantee, scores.shape[1]), 0.0)
        radii = torch.minimum(radii, torch.as_tensor(stated.within))
        return scores, order, radii, self._held(radii).any(1)

    def _held(self, radii: Tensor) -> Tensor:
        return (radii >= self.epsilon) & (radii > 0)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        kept = {name: getattr(self, name) for name in ("margin_constants", "epsilon", "error")}
        super()._apply(fn, recurse)
        for name, exact in kept.items():
            setattr(self, name, exact.to(getattr(self, name).device))
        return self


def _unit(dtype: torch.dtype) -> float:
    """The unit roundoff."""
    return torch.finfo(dtype).eps / 2
