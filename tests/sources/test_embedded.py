"""The quick reader of the embedded digits gives what scikit-learn's own loader gives."""

import numpy as np
from sklearn.datasets import load_digits

from auditor.sources.formats.embedded import _digits


def test_digits_are_scikit_learn_s():
    quick, slow = _digits(), load_digits()
    assert quick is not None
    for name in ("data", "target", "images"):
        np.testing.assert_array_equal(getattr(quick, name), getattr(slow, name))
        assert getattr(quick, name).dtype == getattr(slow, name).dtype
