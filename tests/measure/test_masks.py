"""Mask statistics and dead units by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import measure, prune
from compressjax.core import compress
from compressjax.interpret import observe
from compressjax.tensors import Masked
from tests import helpers


def test_by_hand():
    mask = np.ones((4, 3), bool)
    mask[1] = False
    mask[:, 2] = False
    mask[0, 0] = False
    found = measure.mask_statistics({"k": Masked(jnp.ones((4, 3)), jnp.asarray(mask)), "bias": jnp.zeros(3)})
    assert set(found) == {"k"}
    k = found["k"]
    assert (k.entries, k.kept, k.empty_inputs, k.empty_outputs, k.fewest, k.most) == (12, 5, 1, 1, 0, 3)
    h = -(5 / 12) * np.log2(5 / 12) - (7 / 12) * np.log2(7 / 12)
    np.testing.assert_allclose([k.density, k.position_bits], [5 / 12, 12 * h / 5])
    assert k.patterns == ()


@pytest.mark.turns(3)
@pytest.mark.parametrize(
    ("pattern", "says"), [("2:4", {"2:4"}), ("1:4", {"1:4", "2:4"}), ("1:2", {"1:2", "2:4", "4:8"})]
)
def test_patterns_are_recognized(pattern, says):
    tree = compress({"k": helpers.array(0, (16, 9))}, {".*": prune.magnitude(pattern=pattern)})
    assert says <= set(measure.mask_statistics(tree)["k"].patterns)


def test_dead_units():
    params = {"a": jnp.array([[1.0, -5.0, 0.0], [1.0, -5.0, 0.0]]), "b": jnp.array([[1.0], [1.0], [0.0]])}
    x = jnp.abs(helpers.array(0, (20, 2)))
    _, stats = observe(lambda p, x: jnp.maximum(x @ p["a"], 0) @ p["b"])(params, x)
    found = measure.dead_units(params, stats)
    assert found["b"].silent.tolist() == [1, 2]
    assert found["b"].unread.tolist() == [2]
    assert found["a"].unfed.tolist() == [2]
    assert found["a"].silent.tolist() == []
    assert measure.dead_units(params)["a"].silent is None
    with pytest.raises(ValueError, match="selects nothing"):
        measure.dead_units(params, selector="no")
    unseen = stats | {"b": stats["b"].replace(count=jnp.zeros(()))}
    with pytest.raises(ValueError, match="dead_units: 'b': no input reached it"):
        measure.dead_units(params, unseen)
