"""Keys in states, and streams by path."""

import jax
import jax.numpy as jnp
import pytest

from compressjax import prune
from compressjax.numerics._keys import key_data, stream


def test_streams_follow_the_path_and_the_step_alone(key):
    data = key_data(key)
    draws = {(p, t): float(jax.random.uniform(stream(data, p, t))) for p in ("a", "b") for t in (0, 1)}
    assert len(set(draws.values())) == 4
    assert draws["a", 1] == float(jax.jit(lambda d, t: jax.random.uniform(stream(d, "a", t)))(data, 1))


def test_old_and_new_keys_are_the_same_and_others_are_refused():
    assert key_data(jax.random.PRNGKey(3)).tolist() == key_data(jax.random.key(3)).tolist()
    for bad in (3, jax.random.split(jax.random.key(0), 2), jnp.zeros(2)):
        with pytest.raises(ValueError, match=r"jax.random.key\(seed\)"):
            key_data(bad)


@pytest.mark.parametrize("impl", ["rbg", "unsafe_rbg"])
def test_keys_of_every_generator_work(impl: str) -> None:
    """The state holds two words for any key, and they mean the same whatever the default generator is."""
    draws = []
    for default in ("threefry2x32", impl):
        with jax.default_prng_impl(default):
            for key in (jax.random.key(1, impl=impl), jax.random.wrap_key_data(key_data(jax.random.key(1, impl=impl)),
                                                                             impl="threefry2x32")):  # fmt: skip
                draws.append(float(jax.random.uniform(stream(key_data(key), "a"))))
    assert len(set(draws)) == 1
    with jax.default_prng_impl("rbg"):
        for key in (jax.random.key(0), jax.random.PRNGKey(0)):
            state = prune.set_(0.5, key, end=9).init({"kernel": jnp.ones((4, 4))})
            assert state.key.shape == (2,)
            assert int(state.masks["kernel"].sum()) == 8
