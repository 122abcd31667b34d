"""GPTQ against OBQ in float64, against round to nearest, and on masks, stacks and bad statistics."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from compressjax import core, prune, quant
from compressjax.interpret import observe
from compressjax.interpret.observing._statistics import of_rows
from compressjax.tensors import Masked
from compressjax.tensors.quantized._tables import TABLES
from tests import helpers
from tests.prune.layers import correlated, error

SETTINGS = {
    "channel": {},
    "affine": {"symmetric": False},
    "tensor": {"granularity": "tensor"},
    "groups": {"granularity": 4},
    "affine groups, least error": {"granularity": 4, "symmetric": False, "clip": "mse"},
    "rows": {"axis": 0},
    "tiles": {"granularity": (4, 2)},
}


def rounded(method, params, stats):
    return core.compress(params, {".*": method}, stats)["kernel"]


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", SETTINGS)
def test_with_unrelated_inputs_it_is_round_to_nearest(name):
    params = {"kernel": helpers.array(0, (8, 6))}
    stats = {"kernel": of_rows(jnp.eye(8), gram=True)}
    want = rounded(quant.rtn(3, **SETTINGS[name]), params, None)
    for order in ("natural", "activation"):
        got = rounded(quant.gptq(3, order=order, **SETTINGS[name]), params, stats)
        assert not helpers.difference(got, want)


def obq(w, gram, scale, limit, order, kept=None, points=None):
    """Optimal Brain Quantization in a given order: explicit inverses, updated by elimination, in float64.

    Codes are integers up to the limit, or the points; the scale is of every output, or of every entry.
    """
    points = np.arange(-limit, limit + 1) if points is None else points
    scale = np.broadcast_to(scale, w.shape)
    w, gram = w.astype(np.float64).copy(), gram.astype(np.float64)
    inverse = np.linalg.inv(gram + 0.01 * np.mean(np.diagonal(gram)) * np.eye(len(w)))
    kept = np.ones(w.shape, bool) if kept is None else kept
    for i in order:
        codes = points[np.argmin(np.abs(w[i] / scale[i] - points[:, None]), axis=0)]
        q = np.where(kept[i], codes * scale[i], 0)
        w -= np.outer(inverse[:, i], (w[i] - q) / inverse[i, i])
        inverse -= np.outer(inverse[:, i], inverse[i]) / inverse[i, i]
        w[i] = q
    return w


@pytest.mark.parametrize("order", ["natural", "activation"])
@pytest.mark.parametrize("seed", range(3))
def test_is_optimal_brain_quantization_in_fixed_order(seed, order):
    x, params = correlated(seed, inputs=8, outputs=6)
    stats = observe(lambda p, x: x @ p["kernel"])(params, x)[1]
    gram, w = np.asarray(stats["kernel"].gram), np.asarray(params["kernel"])
    node = rounded(quant.gptq(4, order=order), params, stats)
    by = np.argsort(-np.diagonal(gram)) if order == "activation" else range(8)
    want = obq(w, gram, np.asarray(node.scale)[0], 7, by)
    np.testing.assert_allclose(node.materialize(), want, atol=1e-4)


def floats(dtype):
    """All finite numbers of a small type."""
    numbers = np.arange(2 ** ml_dtypes.finfo(dtype).bits).astype(np.uint8).view(dtype).astype(np.float64)
    return np.unique(numbers[np.isfinite(numbers)])


FORMATS = {
    "nf4": TABLES["nf4"],
    "fp8_e4m3": floats(ml_dtypes.float8_e4m3fn),
    "fp8_e5m2": floats(ml_dtypes.float8_e5m2),
    "mxfp4": floats(ml_dtypes.float4_e2m1fn),
    "mxfp6_e2m3": floats(ml_dtypes.float6_e2m3fn),
    "mxfp6_e3m2": floats(ml_dtypes.float6_e3m2fn),
    "mxint8": np.arange(-127, 128),
    "nvfp4": floats(ml_dtypes.float4_e2m1fn),
    "ternary": np.arange(-1, 2),
}


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_optimal_brain_quantization_on_its_points(name):
    x, params = correlated(0, inputs=64, outputs=6)
    stats = observe(lambda p, x: x @ p["kernel"])(params, x)[1]
    node = rounded(quant.gptq(name), params, stats)
    w, scale = np.asarray(params["kernel"]), core.materialize(node.scale)
    want = obq(
        w, np.asarray(stats["kernel"].gram), np.repeat(scale, 64 // len(scale), axis=0), 0, range(64),
        points=np.asarray(FORMATS[name], np.float64),
    )  # fmt: skip
    assert np.mean(~np.isclose(node.materialize(), want, atol=1e-4)) < 0.02  # a tie that falls the other way
    assert error(node, params, x) < 0.3 * error(rounded(quant.rtn(name), params, None), params, x)


def test_binary_codes_are_refused():
    with pytest.raises(ValueError, match="gptq: binary .* does not round to the nearest code; use ternary"):
        quant.gptq("binary")


@pytest.mark.parametrize("bits", [3, 4])
def test_error_is_at_least_30_percent_below_round_to_nearest(bits):
    ratios = []
    for seed in range(5):
        x, params = correlated(seed)
        stats = observe(lambda p, x: x @ p["kernel"])(params, x)[1]
        found = [rounded(m, params, stats) for m in (quant.gptq(bits), quant.rtn(bits))]
        ratios.append(error(found[0], params, x) / error(found[1], params, x))
    assert max(ratios) < 0.7


@pytest.mark.parametrize("symmetric", [True, False])
def test_zeros_stay_zero_and_the_kept_weights_compensate(symmetric):
    x, params = correlated(1)
    stats = observe(lambda p, x: x @ p["kernel"])(params, x)[1]
    method = core.sequence(prune.magnitude(0.5), quant.gptq(4, symmetric=symmetric))
    node = rounded(method, params, stats)
    assert isinstance(node, Masked)
    kept = np.asarray(node.mask)
    assert (np.asarray(node.value.materialize())[~kept] == 0).all()
    masked = {"kernel": jnp.where(kept, params["kernel"], 0.0)}
    again = core.compress(
        {"kernel": Masked(masked["kernel"], jnp.asarray(kept))}, {".*": quant.gptq(4, symmetric=symmetric)}, stats
    )
    assert not helpers.difference(again["kernel"], node)
    plain = rounded(core.sequence(prune.magnitude(0.5), quant.rtn(4, symmetric=symmetric)), params, None)
    assert error(node, masked, x) < 0.7 * error(plain, masked, x)
    if symmetric:
        want = obq(
            np.asarray(masked["kernel"]),
            np.asarray(stats["kernel"].gram),
            np.asarray(node.value.scale)[0],
            7,
            range(24),
            kept,
        )
        np.testing.assert_allclose(node.materialize(), want, atol=1e-4)


@pytest.mark.thorough
def test_convolutions_stacks_and_experts_are_solved_matrix_by_matrix():
    params = {
        "conv": helpers.array(0, (5, 2, 3, 3)),
        "layers": helpers.array(1, (3, 5, 5)),
        "experts": helpers.array(2, (2, 5, 4)),
    }

    def fn(params, x):
        y = jax.lax.conv_general_dilated(x, params["conv"], (1, 1), "SAME", dimension_numbers=("NHWC", "OIHW", "NHWC"))
        y = jax.lax.scan(lambda y, w: (jnp.tanh(y @ w), None), y.mean((1, 2)), params["layers"])[0]
        return jax.lax.ragged_dot(y, params["experts"], jnp.array([25, 15]))

    _, stats = observe(fn)(params, helpers.array(3, (40, 6, 6, 2)))
    tree = core.compress(params, {".*": quant.gptq(4)}, stats)
    for name in params:
        shaped = stats[name].layout
        matrices, got, scales = (
            np.asarray(shaped.matrices(jnp.broadcast_to(y, params[name].shape)))
            for y in (params[name], tree[name].materialize(), tree[name].scale)
        )
        for w, gram, new, scale in zip(
            matrices, np.asarray(stats[name].gram).reshape(len(matrices), *[matrices.shape[1]] * 2), got, scales
        ):
            np.testing.assert_allclose(new, obq(w, gram, scale[0], 7, range(len(w))), atol=2e-4)


def test_a_group_of_a_convolution_holds_whole_channels():
    params = {"kernel": helpers.array(0, (2, 2, 4, 3))}
    stats = {"kernel": of_rows(helpers.array(1, (50, 16)), gram=True)}
    node = rounded(quant.gptq(4, granularity=2), params, stats)
    assert node.scale.shape == (1, 1, 2, 3)
    # The first group is fitted from the weights themselves; the second from updated ones.
    first = np.abs(np.asarray(params["kernel"])[:, :, :2]).max((0, 1, 2)) / 7
    np.testing.assert_allclose(node.scale[0, 0, 0], first, rtol=2**-15)
    fixed = rounded(quant.gptq(4, granularity=2, static_groups=True), params, stats)
    np.testing.assert_array_equal(fixed.scale, rounded(quant.rtn(4, granularity=2), params, None).scale)
    assert (np.asarray(fixed.scale != node.scale)[0, 0, 1]).any()


def test_indefinite_second_moments_are_told():
    x, params = correlated(0, inputs=8, outputs=6)
    good = of_rows(x, gram=True)
    broken = good.replace(gram=good.gram - 9 * jnp.max(good.squares) * jnp.ones((8, 8)))
    with pytest.warns(core.LeftOutWarning, match="gptq: 'kernel'.* rounded to nearest .*observe more data"):
        node = rounded(quant.gptq(4), params, {"kernel": broken})
    assert not helpers.difference(node, rounded(quant.rtn(4), params, None))
    singular = {"kernel": of_rows(x[:3], gram=True)}
    with pytest.warns(core.LeftOutWarning, match=r"damping grew from 0 to 0\.001"):
        node = rounded(quant.gptq(4, damp=0.0), params, singular)
    assert error(node, params, x[:3]) < error(rounded(quant.rtn(4), params, None), params, x[:3])


def test_static_activations_and_dtypes():
    params = {"kernel": helpers.array(0, (8, 6), "bfloat16")}
    x = helpers.array(1, (30, 8))
    stats = {"kernel": of_rows(x, gram=True)}
    node = rounded(quant.gptq(8, activation="static"), params, stats)
    assert node.dtype == jnp.bfloat16
    assert float(node.activation_scale) == pytest.approx(float(jnp.max(jnp.abs(x))) / 127, rel=1e-6)


def test_bad_settings_and_data():
    for settings in ({"damp": -1}, {"damp": float("nan")}, {"block": 0}, {"order": "random"}, {"bits": 9}):
        with pytest.raises(ValueError, match=f"gptq: {next(iter(settings))}="):
            quant.gptq(**settings)
    x, params = correlated(0, inputs=8, outputs=6)
    both = {**params, "other": jnp.ones((8, 6))}
    stats = {"kernel": of_rows(x, gram=True)}
    with pytest.warns(core.LeftOutWarning, match="other  no product of the observed function reads it"):
        assert core.is_node(core.compress(both, {".*": quant.gptq(4)}, stats)["kernel"])
    with pytest.raises(ValueError, match=r"group size 3 does not divide the 8 inputs.*fallback="):
        rounded(quant.gptq(4, granularity=3), params, stats)
    with pytest.raises(ValueError, match="gptq.*absent for .'kernel'.; run observe"):
        rounded(quant.gptq(4), params, None)
    with pytest.raises(ValueError, match="Gram matrix of the inputs of 'kernel'"):
        rounded(quant.gptq(4), params, {"kernel": of_rows(x, gram=False)})
    with pytest.raises(ValueError, match="'kernel' has .* non-finite sums"):
        rounded(quant.gptq(4), params, {"kernel": of_rows(x.at[0, 0].set(jnp.nan), gram=True)})
    with pytest.raises(ValueError, match="kernel  no input reached it while observing"):
        rounded(quant.gptq(4), params, {"kernel": of_rows(x[:0], gram=True)})
    zeros = {"kernel": params["kernel"].at[:, 2].set(0.0)}
    assert not np.asarray(rounded(quant.gptq(4), zeros, stats).materialize())[:, 2].any()
