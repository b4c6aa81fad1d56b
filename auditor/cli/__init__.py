"""The command line. `main` is the console script."""

from auditor.cli.main import main

__all__ = ["main"]
