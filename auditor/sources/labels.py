"""Labels as class indices."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from auditor.errors import DataError
from auditor.sources.rows import named

if TYPE_CHECKING:
    import numpy as np


def class_indices(
    raw: np.ndarray, index: np.ndarray, subject: str, classes: tuple[str, ...], *, by_name: bool
) -> np.ndarray:
    """int64 [n]. Text is looked up among `classes` (without any: among its own sorted values); whole numbers are
    indices, unless `by_name` and every one of them is a class name. Raises DataError naming the rows, whose numbers
    are `index`."""
    import numpy as np

    from auditor.sources.formats.table import missing

    if (gaps := missing(raw)).any():
        raise DataError(f"{subject}: the label is missing in {named(index[gaps])}", remedy="drop these rows (`rows`)")
    if raw.dtype.kind == "f":
        if not (raw == np.floor(raw)).all():
            wrong = index[raw != np.floor(raw)]
            raise DataError(
                f"{subject}: labels are not whole numbers in {named(wrong)}", remedy="is it the right column?"
            )
        raw = raw.astype(np.int64)
    if raw.dtype.kind == "b":
        raw = raw.astype(np.int64)
    values, places = np.unique(raw.astype(str) if raw.dtype == object else raw, return_inverse=True)
    names = [str(value) for value in values]
    numeric = values.dtype.kind in "iu"
    if not numeric and not classes:
        return places.astype(np.int64)
    if not numeric or (by_name and set(names) <= set(classes)):
        known = {name: position for position, name in enumerate(classes)}
        meaning = np.array([known.get(name, -1) for name in names], dtype=np.int64)
    else:
        top = len(classes) or None
        meaning = np.array([int(v) if v >= 0 and (top is None or v < top) else -1 for v in values], dtype=np.int64)
    indices = meaning[places]
    if (indices < 0).any():
        strange = [name for name, position in zip(names, meaning, strict=True) if position < 0]
        close = difflib.get_close_matches(strange[0], classes, n=1)
        expected = f"a class index from 0 to {len(classes) - 1}" if numeric else f"one of {', '.join(classes)}"
        raise DataError(
            f"{subject}: label {', '.join(map(repr, strange[:5]))} is outside the classes, "
            f"{named(index[indices < 0])}; expected {expected}",
            remedy=f"did you mean {close[0]!r}?" if close else "correct model.classes or the source's label",
            code="label-outside-classes",
        )
    return indices


def refuse_other_classes(subject: str, found: tuple[str, ...], classes: tuple[str, ...]) -> None:
    """Raises DataError unless a file's own class names are the spec's, in the spec's order."""
    if found == classes:
        return
    if sorted(found) == sorted(classes):
        what = f"orders its classes {', '.join(found)}; model.classes orders them {', '.join(classes)}"
    else:
        extra, lacking = (sorted(set(a) - set(b)) for a, b in ((found, classes), (classes, found)))
        parts = [f"only the file has {', '.join(extra)}"] if extra else []
        parts += [f"only model.classes has {', '.join(lacking)}"] if lacking else []
        what = f"states other classes than model.classes: {'; '.join(parts) or 'a name is repeated'}"
    raise DataError(
        f"{subject} {what}",
        remedy=f"write model.classes as the file has them: [{', '.join(found)}]",
        code="class-mismatch",
    )
