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
    last = blocks[-1] if blocks else None
    if (
        pending is None
        and last is not None
        and last.heat
        and len(last.pictures) == 2
        and last.pictures[1].kind == "table"
    ):
        blocks[-1] = Block(last.pictures, texts=True, notes=notes, heat=True)
    elif pending is not None:
        blocks.append(Block((pending,), texts=True, notes=notes, heat=pending.heat))
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
    """Two halves; a heat map comes first and gets more of the width."""
    if other.heat and not one.heat:
        one, other = other, one
    return Block((one, other), heat=one.heat and not other.heat)
