"""Taps against activations that the function returns itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import checkpoint_name

import compressjax as cj
from compressjax import quant, tensors
from compressjax.interpret import taps


@pytest.fixture
def params(key: jax.Array) -> dict:
    a, b, c = jax.random.split(key, 3)
    return {
        "first": {"kernel": jax.random.normal(a, (3, 4)), "bias": jnp.ones(4)},
        "second": {"kernel": jax.random.normal(b, (2, 4))},  # [out, in]
        "stack": jax.random.normal(c, (3, 2, 2)),
    }


def whole(p: dict, x: jax.Array) -> tuple[jax.Array, dict]:
    """A function, and what `taps` should find in it."""
    one = x @ p["first"]["kernel"]
    hidden = checkpoint_name(jnp.tanh(one + p["first"]["bias"][None]), "hidden")
    two = p["second"]["kernel"] @ hidden.T  # features first
    y, layers = two.T, []
    for w in p["stack"]:
        y = y @ w
        layers.append(y)
        y = jnp.tanh(y)
    return y, {"first/kernel": one, "hidden": hidden, "second/kernel": two.T, "stack": jnp.stack(layers)}


def scanned(p: dict, x: jax.Array) -> jax.Array:
    """The same, with `remat`, a nested `jit` and a `scan`."""

    @jax.checkpoint
    def before(p: dict, x: jax.Array) -> jax.Array:
        return checkpoint_name(jnp.tanh(x @ p["first"]["kernel"] + p["first"]["bias"][None]), "hidden")

    y = jax.jit(lambda w, h: (w @ h.T).T)(p["second"]["kernel"], before(p, x))
    return jax.lax.scan(lambda y, w: (jnp.tanh(y @ w), None), y, p["stack"])[0]


@pytest.fixture
def x(key: jax.Array) -> jax.Array:
    return jax.random.normal(jax.random.fold_in(key, 1), (5, 3))


@pytest.mark.thorough
def test_outputs_and_gradients(params: dict, x: jax.Array) -> None:
    select = (".*kernel", "hidden", "stack")

    def loss(p: dict, tapped: bool) -> tuple[jax.Array, dict]:
        out, found = taps(scanned, select=select)(p, x) if tapped else whole(p, x)
        return jnp.sum(out) + sum(jnp.sum(jnp.sin(found[k])) for k in sorted(found)), found

    (got, found), slopes = jax.jit(jax.value_and_grad(loss, has_aux=True), static_argnums=1)(params, True)
    (want, expected), known = jax.value_and_grad(loss, has_aux=True)(params, False)
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5)
    np.testing.assert_allclose(got, want, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), slopes, known)


def test_inputs(params: dict, x: jax.Array) -> None:
    _, expected = whole(params, x)
    _, found = taps(scanned, select=[".*kernel", "stack"], at="input")(params, x)
    np.testing.assert_array_equal(found["first/kernel"], x)
    np.testing.assert_allclose(found["second/kernel"], expected["hidden"], atol=1e-6)
    np.testing.assert_allclose(found["stack"][1], jnp.tanh(expected["stack"][0]), atol=1e-6)


def test_what_every_iteration_reads_is_stacked(key: jax.Array) -> None:
    """A recurrent weight and a name in a loop have an array per iteration, with gradients."""
    tree, xs = {"w": jax.random.normal(key, (3, 3))}, jax.random.normal(key, (4, 3))

    def fn(p: dict, xs: jax.Array) -> jax.Array:
        def step(h: jax.Array, x: jax.Array) -> tuple:
            h = checkpoint_name(jnp.tanh(h @ p["w"] + x), "state")
            return h, None

        return jax.lax.scan(step, jnp.zeros(3), xs)[0]

    def summed(p: dict) -> jax.Array:
        return sum(jnp.sum(x**2) for x in taps(fn, select=["w", "state"])(p, xs)[1].values())

    def loop(p: dict) -> jax.Array:
        h, total = jnp.zeros(3), 0.0
        for x in xs:
            product = h @ p["w"]
            h = jnp.tanh(product + x)
            total += jnp.sum(product**2) + jnp.sum(h**2)
        return total

    _, found = taps(fn, select=["w", "state"])(tree, xs)
    assert (found["w"].shape, found["state"].shape) == ((4, 3), (4, 3))
    (got, slopes), (want, known) = (jax.jit(jax.value_and_grad(f))(tree) for f in (summed, loop))
    np.testing.assert_allclose(got, want, rtol=1e-4)
    np.testing.assert_allclose(slopes["w"], known["w"], rtol=1e-3)


def test_a_custom_derivative_keeps_its_arrays(params: dict, x: jax.Array) -> None:
    """Its rule has no derivative for them, and zeros would pass unseen."""

    @jax.custom_jvp
    def own(w: jax.Array, x: jax.Array) -> jax.Array:
        return x @ w

    own.defjvp(lambda primals, tangents: (own(*primals), primals[1] @ tangents[0] + tangents[1] @ primals[0]))

    def fn(p: dict, x: jax.Array) -> jax.Array:
        return own(p["first"]["kernel"], x) @ p["second"]["kernel"].T

    out, found = taps(fn, select="second.*")(params, x)
    np.testing.assert_allclose(out, fn(params, x), rtol=1e-5)
    assert list(found) == ["second/kernel"]
    with pytest.raises(ValueError, match=r"first/kernel.*, read only in .* custom derivatives"):
        taps(fn, select="first/kernel")(params, x)


def test_taps_of_a_batch_are_those_of_its_examples(params: dict, x: jax.Array) -> None:
    tapped = taps(lambda p, x: scanned(p, x[None])[0], select=["first/kernel", "stack"])
    _, found = jax.vmap(tapped, in_axes=(None, 0))(params, x)
    _, whole = taps(scanned, select=["first/kernel", "stack"])(params, x)
    np.testing.assert_allclose(found["first/kernel"][:, 0], whole["first/kernel"], atol=1e-6)
    np.testing.assert_allclose(found["stack"][:, :, 0], whole["stack"].swapaxes(0, 1), atol=1e-6)


def test_shared_weights_and_what_is_made_of_weights(x: jax.Array) -> None:
    tree = {"w": jnp.eye(3), "g": jnp.full((3, 3), 2.0)}

    def fn(p: dict, x: jax.Array) -> jax.Array:
        y = x @ p["w"]
        return (y + 1) @ (p["w"] * 2.0)

    _, found = taps(fn, select="w")(tree, x)
    np.testing.assert_allclose(found["w"], x, atol=1e-6)
    np.testing.assert_allclose(found["w#1"], 2 * (x + 1), atol=1e-6)


def test_convolutions_and_embeddings(key: jax.Array) -> None:
    tree = {"conv": jax.random.normal(key, (4, 2, 3, 3)), "table": jax.random.normal(key, (7, 5))}
    images, tokens = jax.random.normal(key, (2, 2, 6, 6)), jnp.array([[1, 6], [0, 3]])

    def fn(p: dict, images: jax.Array, tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.lax.conv(images, p["conv"], (1, 1), "SAME"), jnp.take(p["table"], tokens, axis=0)

    (out, rows), found = taps(fn, select=".*")(tree, images, tokens)
    np.testing.assert_array_equal(found["conv"], out.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(found["table"], rows)
    _, found = taps(fn, select="conv", at="input")(tree, images, tokens)
    np.testing.assert_array_equal(found["conv"], images.transpose(0, 2, 3, 1))


def test_nodes_run_packed(params: dict, x: jax.Array, key: jax.Array) -> None:
    a, b = jax.random.split(key)
    tree = cj.compress({"w": jax.random.normal(a, (3, 4))}, quant.rtn(8, activation="dynamic"))
    tree["v"] = tensors.LowRank(jax.random.normal(a, (4, 1)), jax.random.normal(b, (1, 2)))

    def fn(p: dict, x: jax.Array) -> jax.Array:
        return jnp.tanh(x @ p["w"]) @ p["v"]

    out, found = taps(fn, select=".*")(tree, x)
    np.testing.assert_array_equal(out, cj.lift(fn)(tree, x))
    np.testing.assert_array_equal(found["w"], cj.lift(lambda p, x: x @ p["w"])(tree, x))
    np.testing.assert_array_equal(found["v"], out)


def test_what_is_not_there_is_named_with_its_neighbors(params: dict, x: jax.Array) -> None:
    with pytest.raises(ValueError, match=r"select='first/kernal' matches no output .* nearest are \['first/kernel'"):
        taps(whole_only, select="first/kernal")(params, x)
    with pytest.raises(ValueError, match=r"select='.*bias' matches no"):
        taps(whole_only, select=[".*kernel", ".*bias"])(params, x)
    with pytest.raises(ValueError, match="and the function names no array"):
        taps(lambda p, x: x, select=".*")(params, x)
    with pytest.raises(ValueError, match="at='both'"):
        taps(whole_only, select=".*", at="both")
    with pytest.raises(ValueError, match="select is empty"):
        taps(whole_only, select=[])


def whole_only(p: dict, x: jax.Array) -> jax.Array:
    return whole(p, x)[0]


def test_branches_and_open_loops_run_without_taps(params: dict, x: jax.Array) -> None:
    def fn(p: dict, x: jax.Array) -> jax.Array:
        y = x @ p["first"]["kernel"]
        y = jax.lax.cond(y[0, 0] > 0, lambda w, y: y @ w.T, lambda w, y: -(y @ w.T), p["second"]["kernel"], y)
        step = lambda s: (s[0] + 1, s[1] @ p["stack"][0])  # noqa: E731
        return jax.lax.while_loop(lambda s: s[0] < 2, step, (0, y))[1]

    out, found = jax.jit(taps(fn, select="first.*"))(params, x)
    np.testing.assert_allclose(out, fn(params, x), rtol=1e-5)
    assert list(found) == ["first/kernel"]
    with pytest.raises(ValueError, match=r"second/kernel.*, read only in branches, open loops or custom"):
        taps(fn, select="second/kernel")(params, x)
