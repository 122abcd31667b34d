"""What says nothing is refused by name, where its values are known."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.core._checks import check_finite, check_statistics
from compressjax.interpret import Statistics


def of(rows: np.ndarray) -> Statistics:
    """Statistics by their definition; leading axes are layers."""
    count = np.full(rows.shape[:-2], rows.shape[-2], np.float32)
    return Statistics(count, rows.sum(-2), (rows**2).sum(-2), None, np.abs(rows).max(-2, initial=0))


def test_weights_that_are_no_numbers() -> None:
    bad = jnp.array([[1.0, jnp.nan, -jnp.inf]], jnp.bfloat16)
    with pytest.raises(ValueError, match="rtn: 'a/kernel' has 2 non-finite weights of 3; fix the training first"):
        check_finite("rtn", "a/kernel", bad)
    check_finite("rtn", "a/kernel", jax.ShapeDtypeStruct((3,), jnp.float32))
    jax.eval_shape(lambda x: check_finite("rtn", "a/kernel", x), bad)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((0, 2)), "wanda: 'k': no input reached it while"),
        (np.zeros((3, 0, 2)), r"'k': no input reached layers \[\[0\], \[1\], \[2\]\] of its stack"),
        (np.zeros((4, 2)), "'k': only zeros reached it"),
        (np.array([[1.0, np.nan]]), "'k' has 1 non-finite sums of squared inputs of 2"),
        (np.array([[1.0, 3e38]], np.float32), "'k' has 1 non-finite sums"),
    ],
)
def test_statistics_of_nothing(rows: np.ndarray, message: str) -> None:
    with np.errstate(over="ignore"):
        stats = {"fine": of(np.ones((2, 2))), "k": of(rows)}
    with pytest.raises(ValueError, match=message):
        check_statistics("wanda", stats)
    jax.eval_shape(lambda s: check_statistics("wanda", s), stats)


def test_statistics_that_pass() -> None:
    check_statistics("x", {"k": of(np.zeros((4, 2)))}, zeros=True)
    check_statistics("x", {"k": of(np.zeros((0, 2)))}, rows=False, zeros=True)
    check_statistics("x", {"k": SimpleNamespace(squares=np.ones(2)), "other": 2.0})
    sparse = of(np.zeros((2, 3, 2)))
    sparse.squares[1, 0] = 1.0
    check_statistics("x", {"experts": sparse})
