"""The survey traces each kind of batch once, and its digest tells batches apart."""

import jax
import jax.numpy as jnp
import pytest

from compressjax.calibration._survey import survey
from compressjax.calibration._watch import Taken
from tests.calibration import toys


def fn(p, x, key=None, mode="plain"):
    del key, mode
    return x @ p["a"]


def of(batches):
    return survey(fn, {"a": jnp.ones((6, 2))}, batches, {"a": Taken()})


def test_kinds_and_digest():
    batches = toys.rows(4, 3, 4)
    found = of(batches)
    assert found.kinds == [0, 1, 0]
    assert len(found.lines) == 2
    assert found.digest == of(batches).digest
    assert found.digest not in (
        of(batches[::-1]).digest,
        of(batches[:2]).digest,
        of([(2 * x,) for (x,) in batches]).digest,
    )


def test_random_keys_and_static_arguments():
    x, key = jnp.ones((2, 6)), jax.random.key(0)
    found = of([(x, key, "plain"), (x, jax.random.key(1), "plain"), (x, key, "other")])
    assert found.kinds == [0, 0, 1]


@pytest.mark.parametrize(
    ("batches", "match"), [(None, "a NoneType"), ((b for b in [1]), "a generator"), ([], "no batches")]
)
def test_what_is_no_batches(batches, match):
    with pytest.raises(ValueError, match=match):
        of(batches)
