"""Which values of a forward pass share memory, so that changing one in place changes the others."""

from __future__ import annotations


class Memory:
    """Values by the places of their nodes; each has memory of its own until `share` says otherwise."""

    def __init__(self) -> None:
        self._owner: dict[int, int] = {}
        self._changed: dict[int, str] = {}

    def share(self, place: int, source: int) -> None:
        """The value at `place` may be a view of the one at `source`."""
        self._owner[place] = self._owner.get(source, source)

    def change(self, place: int, result: int, by: str) -> None:
        """The operation `by`, whose own value is at `result`, overwrites the value at `place` and all its views."""
        owner = self._owner.get(place, place)
        self._changed |= {each: by for each in range(result) if self._owner.get(each, each) == owner}

    def changed_by(self, place: int) -> str | None:
        """What overwrote the value at `place`; None while it is what it was."""
        return self._changed.get(place)
