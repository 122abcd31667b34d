"""The binary coder: round trips, and a length within two bytes of the entropy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.theory.lossless import _arithmetic

SIZE = 2000


@jax.jit
def written(coder, chances, bits):
    return jax.lax.scan(lambda c, x: (_arithmetic.encode(c, *x), None), coder, (chances, bits))[0]


@jax.jit
def read(coder, chances):
    return jax.lax.scan(_arithmetic.decode, coder, chances)[1]


@pytest.mark.parametrize("kind", ["random", "certain", "surprised"])
def test_bits_come_back_at_their_entropy(draw, kind):
    """The sum of `-log2 p` of the bits that were written is the yardstick."""
    chances = draw.integers(1, 65536, SIZE)
    bits = draw.random(SIZE) < chances / 65536
    if kind != "random":
        chances = np.where(np.arange(SIZE) % 2, 1, 65535)
        bits = (chances == 65535) == (kind == "certain")
    chances, bits = jnp.asarray(chances, jnp.int32), jnp.asarray(bits, jnp.int32)
    stream = _arithmetic.finish(written(_arithmetic.encoder(5000), chances, bits))
    share = np.where(bits, chances, 65536 - chances) / 65536
    entropy = -np.log2(share).sum()
    assert 0.999 * entropy - 8 < 8 * len(stream) < 1.002 * entropy + 16
    padded = stream + bytes(5000 - len(stream))
    np.testing.assert_array_equal(read(_arithmetic.decoder(padded), chances), bits)
