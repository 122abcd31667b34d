"""8-bit codes against the published formula of the dynamic map, level by level."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.precision._blocks import Blocks, pack, unpack


def dynamic_map(signed):
    """The map of bitsandbytes: means of 2^i (signed) or 2^(i + 1) equal parts of [0.1, 1], for seven powers of ten."""
    levels = [0.0, 1.0]
    for i in range(7):
        ends = np.linspace(0.1, 1, 2 ** (i + (0 if signed else 1)) + 1)
        means = 10.0 ** (i - 6) * (ends[1:] + ends[:-1]) / 2
        levels += [*means, *(-means if signed else ())]
    return np.sort(levels)


@pytest.mark.parametrize("signed", [True, False])
def test_levels_are_those_of_the_published_map(signed):
    codes = jnp.arange(256, dtype=jnp.uint8)
    codes = jax.lax.bitcast_convert_type(codes, jnp.int8) if signed else codes
    got = np.sort(np.asarray(unpack(Blocks(codes, jnp.ones(1)), 256, "dynamic")))
    np.testing.assert_allclose(got, dynamic_map(signed), rtol=3e-7)
    assert got[127 if signed else 0] == 0.0
    assert got[-1] == 1.0


@pytest.mark.parametrize("code", ["dynamic", "linear"])
@pytest.mark.parametrize("signed", [True, False])
def test_codes_are_the_nearest_levels(code, signed, draw):
    x = np.concatenate([draw.normal(size=96) * 10.0**-e for e in (0, 1, 2, 3, 5, 6, 7)]).astype(np.float32)
    x = np.concatenate([x, dynamic_map(signed), np.zeros(40)]).astype(np.float32)
    x = x if signed else np.abs(x)
    table = dynamic_map(signed) if code == "dynamic" else np.arange(-127 if signed else 0, 128 if signed else 256)
    table = table if code == "dynamic" else table / (127 if signed else 255)
    packed = jax.jit(lambda x: pack(x, 64, code, signed))(x)
    got = np.asarray(unpack(packed, 64, code))
    for start in range(0, x.size, 64):
        part = x[start : start + 64]
        top = np.abs(part).max()
        assert packed.scale[start // 64] == top
        nearest = np.abs(part[:, None] - top * table).min(1)
        error = np.abs(got[start : start + 64] - part)
        rescued = ~np.array(signed) & (part > 0) & (got[start : start + 64] == top * np.float32(table[1]))
        assert (rescued | (error <= nearest * (1 + 1e-4) + 1e-6 * np.abs(part))).all()
    assert (got[x == 0] == 0).all()
    assert signed or (got[x > 1e-30] > 0).all()


def test_packing_is_a_projection(draw):
    x = draw.normal(size=(3, 50)).astype(np.float32)
    once = pack(x, 32, "dynamic", True)
    again = pack(unpack(once, 32, "dynamic"), 32, "dynamic", True)
    assert once.codes.shape == (3, 50)
    assert once.scale.shape == (5,)
    np.testing.assert_array_equal(once.codes, again.codes)
    assert not unpack(pack(jnp.zeros((2, 2)), 4, "linear", False), 4, "linear").any()
