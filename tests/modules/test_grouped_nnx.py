"""Groups of a cut convolution are counted from shapes, or from what enters."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from compressjax.modules._grouped_nnx import counting, group_counts


def cut(groups, inputs, outputs):
    """Eight channels in groups, and a kernel of fewer inputs and outputs."""
    layer = nnx.Conv(8, 8, (1,), feature_group_count=groups, rngs=nnx.Rngs(0))
    layer.kernel, layer.bias = nnx.Param(jnp.ones((1, inputs, outputs))), nnx.Param(jnp.ones(outputs))
    return layer


@pytest.mark.parametrize(
    ("groups", "inputs", "outputs", "counts"),
    [
        (1, 8, 3, [1]),
        (2, 4, 8, [2]),
        (2, 1, 8, [2]),
        (2, 4, 6, [2]),
        (2, 4, 4, [1, 2]),
        (2, 4, 3, [1]),
        (2, 4, 7, []),
        (4, 2, 4, [2, 4]),
        (8, 1, 5, [5]),
    ],
)
def test_counts_are_those_that_have_no_larger_groups(groups, inputs, outputs, counts):
    assert group_counts(cut(groups, inputs, outputs)) == counts


def test_new_numbers_that_were_set_stay():
    layer = cut(2, 4, 4)
    layer.out_features, layer.feature_group_count = 4, 1
    assert group_counts(layer) == [1]


@pytest.mark.parametrize(("entering", "groups"), [(4, 1), (8, 2)])
def test_what_enters_a_traced_copy_decides(entering, groups):
    layer = cut(2, 4, 4)
    with counting([layer]):
        definition, state = nnx.split(layer)
        jax.eval_shape(lambda s, x: nnx.merge(definition, s)(x), state, jnp.ones((1, 3, entering)))
    assert (layer.feature_group_count, layer.out_features) == (groups, 4)


def test_a_failed_run_leaves_layers_as_they_were():
    layer = cut(2, 4, 4)
    plain = layer.conv_general_dilated
    with pytest.raises(ValueError, match="feature"), counting([layer]):
        layer(jnp.ones((1, 3, 5)))
    assert layer.conv_general_dilated is plain
    assert (layer.feature_group_count, layer.out_features) == (2, 8)
