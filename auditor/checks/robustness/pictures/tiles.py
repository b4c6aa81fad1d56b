"""Inputs to look at: those that are right by the smallest margins, and those that exclude each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.checks.common.images import as_image, is_image
from auditor.records import ImageGrid, Tile

if TYPE_CHECKING:
    import numpy as np

    from auditor.checks.robustness.certified import CertifiedRobustness
    from auditor.checks.robustness.certifying import Narrowest
    from auditor.checks.robustness.judgement import Outcome
    from auditor.checks.robustness.separating import Conflicts


def narrowest_grid(
    check: CertifiedRobustness,
    outcome: Outcome,
    narrowest: Narrowest,
    index: np.ndarray,
    classes: tuple[str, ...],
    input_range: tuple[float, float] | None,
) -> tuple[ImageGrid | None, dict[str, np.ndarray]]:
    if not is_image(narrowest.inputs.shape[1:]) or not len(narrowest.positions):
        return None, {}
    tiles, images = [], {}
    for place, position in enumerate(narrowest.positions.tolist()):
        name = f"narrow-{place}"
        images[name] = as_image(narrowest.inputs[place].numpy(), input_range)
        radius, proved = outcome.vra_radius[position], bool(outcome.proved(check.epsilon)[position])
        broken = bool(outcome.broken_at[position] <= check.epsilon)
        tiles.append(
            Tile(
                image=name,
                title=f"{classes[outcome.label[position]]}: {radius:.3g}",
                note=f"row {index[position]}, {'certified' if proved else 'broken' if broken else 'undecided'}",
                status="holds" if proved else "breaks" if broken else "neutral",
            )
        )
    said = "; ".join(f"{tile.title} ({tile.note})" for tile in tiles)
    grid = ImageGrid(
        id="narrowest",
        caption="Rows that are right by the smallest margins.",
        detail=f"Under each its class and the radius up to which that is certified; {check.epsilon:g} is asked for.",
        alt=f"Inputs with the smallest certified radii: {said}.",
        wide=True,
        tiles=tuple(tiles),
    )
    return grid, images


def conflicts_grid(
    check: CertifiedRobustness,
    outcome: Outcome,
    conflicts: Conflicts,
    index: np.ndarray,
    classes: tuple[str, ...],
    input_range: tuple[float, float] | None,
) -> tuple[ImageGrid | None, dict[str, np.ndarray]]:
    """The nearest pairs of rows of which no classifier can have both certified right; None where there is none."""
    count = min(conflicts.within(check.epsilon), len(conflicts.inputs))
    if not count or not is_image(conflicts.inputs.shape[2:]):
        return None, {}
    tiles, images = [], {}
    for place in range(count):
        for side, position in enumerate(conflicts.positions[place].tolist()):
            name = f"conflict-{place}-{side}"
            images[name] = as_image(conflicts.inputs[place, side].numpy(), input_range)
            tiles.append(
                Tile(
                    image=name,
                    title=classes[outcome.label[position]],
                    note=f"row {index[position]}, {float(conflicts.distance[place]):.3g} apart",
                    status="breaks",
                )
            )
    said = "; ".join(f"{tile.title} ({tile.note})" for tile in tiles)
    grid = ImageGrid(
        id="conflicts",
        caption="Rows that no classifier can have certified right together.",
        detail=f"Pairs of labels that exclude each other, less than twice {check.epsilon:g} apart.",
        alt=f"Pairs of inputs with conflicting labels: {said}.",
        wide=True,
        tiles=tuple(tiles),
    )
    return grid, images
