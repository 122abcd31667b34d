"""Six families of networks in three ways of writing them: what is cut is what is masked, in every one."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import interpret, structure
from compressjax.core._paths import flatten_with_path, path_string
from tests import helpers
from tests.interpret import cutting
from tests.structure import families

# Nets that read every width off their arrays; the others say one somewhere (Linen does in its fields).
NATIVE = {("mlp", "nnx"), ("resnet", "nnx"), ("mlp", "plain"), ("resnet", "plain"), ("lstm", "plain")}


def floats(tree):
    """Arrays of weights by path; an NNX state holds counters of random streams besides."""
    flat = {path_string(path): leaf for path, leaf in flatten_with_path(tree)[0]}
    return {path: np.asarray(leaf) for path, leaf in flat.items() if jnp.issubdtype(leaf.dtype, jnp.floating)}


def run(fn, params, x):
    return np.asarray(jax.jit(fn)(params, x), np.float64)


# Every family, and every way of writing; `test_narrow` cuts the others that are of Linen.
QUICK = [
    ("mlp", "linen"), ("resnet", "nnx"), ("separable", "plain"), ("bert", "nnx"), ("llama", "linen"), ("lstm", "plain"),
]  # fmt: skip


@pytest.mark.turns(3)
@pytest.mark.parametrize(("family", "written"), helpers.quick(families.NETS, *QUICK))
def test_masked_equals_shrunk(family, written):
    fn, params, x = families.NETS[family, written]()
    groups = interpret.couplings(fn)(params, x)
    small = structure.shrink(fn, params, x, keep=0.5, allow_inexact=True)
    assert small.error <= 1e-5
    assert small.native == ((family, written) in NATIVE)
    want, got = run(fn, cutting.change(params, groups, small.kept, zero=True), x), run(small.fn, small.params, x)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * max(1.0, np.abs(want).max()))
    assert np.abs(run(fn, params, x) - want).max() > 1e-2  # what was cut did something
    count, widths = families.COUNTS[family]
    assert {group.units for group in groups if not group.frozen} == set(widths)
    before, after = floats(params), floats(small.params)
    assert sum(leaf.size for leaf in before.values()) == count(*widths)
    assert sum(leaf.size for leaf in after.values()) == count(*(math.ceil(width / 2) for width in widths))
    cut = floats(cutting.change(params, groups, small.kept, zero=False))
    assert all(np.array_equal(after[path], cut[path]) for path in before)
    assert small.after.parameters == sum(leaf.size for leaf in jax.tree.leaves(small.params)) < small.before.parameters
    assert small.after.flops < 0.6 * small.before.flops
    assert {c.group: c.kept for c in small.cuts if not c.reason} == {n: len(k) for n, k in small.kept.items()}


@pytest.mark.parametrize("written", helpers.quick(["linen", "nnx", "plain"], "nnx"))
def test_batch_norm_has_a_bias_and_statistics_of_its_own(written):
    fn, params, x = families.NETS["resnet", written]()
    leaves = floats(params)
    for kind, initial in (("mean", 0), ("var", 1), ("bias", 0)):
        found = [leaf for path, leaf in leaves.items() if path.endswith(kind)]
        assert len(found) >= 5
        assert all(np.all(leaf != initial) for leaf in found)
    members = {
        member.path for group in interpret.couplings(fn)(params, x) if not group.frozen for member in group.members
    }
    assert {path for path in leaves if path.endswith(("mean", "var"))} <= members
