"""Hypothesis for the whole suite: the same examples every time, and no deadline, since CI machines stall."""

from hypothesis import settings

settings.register_profile("suite", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("suite")
