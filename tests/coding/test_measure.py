"""The figures that `measure` reports are those of the stream it made."""

import numpy as np
import pytest

from compressjax.coding import ArtifactError, measure
from compressjax.theory import empirical_entropy
from tests.coding.samples import bell


def test_figures_of_a_bell_shaped_stream():
    symbols = bell(0, 100_000, 32)
    figures = measure(symbols, repeats=1)
    assert figures.entropy_bytes == pytest.approx(empirical_entropy(symbols) * symbols.size / 8)
    assert 0 <= figures.excess < 0.01
    assert figures.coded_bytes == pytest.approx(figures.entropy_bytes * (1 + figures.excess))
    assert figures.encode_rate > 0 < figures.decode_rate


def test_one_symbol_has_nothing_to_measure():
    with pytest.raises(ArtifactError, match="at least two different"):
        measure(np.zeros(10, int))
