"""Shape-annotated aliases for signatures under `methods/` and `loading/`. Importing this imports torch."""

from __future__ import annotations

from jaxtyping import Float, Int64
from torch import Tensor

Inputs = Float[Tensor, "batch *input"]
Images = Float[Tensor, "batch channels height width"]
Logits = Float[Tensor, "batch classes"]
Labels = Int64[Tensor, " batch"]
MarginConstants = Float[Tensor, "classes classes"]
