"""SparseGPT against a NumPy loop from the definition, and its error below that of Wanda and magnitude."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, prune
from compressjax.interpret import observe
from compressjax.interpret.observing._statistics import of_rows
from tests import helpers
from tests.prune.layers import correlated, error, pruned


def by_definition(w, gram, sparsity, block, damping, nm=None, inverse=np.linalg.inv):
    """Column by column as in the paper, with direct inverses: no root, no deferred updates."""
    w, (inputs, outputs) = w.astype(np.float64).copy(), w.shape
    h = gram.astype(np.float64) + damping * np.mean(np.diagonal(gram)) * np.eye(inputs)
    # (H_{j:, j:})^-1 for every j: what is left to choose from when the inputs before j are fixed.
    left = [inverse(h[j:, j:]) for j in range(inputs)]
    keep = np.ones(w.shape, bool)
    for i in range(inputs):
        scores = lambda rows: np.stack([w[r] ** 2 / left[r][0, 0] for r in rows])  # noqa: E731
        if nm is None and i % block == 0:
            rows = range(i, min(i + block, inputs))
            s = scores(rows)
            gone = np.argsort(s.ravel(), kind="stable")[: round(sparsity * s.size)]
            keep[i : i + block] = ~np.isin(np.arange(s.size), gone).reshape(s.shape)
        if nm is not None and i % nm[1] == 0:
            s = scores(range(i, i + nm[1]))
            for j in range(outputs):
                keep[i : i + nm[1], j] = np.isin(np.arange(nm[1]), np.argsort(-s[:, j])[: nm[0]])
        error = np.where(keep[i], 0.0, w[i])
        w[i:] -= np.outer(left[i][:, 0] / left[i][0, 0], error)
    return np.where(keep, w, 0.0), keep


@pytest.mark.parametrize(
    ("sparsity", "block", "pattern"),
    [(0.5, 128, None), (0.7, 8, None), (0.5, 7, None), (None, 128, (2, 4)), (None, 6, (1, 4))],
)
def test_is_the_definition(sparsity, block, pattern):
    x, params = correlated(0)
    gram = np.asarray(x, np.float64).T @ np.asarray(x, np.float64)
    want, keep = by_definition(np.asarray(params["kernel"]), gram, sparsity, block, 0.01, pattern)
    name = "unstructured" if pattern is None else "{}:{}".format(*pattern)
    node = pruned(prune.sparsegpt(sparsity, name, block=block), params, x)
    np.testing.assert_array_equal(node.mask, keep)
    np.testing.assert_allclose(node.materialize(), want, rtol=2e-2, atol=2e-3 * np.abs(want).max())


@pytest.mark.parametrize(("sparsity", "pattern"), [(0.5, "unstructured"), (0.9, "unstructured"), (None, "2:4")])
def test_with_unrelated_inputs_it_is_magnitude(sparsity, pattern):
    w = helpers.array(3, (64, 20))
    stats = {"kernel": of_rows(jnp.eye(64), gram=True)}
    node = core.compress({"kernel": w}, {".*": prune.sparsegpt(sparsity, pattern)}, stats)["kernel"]
    want = core.compress({"kernel": w}, {".*": prune.magnitude(sparsity, pattern=pattern)})["kernel"]
    np.testing.assert_array_equal(node.mask, want.mask)
    np.testing.assert_array_equal(node.materialize(), want.materialize())


@pytest.mark.turns(3)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("pattern", [None, "2:4"])
def test_error_is_below_wanda_and_wanda_below_magnitude(seed, pattern):
    x, params = correlated(seed)
    if pattern is None:
        methods = prune.sparsegpt(0.5), prune.wanda(0.5), prune.magnitude(0.5)
    else:
        methods = prune.sparsegpt(pattern=pattern), prune.wanda(pattern=pattern), prune.magnitude(pattern=pattern)
    errors = [error(pruned(method, params, x), params, x) for method in methods]
    assert errors[0] <= errors[1] <= errors[2]


@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 4), (4, 8)])
def test_exact_counts(n, m):
    x, params = correlated(2)
    mask = np.asarray(pruned(prune.sparsegpt(pattern=f"{n}:{m}", block=10), params, x).mask)
    assert (mask.reshape(-1, m, 10).sum(1) == n).all()
    free = np.asarray(pruned(prune.sparsegpt(0.3, block=10), params, x).mask)
    for start in (0, 10, 20):
        part = free[start : start + 10]
        assert part.sum() == part.size - round(0.3 * part.size)


def test_fewer_rows_than_inputs():
    x, params = correlated(3, rows=5)
    for damping in (0.01, 0.0):
        node = pruned(prune.sparsegpt(0.5, damping=damping), params, x)
        assert np.isfinite(np.asarray(node.materialize())).all()
    assert error(pruned(prune.sparsegpt(0.5), params, x), params, x) < error(
        pruned(prune.wanda(0.5), params, x), params, x
    )


def test_the_state_says_how_far_the_statistics_could_be_trusted():
    params = {"good": helpers.array(0, (6, 4)), "bad": helpers.array(1, (6, 4))}
    x, y = helpers.array(2, (200, 6)), helpers.array(3, (200, 2)) @ helpers.array(4, (2, 6))
    _, stats = observe(lambda p, x, y: x @ p["good"] + y @ p["bad"])(params, x, y)
    info = {}
    for damping in (0.0, 0.01):
        method = prune.sparsegpt(0.5, damping=damping)
        start = method.init(params)
        assert not any(float(told.condition) or bool(told.fallback) for told in start.info.values())
        info[damping] = method.after_step(params, start, stats)[1].info
    # Rank two: without damping the factorization fails; with it, numbers lie within what the eigenvalues allow.
    assert [bool(info[0.0][name].fallback) for name in ("good", "bad")] == [False, True]
    assert not any(bool(told.fallback) for told in info[0.01].values())
    for name, rows in (("good", x), ("bad", y)):
        gram = np.asarray(rows, np.float64).T @ np.asarray(rows, np.float64)
        exact = np.linalg.cond(gram + 0.01 * np.mean(np.diagonal(gram)) * np.eye(6))
        assert 1 <= float(info[0.01][name].condition) <= 1.001 * exact
    assert float(info[0.01]["bad"].condition) > 10 * float(info[0.01]["good"].condition)


def pseudo_inverse(h):
    """The limit of small damping: unobserved directions move freely, the rest by the pseudo-inverse."""
    values, vectors = np.linalg.eigh(h)
    free = vectors[:, values < 1e-9 * values[-1]]
    return np.linalg.pinv(h, rcond=1e-9, hermitian=True) + 1e9 * free @ free.T


@pytest.mark.parametrize(("sparsity", "block", "pattern"), [(0.5, 128, None), (0.3, 5, None), (None, 128, (2, 4))])
def test_a_singular_hessian_without_damping_is_the_limit(sparsity, block, pattern, draw):
    """With fewer rows than inputs the factorization fails, and eigenvalues are clipped, with a negligible effect."""
    x, w = draw.normal(size=(4, 12)), draw.normal(size=(12, 5))
    params, rows = {"kernel": jnp.asarray(w, jnp.float32)}, jnp.asarray(x, jnp.float32)
    stats = {"kernel": of_rows(rows, gram=True)}
    assert prune.hessian_condition(stats, 0.0)["kernel"].fallback.tolist() == [True]
    assert prune.hessian_condition(stats, 0.01)["kernel"].fallback.tolist() == [False]
    name = "unstructured" if pattern is None else "{}:{}".format(*pattern)
    node = pruned(prune.sparsegpt(sparsity, name, block=block, damping=0.0), params, rows)
    want, keep = by_definition(w, x.T @ x, sparsity, block, 0.0, pattern, pseudo_inverse)
    np.testing.assert_array_equal(node.mask, keep)
    # Eigenvalues raised to n eps are not nothing: ratios of the limit hold to some 1e-4.
    np.testing.assert_allclose(node.materialize(), want, atol=1e-3 * np.abs(want).max())
    if sparsity == 0.5:
        # Eight of twelve directions are free: all outputs stay what they were, which magnitudes do not achieve.
        outputs = x @ w
        np.testing.assert_allclose(x @ helpers.float64(node.materialize()), outputs, atol=1e-3 * np.abs(outputs).max())
        assert error(pruned(prune.magnitude(0.5), params, rows), params, rows) > 1


def test_inputs_that_never_occur_go_first():
    x, params = correlated(4)
    x = x.at[:, ::2].set(0.0)
    node = pruned(prune.sparsegpt(0.5), params, x)
    assert not node.mask[::2].any()
    np.testing.assert_allclose(error(node, params, x), 0.0, atol=1e-6)


def test_convolutions_and_stacks_layer_by_layer():
    params = {"conv": helpers.array(0, (3, 3, 2, 5)), "layers": helpers.array(1, (3, 5, 5))}

    def fn(params, x):
        y = jax.lax.conv_general_dilated(x, params["conv"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return jax.lax.scan(lambda y, w: (jnp.tanh(y @ w), None), y.mean((1, 2)), params["layers"])[0]

    _, stats = observe(fn)(params, helpers.array(2, (40, 6, 6, 2)))
    tree = core.compress(params, {".*": prune.sparsegpt(0.5)}, stats)
    for name, kernels in (("conv", (18, 5)), ("layers", (3, 5, 5))):
        matrices = np.asarray(params[name]).reshape(-1, *kernels[-2:])
        grams = np.asarray(stats[name].gram).reshape(-1, kernels[-2], kernels[-2])
        got = np.asarray(tree[name].materialize()).reshape(matrices.shape)
        for w, gram, new in zip(matrices, grams, got):
            want, _ = by_definition(w, gram, 0.5, 128, 0.01)
            np.testing.assert_allclose(new, want, rtol=2e-2, atol=2e-3)


def test_bad_settings():
    half = {"sparsity": 0.5}
    for settings in ({}, {**half, "block": 0}, {**half, "damping": -1}, {**half, "pattern": "balanced"}):
        with pytest.raises(ValueError, match="sparsegpt: "):
            prune.sparsegpt(**settings)
    x, params = correlated(0)
    with pytest.raises(ValueError, match=r"2:7.*\n  kernel  axis 0 of .* not divisible by 7"):
        pruned(prune.sparsegpt(pattern="2:7"), params, x)
    with pytest.raises(ValueError, match=r"Gram matrix of kernel; collect it with observe\(gram=True\)"):
        core.compress(params, {".*": prune.sparsegpt(0.5)}, {"kernel": of_rows(x, gram=False)})


def test_distributions():
    params = {"a": helpers.array(0, (16, 16)), "b": helpers.array(1, (16, 4))}
    _, stats = observe(lambda p, x: jnp.tanh(x @ p["a"]) @ p["b"])(params, helpers.array(2, (40, 16)))
    tree = core.compress(params, {".*": prune.sparsegpt(0.75, distribution={"b": 0.25})}, stats)
    assert [int(tree[name].mask.sum()) for name in ("a", "b")] == [64, 48]
    for settings in ({"sparsity": 0.5, "distribution": "global"}, {"pattern": "2:4", "distribution": "erk"}):
        with pytest.raises(ValueError, match="has no meaning|under 'uniform'"):
            prune.sparsegpt(**settings)


@pytest.mark.thorough
def test_in_double_precision():
    with jax.enable_x64(True):
        params = {"kernel": jnp.asarray(helpers.float64(helpers.array(0, (8, 6))))}
        _, stats = observe(lambda p, x: x @ p["kernel"])(params, helpers.array(1, (40, 8)))
        method = prune.sparsegpt(0.5)
        state = jax.jit(method.after_step)(params, method.init(params), stats)[1]
        assert int(state.masks["kernel"].sum()) == 24
        assert state.info["kernel"].condition.dtype == jnp.float32
