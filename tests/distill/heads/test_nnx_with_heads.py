"""An NNX student with heads: what it returns, how it trains, and what is left."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from compressjax import distill

pytestmark = pytest.mark.loose


class Net(nnx.Module):
    """Two layers that sow, and BatchNorm."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first, self.last = nnx.Linear(3, 4, rngs=rngs), nnx.Linear(4, 3, rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        hidden = self.norm(self.first(x))
        self.sow(nnx.Intermediate, "hidden", hidden)
        out = self.last(nnx.relu(hidden))
        self.sow(nnx.Intermediate, "out", out)
        return out


def test_activations_are_those_of_the_student_and_its_statistics_move_once(key: jax.Array) -> None:
    x, student, twin = jax.random.normal(key, (5, 3)), Net(nnx.Rngs(0)), Net(nnx.Rngs(0))
    model = distill.NNXWithHeads(
        student, {"hidden": 7, "out": 3}, jax.ShapeDtypeStruct((5, 3), jnp.float32), rngs=nnx.Rngs(1)
    )
    np.testing.assert_array_equal(student.norm.mean[...], 0)  # nothing was computed
    heads = model.heads.get_value()
    assert list(heads) == ["hidden"]
    out, own = model(x)
    want, state = nnx.capture(twin, nnx.Intermediate)(x)
    found = distill.from_flax(state)
    np.testing.assert_array_equal(out, want)
    np.testing.assert_array_equal(own["out"], out)
    want = found["hidden"] @ heads["hidden"]["kernel"] + heads["hidden"]["bias"]
    np.testing.assert_allclose(own["hidden"], want, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(student.norm.mean[...], twin.norm.mean[...])
    assert model.student is student
    assert not jax.tree.leaves(nnx.state(student, nnx.Intermediate))


def test_one_optimizer_trains_student_and_heads(key: jax.Array) -> None:
    x, student = jax.random.normal(key, (5, 3)), Net(nnx.Rngs(0))
    before = np.asarray(student.first.kernel[...])
    model = distill.NNXWithHeads(student, {"hidden": 3}, x, rngs=nnx.Rngs(1))
    optimizer = nnx.Optimizer(model, optax.adam(0.05), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, x):
        value, slopes = nnx.value_and_grad(lambda m: distill.hint_loss(m(x)[1]["hidden"], x))(model)
        optimizer.update(model, slopes)
        return value

    values = [float(step(model, optimizer, x)) for _ in range(60)]
    assert values[-1] < 0.3 * values[0]
    assert not np.array_equal(student.first.kernel[...], before)


@pytest.mark.parametrize("features", [{}, {"hiden": 3}])
def test_paths_that_do_not_exist_are_named(features: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"NNXWithHeads: features=.* must name activations .*'hidden'"):
        distill.NNXWithHeads(Net(nnx.Rngs(0)), features, jnp.ones((2, 3)), rngs=nnx.Rngs(1))
