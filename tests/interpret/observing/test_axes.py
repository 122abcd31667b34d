"""Origins of axes under layout changes, against labels that undergo the same changes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.interpret.observing._axes import moved_axes

PROGRAMS: dict[str, tuple[tuple[int, ...], Callable[[Any], Any]]] = {
    "transpose": ((2, 3, 5), lambda w: w.transpose(2, 0, 1)),
    "merge": ((2, 3, 5), lambda w: w.reshape(6, 5)),
    "split": ((4, 5), lambda w: w.reshape(2, 2, 5)),
    "merge and split": ((2, 3, 4), lambda w: w.reshape(6, 2, 2)),
    "all in one": ((2, 3), lambda w: w.reshape(6)),
    "squeeze": ((1, 3, 1, 5), lambda w: jax.lax.squeeze(w, (0, 2))),
    "expand": ((3, 5), lambda w: jax.lax.broadcast_in_dim(w, (3, 1, 5), (0, 2))),
    "ones by reshape": ((3, 5), lambda w: w.reshape(1, 3, 1, 5)),
    "slice": ((3, 5), lambda w: w[1:, ::2]),
    "convert": ((3, 5), lambda w: w.astype(jnp.bfloat16)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_origins_against_varying_entries(name: str) -> None:
    """An axis of the result comes from an axis of the leaf if moving along it changes that axis's index."""
    shape, f = PROGRAMS[name]
    (eqn,) = jax.make_jaxpr(f)(jnp.ones(shape)).eqns
    got = moved_axes(eqn, tuple((a,) for a in range(len(shape))), shape)
    for origin in range(len(shape)):
        index = np.broadcast_to(
            np.arange(shape[origin]).reshape([-1 if a == origin else 1 for a in range(len(shape))]), shape
        )
        moved = np.asarray(f(jnp.asarray(index, jnp.float32)), np.float32)
        for axis in range(moved.ndim):
            if shape[origin] > 1 and np.ptp(moved, axis=axis).max() > 0:
                assert origin in got[axis], (name, origin, axis)
        carriers = [axis for axis in range(moved.ndim) if origin in got[axis]]
        if shape[origin] > 1:
            assert all(moved.shape[axis] > 1 for axis in carriers)


def test_unstacking_drops_its_axis() -> None:
    (eqn,) = jax.make_jaxpr(lambda w: jnp.unstack(w, axis=1))(jnp.ones((2, 3, 4))).eqns
    assert moved_axes(eqn, ((0,), (1,), (2,)), (2, 3, 4)) == ((0,), (2,))


def test_origins_accumulate() -> None:
    (eqn,) = jax.make_jaxpr(lambda w: w.reshape(12))(jnp.ones((3, 4))).eqns
    assert moved_axes(eqn, ((2,), (0, 1)), (3, 4)) == ((2, 0, 1),)
