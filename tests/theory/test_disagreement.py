"""A certified model for one that is not."""

import numpy as np
import pytest
import scipy.stats

from compressjax.theory import certify, description_length, disagreement_bound


def test_errors_and_disagreements_add_up():
    exact = scipy.stats.beta.ppf(0.95, 51, 950)
    assert disagreement_bound(0.1, 50, 1000) == pytest.approx(0.1 + exact, abs=1e-9)
    assert disagreement_bound(0.9, 500, 1000) == 1.0


def test_a_certificate_is_taken_as_it_is():
    found = certify(description_length(80), np.zeros(9000, bool), iid=True, trained_on=1, measured_on=1)
    assert disagreement_bound(found, 3, 500) == disagreement_bound(found.bound, 3, 500) > found.bound


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"surrogate=1.5 must be a bound in \[0, 1\]"):
        disagreement_bound(1.5, 1, 10)
    with pytest.raises(ValueError, match="errors=11 of examples=10"):
        disagreement_bound(0.5, 11, 10)
