"""How the pictures and texts of a check stand on the page: halves in pairs, texts beside a last one."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.report.view import Block, Picture


def arranged(pictures: Sequence[Picture]) -> tuple[Block, ...]:
    """Blocks from top to bottom; the last one has `texts`: notes, grounds and limits."""
    notes = tuple(picture for picture in pictures if picture.kind == "note")
    blocks: list[Block] = []
    pending: Picture | None = None
    for picture in pictures:
        if picture.kind == "note":
            continue
        if not _half(picture):
            blocks.append(Block((picture,)))
        elif pending is None:
            pending = picture
        else:
            blocks.append(_pair(pending, picture))
            pending = None
    if pending is not None:
        blocks.append(Block((pending,), texts=True, notes=notes, heat="left" if pending.heat else ""))
    elif blocks and blocks[-1].heat:
        blocks[-1] = Block(blocks[-1].pictures, texts=True, notes=notes, heat=blocks[-1].heat)
    else:
        blocks.append(Block((), texts=True, notes=notes))
    return tuple(blocks)


def _half(picture: Picture) -> bool:
    """Whether half the width is enough."""
    if picture.wide or picture.kind == "tiles":
        return False
    if picture.sheet is not None:
        return len(picture.sheet.columns) <= 3 and len(picture.sheet.rows) <= 16
    return True


def _pair(one: Picture, other: Picture) -> Block:
    """Two halves; a heat map gets more of the width than what stands beside it."""
    side = "" if one.heat == other.heat else "left" if one.heat else "right"
    return Block((one, other), heat=side)
