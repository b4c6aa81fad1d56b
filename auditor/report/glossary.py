"""What metrics and terms mean, in one sentence each."""

from __future__ import annotations

from collections.abc import Collection

METRICS = {
    "accuracy": "share of rows whose label is predicted",
    "vra": "share of rows that are right and certified at ε",
    "clean_accuracy": "share of rows right without perturbation",
    "rejection_rate": "no certificate at ε, whatever the label",
    "accuracy_under_attack": "share still right under the strongest attack tried; the true robust share is no larger",
    "lipschitz_upper": "proved bound on how fast a difference of logits can change; the largest pair",
    "lipschitz_lower": "a rate that was seen; the true constant is no smaller",
    "vra_ceiling": "what no classifier exceeds: of two rows within 2ε whose labels conflict, one is lost",
    "certified_globally": "share certified at ε by the network’s constant, right or wrong",
    "certified_locally": "share certified at ε only by linear bounds around the row, right or wrong",
    "vra_locally": "share right and certified at ε that linear bounds add",
    "out_of_time": "share left undecided when the time for linear bounds ran out",
    "abstained": "share of rows on which the smoothed classifier did not answer",
    "sigma": "standard deviation of the smoothing noise, in the units of the input",
    "alpha": "chance, at each row, that a probabilistic certificate is false",
    "global_upper": "proved bound over all inputs",
    "global_lower": "largest rate seen anywhere",
    "local_lower_mean": "mean of the largest rates seen near each row",
    "tightness": "largest rate seen over the proved bound; 1 is exact",
    "fraction": "share of rows that hold",
    "undefined": "rows without any influence to share out; they count against the claim",
    "value_median": "the middle row’s value",
    "sensitivity": "share of rows whose score rises along the concept",
    "p_value": "chance of such a result if there were no effect",
    "cav_accuracy": "how well the concept can be told from its counterpart",
    "rank_correlation": "agreement with the original explanation",
    "worst_attack": "the attack with the largest upper bound",
    "excess_ssim": "similarity to members beyond that to non-members",
    "ssim_member": "structural similarity to the nearest member",
    "ssim_nonmember": "structural similarity to the nearest non-member",
    "max_ssim": "largest structural similarity",
    "chance": "what guessing scores",
    "null_p95": "what 95 of 100 random labellings stay below",
    "bias_amplification": "rate at which a class is predicted less that at which it occurs; of several the largest",
    "prior": "share of the class among the labels",
    "predicted_rate": "share of the class among the predictions",
    "unavoidable": "what even the best classifier of this kind would show; absent where theorem 9.1 does not apply",
    "excess": "amplification beyond the unavoidable part",
    "mahalanobis_within": "distance of the class means, in units of the spread within the classes",
    "mahalanobis_total": "distance of the class means, in units of the whole spread",
    "asymmetry": "how far features of one class outnumber the other’s",
    "fraction_randomised": "the same share for the same network with random weights",
    "vacuous": "whether a network with random weights passes too",
    "residual_max": "largest amount by which attributions miss what they must sum to",
    "incomplete": "rows whose attributions did not reach that within the steps allowed",
    "steps_max": "most steps that a row needed",
    "per_class_accuracy": "share of each class’s rows whose label is predicted",
}
"""The contract’s metrics, each in a few words."""

_TERMS: dict[str, tuple[str, Collection[str]]] = {
    "Advantage": (
        "True-positive rate minus false-positive rate of a membership attack, at a threshold fixed beforehand. "
        "0 is a coin toss, 1 is certainty.",
        ("privacy",),
    ),
    "Affinity set": (
        "Classes whose confusion a reviewer accepts. A certificate may end anywhere inside one.",
        ("sets",),
    ),
    "Attribution": (
        "Influence times the distance from the baseline; over all inputs it sums to the change of the quantity.",
        ("influence",),
    ),
    "Baseline": (
        "For an explanation: the input it is compared with. For a report: the earlier run it is compared with.",
        ("influence", "baseline"),
    ),
    "Certified": ("Proved from the weights; no input within the stated radius can contradict it.", ("robustness",)),
    "Clopper–Pearson": ("An exact interval for a share; never too narrow.", ()),
    "Confidence": (
        "How often a procedure like this one gives bounds that hold. Each end of an interval holds at it.",
        (),
    ),
    "Epsilon (ε)": ("The radius of the perturbations considered, in the units of the input.", ("robustness",)),
    "Inconclusive": ("The data cannot put the whole interval on one side. It does not open the gate.", ()),
    "Influence": (
        "The mean gradient of a quantity over a distribution of inputs, at a slice of the network.",
        ("influence",),
    ),
    "Interval": ("The values that the rows at hand cannot rule out.", ()),
    "Lipschitz bound": (
        "How fast a difference of two logits can change; from above when proved, from below when witnessed.",
        ("robustness",),
    ),
    "Margin": ("The lead of the first logit over a rival.", ("robustness",)),
    "Member": ("A row that was in the training set.", ("privacy",)),
    "Power": (
        "The chance that an audit of this size gives the right answer, if the truth is a given value.",
        ("privacy",),
    ),
    "Quantity": ("What an explanation explains: a logit, or a difference of two.", ("influence",)),
    "Radius": ("The largest ε at which a row stays certified.", ("robustness",)),
    "Shadow model": (
        "A model trained by the same recipe on other rows, to learn what membership looks like.",
        ("privacy",),
    ),
    "Slice": ("A cut through the network at which influence is taken.", ("influence",)),
    "SSIM": (
        "Structural similarity of two images; 1 is equality. Excess SSIM is members minus non-members.",
        ("privacy.inversion", "privacy.encoding"),
    ),
    "VRA": (
        "Verified-robust accuracy: share of rows that are right and certified. Under a guarantee, the label lies in "
        "the loosest certified set.",
        ("robustness",),
    ),
    "Waiver": ("A named person’s acceptance of one check’s failure, with a reason and an expiry.", ()),
    "Bias amplification": (
        "How much more often a model predicts a class than it occurs, where it already occurs often.",
        ("bias",),
    ),
}


def terms(types: Collection[str], *, sets: bool, baseline: bool) -> tuple[tuple[str, str], ...]:
    """The terms that a report with checks of these types uses, in order of the alphabet."""
    topics = {*types, *(kind.partition(".")[0] for kind in types)}
    topics |= ({"sets"} if sets else set()) | ({"baseline"} if baseline else set())
    chosen = [(term, meaning) for term, (meaning, used) in _TERMS.items() if not used or topics & set(used)]
    return tuple(sorted(chosen, key=lambda pair: pair[0].lower()))
