"""What a spec names and where it lies: files, and code to import."""

from auditor.lookup.code import Callable, load_callable, parse_callable
from auditor.lookup.files import find

__all__ = ["Callable", "find", "load_callable", "parse_callable"]
