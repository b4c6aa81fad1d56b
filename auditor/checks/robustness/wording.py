"""What a finding about robustness says in words: its summary, what it rests on, what it does not show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auditor.spec.method import Crown
from auditor.statistics import Interval, clopper_pearson
from auditor.terms import Standard, TopK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auditor.checks.robustness.attacked import AttackedRobustness
    from auditor.checks.robustness.certified import CertifiedRobustness
    from auditor.methods.robustness import Bounds
    from auditor.spec.check import Check

ARITHMETIC = {
    "real": "Arithmetic: real. The float64 evaluation error of the logits is subtracted from every margin.",
    "float32": "Arithmetic: float32. From every margin is subtracted what float32 may take from it at the row and at "
    "every neighbour within the radius, whatever the order of sums, fused or not.",
}

LAYERS = {
    "l2": "each eigenvalue bound proved by a Cholesky factorisation with its residual and rounding added",
    "linf": "each layer's largest sum of magnitudes, rounded up",
}

SERVING = {
    "real": "Arithmetic on the device that serves the model, if not float64, is not covered.",
    "float32": "Presumed of the device that serves the model: TF32, bfloat16 and autocast off, convolutions direct or "
    "by im2col. Winograd and FFT, which cuDNN and NNPACK may choose, are not covered, nor can that be checked here.",
}


def certified_summary(
    check: CertifiedRobustness, counts: dict[str, int], n: int, metrics: dict[str, Any], interval: Interval | None
) -> str:
    if not n:
        return "No row satisfies the check's filter. Nothing was certified and nothing refuted."
    proved, clean, standing = counts["vra"], counts["clean_accuracy"], counts["accuracy_under_attack"]
    first = f"For {proved:,} of {n:,} rows {_promise(check)} under any perturbation of {ball(check)}. {_by(counts)}"
    second = f"{clean - standing:,} more are right until an attack breaks them, {standing - proved:,} are neither, "
    second += f"{n - clean:,} are wrong without any perturbation."
    if check.threshold.metric == "lipschitz_upper":
        second = (
            f"No margin changes by more than {metrics['lipschitz_upper']:.4g} per unit of input; "
            f"a change of {metrics['lipschitz_lower']:.4g} was observed."
        )
    return first + second


def _by(counts: dict[str, int]) -> str:
    """Which bounds prove it, where there are two kinds."""
    if not counts["vra"] or "vra_locally" not in counts:
        return ""
    locally, proved = counts["vra_locally"], counts["vra"]
    return f"The network's constant proves {proved - locally:,} of these, linear bounds around the row {locally:,}. "


def attacked_summary(check: AttackedRobustness, counts: dict[str, int], n: int) -> str:
    if not n:
        return "No row satisfies the check's filter. Nothing was attacked."
    clean, standing = counts["clean_accuracy"], counts["accuracy_under_attack"]
    return (
        f"{attack_name(check)} changed the label of {clean - standing:,} of the {clean:,} rows that were right, by "
        f"moving the input at most {check.epsilon:g} in the {norm_name(check)} norm. {standing:,} of {n:,} rows stayed "
        "right, which does not prove that every attack fails on them."
    )


def _promise(check: CertifiedRobustness) -> str:
    match check.guarantee:
        case TopK(k=k):
            return f"the label lies in a set of at most {k} highest classes that provably cannot change"
        case Standard():
            return "the label is right and provably cannot change"
        case _:
            return "the label lies in a set of acceptable confusions that provably cannot change"


def assumed(constants: Mapping[str, float]) -> tuple[str, ...]:
    """What a finding rests on that nobody proved: `Bounds.assumed`."""
    return tuple(
        f"the constant {constant:g} of `{name.removeprefix('network.')}`, which is the user's word"
        for name, constant in constants.items()
    )


def rests_on(check: CertifiedRobustness, bounds: Bounds) -> tuple[str, ...]:
    nobody = ("No constant is assumed by the user.",) if not bounds.assumed else ()
    return (
        f"Lipschitz bounds recomputed from the weights alone in float64, {LAYERS[check.norm]}; nothing else stored in "
        "the checkpoint is read.",
        *_linear_basis(check),
        ARITHMETIC[check.arithmetic],
        *nobody,
    )


def _linear_basis(check: CertifiedRobustness) -> tuple[str, ...]:
    if not isinstance(check.method, Crown):
        return ()
    return (
        "For rows that these leave undecided, linear bounds on every layer around the row (Zhang et al. 2018), in "
        "float64 with each rounding counted, theirs and that of evaluating the model in "
        f"{'float32' if check.arithmetic == 'float32' else 'float64'}, sharpened for up to "
        f"{check.method.seconds:g}\u202fs a row.",
    )


def certified_limits(check: CertifiedRobustness, counts: dict[str, int], n: int) -> tuple[str, ...]:
    wrong = f"{(n - counts['clean_accuracy']) / n:.1%}".replace("%", "\u202f%") if n else "an unknown share"
    limits = [
        f"Nothing about changes larger than {check.epsilon:g} in the {norm_name(check)} norm, or of another kind.",
        f"A prediction may be certified and wrong: {wrong} of the rows are wrong without any perturbation.",
        f"Undecided is not broken: {attack_name(check)} failed on them; a stronger attack might not.",
        SERVING[check.arithmetic],
    ]
    if isinstance(check.method, Crown):
        limits += _linear_limits(check, check.method, counts)
    elif check.norm == "linf":
        limits.append(
            "Layer by layer, bounds in the ℓ∞ norm are loose: far more rows may be robust than are certified."
        )
    return tuple(limits)


def _linear_limits(check: CertifiedRobustness, method: Crown, counts: dict[str, int]) -> list[str]:
    limits = []
    if counts["certified_locally"]:
        limits.append(
            f"Linear bounds were sought for {check.epsilon:g} alone: rows certified by them have that radius in the "
            "tables, and may keep their guarantee further. `auditor verify` does not prove them again."
        )
    if (late := counts["out_of_time"]) > 0:
        rows = f"{late:,} undecided row{'' if late == 1 else 's'}"
        limits.append(
            f"For {rows} the {method.seconds:g}\u202fs of linear bounds ran out. More seconds, or a faster machine, "
            "may certify more, so these shares may differ from run to run."
        )
    return limits


def ceiling_limit(check: CertifiedRobustness, ceiling: float | None) -> tuple[str, ...]:
    """What no classifier could do on these rows, where that is less than everything."""
    if ceiling is None or ceiling == 1.0:
        return ()
    return (
        f"No classifier can be certified right on more than {ceiling:.3f} of these rows: others lie within twice "
        f"{check.epsilon:g} of a row whose label excludes theirs.",
    )


def opens_when(check: Check, interval: Interval | None) -> str | None:
    threshold = check.threshold
    if interval is None:
        return "the check has rows to decide on"
    if threshold.at_least is not None and interval.low < threshold.at_least:
        side = "lower" if check.claim == "population" else "proved"
        return f"the {side} bound of {threshold.metric} rises from {interval.low:.3f} to {threshold.at_least:g}"
    if threshold.at_most is not None and interval.high > threshold.at_most:
        return f"the upper bound of {threshold.metric} falls from {interval.high:.3f} to {threshold.at_most:g}"
    return None


def power(check: Check, n: int) -> str | None:
    """What these rows could have shown at best."""
    if check.claim == "sample" or not n or check.threshold.metric == "lipschitz_upper":
        return None
    best = clopper_pearson(n, n, confidence=check.confidence).low
    return f"{n:,} rows, all on the right side, would put the bound at {best:.3f}."


def norm_name(check: Any) -> str:
    return {"l2": "ℓ₂", "linf": "ℓ∞"}[check.norm]


def ball(check: Any) -> str:
    return f"{norm_name(check)} norm up to {check.epsilon:g}"


def within(input_range: tuple[float, float] | None) -> str:
    return "" if input_range is None else f" within the input range [{input_range[0]:g}, {input_range[1]:g}]"


def attack_name(check: Any) -> str:
    attack = check.attack
    counts = ((attack.steps, "step"), (attack.restarts, "restart"), (attack.targets, "target"))
    steps, restarts, targets = (f"{number} {noun}{'' if number == 1 else 's'}" for number, noun in counts)
    return f"PGD with {steps}, {restarts} and {targets}"
