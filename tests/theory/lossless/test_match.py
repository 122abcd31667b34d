"""Repeats: found, followed and left."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.theory.lossless import _contexts, _match


def test_the_longest_repeat_is_found_and_followed():
    """Against a search of the text by Python."""
    text = b"the quick brown fox; the quick brown dog; the quick"
    held = jnp.asarray(np.frombuffer(bytes(32) + text, np.uint8))
    match, hashes = _match.start(10), jnp.zeros(4, jnp.uint32)
    follow, roll = jax.jit(_match.follow), jax.jit(_contexts.roll)
    for end in range(1, len(text) + 1):
        hashes = roll(hashes, jnp.asarray(text[end - 1]))
        match = follow(match, held, jnp.asarray(32 + end), hashes, jnp.asarray(True))
        kept = follow(match, held, jnp.asarray(32 + end), hashes, jnp.asarray(False))
        assert [int(x) for x in kept[1:]] == [int(x) for x in match[1:]]
        at, length = int(match.at) - 32, int(match.length)
        if length:
            assert text[at - length : at] == text[end - length : end]
        if text[end - 5 : end] in text[: end - 1] and end >= 5:
            assert length >= 5
    byte = text[int(match.at) - 32]
    assert byte == ord(" ")
    bit, bucket = _match.expected(match, held, jnp.asarray(0b1001), jnp.asarray(3))
    assert (int(bit), int(bucket) > 0) == (byte >> 4 & 1, True)
    assert int(_match.expected(match, held, jnp.asarray(0b1011), jnp.asarray(3))[1]) == 0
