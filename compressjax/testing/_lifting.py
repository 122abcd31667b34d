"""Law 5: `lift(f)(node, x)` equals `f(materialize(node), x)`, compiled, batched, differentiated and sharded.

The functions are linear in the weight and in `x`, which gives the bound: an error of at most `e` in the activations
changes `f` by at most `f(|W|, e)`, and rounding errors of sums change it by a multiple of `f(|W|, |x|)`. If `W` is a
product of factors, `|W|` is the product of their magnitudes.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import core, interpret
from compressjax.testing._compare import Broken, array, epsilon, float64, require

Function = Callable[[Any, jax.Array], jax.Array]
Lift = Callable[[Function], Function]


def functions(shape: tuple[int, ...]) -> tuple[dict[str, Function], tuple[int, ...]]:
    """Functions of a weight of some shape, and the shape of their common `x`."""
    match len(shape):
        case 1:
            return {"scale": lambda w, x: x * jnp.broadcast_to(w, x.shape)}, (4, *shape)
        case 2:
            ids = np.array([0, shape[0] - 1, 0, 1])
            return {
                "product": lambda w, x: x @ w,
                "one row": lambda w, x: jnp.einsum("a,ao->o", x[0], w),
                "rows read": lambda w, x: jnp.take(w, ids, axis=0) * x[:, :1],
            }, (4, shape[0])
        case 3:
            return {
                "two output axes": lambda w, x: jnp.einsum("nb,bio->nio", x, w),
                "batched": lambda w, x: jnp.einsum("nb,bio->bno", x, w),
            }, (4, shape[0])
        case 4:
            numbers = ("NHWC", "HWIO", "NHWC")

            def convolve(w: Any, x: jax.Array) -> jax.Array:
                return jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=numbers)

            return {"convolution": convolve}, (4, 4, 4, shape[2])
    return {"product": lambda w, x: jnp.tensordot(x, w, 1 if shape else 0)}, (4, *shape[:1])


def native(f: Function) -> Function:
    """The transformation under test, with fallbacks allowed."""
    return interpret.lift(f, on_fallback="ignore")


def assert_lifted(node: core.Node, seed: int, lift: Lift = native) -> None:
    """Law 5 for one node, under `jit`: outputs, the first also under `vmap`, gradients of values and input."""
    shape = tuple(node.shape)
    table, x_shape = functions(shape)
    x = array(seed, x_shape, str(jnp.dtype(node.dtype)))
    dense = node.materialize()
    flat = core.values({"w": node})
    outputs, batched, gradients = _compiled(table, lift, node, flat, x)
    expected, expected_batch, (to_weight, to_x) = _dense_program(shape)(dense, x)
    bounds = _bounds(node, x)
    for name, reference in expected.items():
        _within(name, outputs[name], reference, bounds[name])
    first = next(iter(table))
    _within(f"{first} under vmap", batched, expected_batch, np.stack([bounds[first], _bounds(node, -x)[first]]))
    errors = _activation_errors(node, x)
    wanted, off = _pulled(node, flat, to_weight), _gradient_errors(node, flat, errors)
    # A range may stop the gradient of inputs that it cuts off: those are rounded by more than others.
    cut = float64(errors) > 1.001 * float64(errors).min(initial=np.inf)
    wanted["x"] = jnp.where(cut, gradients[1], to_x)
    for path, reference in wanted.items():
        got = {**gradients[0], "x": gradients[1]}[path]
        # A gradient sums entries of similar size, so its largest entry bounds the errors of all.
        size = np.full(reference.shape, 1.0 + 2.0 * np.abs(float64(reference)).max(initial=0.0))
        _within(f"gradient of {path}", got, reference, rounding(node, *x.shape) * size + off.get(path, 0.0))


def _pulled(node: core.Node, flat: Any, to_weight: jax.Array) -> dict[str, jax.Array]:
    """Gradients of the values of a node from that of its dense tensor."""
    _, pull = jax.vjp(lambda flat: core.with_values({"w": node}, flat)["w"].materialize(), flat)
    return dict(pull(to_weight)[0])


def _gradient_errors(node: core.Node, flat: Any, errors: jax.Array) -> dict[str, np.ndarray]:
    """How far rounded activations may move the gradient of each value: the gradients of `f(|W|, e)`."""
    if not flat or not jnp.any(errors > 0):
        return {}
    table, _ = functions(tuple(node.shape))
    total = jax.jit(jax.grad(lambda w, e: sum(jnp.sum(f(w, e)) for f in table.values())))
    moved = total(jnp.zeros(node.shape, jnp.float32), errors).astype(node.dtype)
    pulled = _pulled(node, jax.tree.map(jnp.abs, flat), moved)
    return {path: 1.01 * np.abs(float64(x)) for path, x in pulled.items()}


WAYS = ("jit", "shard_map", "pmap")


def assert_sharded(
    node: core.Node, seed: int, lift: Lift = native, devices: int = 2, ways: tuple[str, ...] = WAYS
) -> None:
    """Law 5 with the rows of `x` on several devices, under `jit`, `shard_map` and `pmap`.

    Where every output belongs to one row; a function that sums over rows runs under `jit` alone.
    """
    shape = tuple(node.shape)
    table, x_shape = functions(shape)
    x = array(seed, x_shape, str(jnp.dtype(node.dtype)))
    expected, _, _ = _dense_program(shape)(node.materialize(), x)
    bounds = _bounds(node, x)
    by_row = {name: f for name, f in table.items() if expected[name].shape[:1] == x.shape[:1] and name not in _MIXED}
    for way in ways:
        chosen = table if way == "jit" else by_row
        outputs = _spread(way, lambda node, x, fs=chosen: {n: lift(f)(node, x) for n, f in fs.items()}, devices)(
            node, x
        )
        for name in chosen:
            _within(f"{name} on {devices} devices under {way}", outputs[name], expected[name], bounds[name])


# What reads the first row only, or reads as many rows as there are.
_MIXED = ("one row", "rows read", "batched")


def _spread(way: str, fn: Callable[..., Any], devices: int) -> Callable[..., Any]:
    """The function of a node and of rows that lie on several devices."""
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:devices]), ("rows",))
    rows, whole = jax.sharding.PartitionSpec("rows"), jax.sharding.PartitionSpec()
    if way == "jit":
        return lambda node, x: jax.jit(fn)(node, jax.device_put(x, jax.sharding.NamedSharding(mesh, rows)))
    if way == "shard_map":
        return jax.jit(jax.shard_map(fn, mesh=mesh, in_specs=(whole, rows), out_specs=rows, check_vma=False))

    def mapped(node: core.Node, x: jax.Array) -> Any:
        parts = jnp.reshape(x, (devices, -1, *x.shape[1:]))
        found = jax.pmap(fn, in_axes=(None, 0), devices=jax.devices()[:devices])(node, parts)
        return jax.tree.map(lambda y: jnp.reshape(y, (-1, *y.shape[2:])), found)

    return mapped


def _within(what: str, got: jax.Array, expected: jax.Array, bound: np.ndarray) -> None:
    same = got.shape == expected.shape and got.dtype == expected.dtype
    require(same, "lift", f"{what} is {got.dtype}{got.shape}, dense {expected.dtype}{expected.shape}")
    error = np.abs(float64(got) - float64(expected))
    require((error <= bound).all(), "lift", f"{what} is off by {error.max():.3g}, bound {np.max(bound):.3g}")


def _scalar(table: dict[str, Function], w: Any, x: jax.Array) -> jax.Array:
    """One number from all functions, to differentiate."""
    total = jnp.float32(0)
    for f in table.values():
        y = f(w, x).astype(jnp.float32)
        total = total + jnp.sum(y * np.cos(np.arange(y.size, dtype=np.float32)).reshape(y.shape))
    return total


def _compiled(table: dict[str, Function], lift: Lift, node: core.Node, flat: Any, x: jax.Array) -> Any:
    lifts = {name: lift(f) for name, f in table.items()}
    first = next(iter(table))

    @jax.jit
    def program(node: core.Node, flat: Any, x: jax.Array) -> Any:
        def loss(flat: Any, x: jax.Array) -> jax.Array:
            return _scalar(lifts, core.with_values({"w": node}, flat)["w"], x)

        outputs = {name: g(node, x) for name, g in lifts.items()}
        pair = jnp.stack([x, -x])
        batched = jax.vmap(lifts[first], (None, 0))(node, pair)
        return outputs, batched, jax.grad(loss, (0, 1))(flat, x)

    try:
        return program(node, flat, x)
    except (jax.errors.JAXTypeError, TypeError) as error:
        raise Broken(f"lift: it does not run under jit, vmap and grad: {error}") from error


@functools.cache
def _dense_program(shape: tuple[int, ...]) -> Callable[..., Any]:
    """The program for a dense weight, shared by all nodes of that shape."""
    table, _ = functions(shape)
    first = next(iter(table))

    @jax.jit
    def program(w: jax.Array, x: jax.Array) -> Any:
        outputs = {name: f(w, x) for name, f in table.items()}
        batched = jnp.stack([table[first](w, x), table[first](w, -x)])
        return outputs, batched, jax.grad(lambda w, x: _scalar(table, w, x), (0, 1))(w, x)

    return program


@functools.cache
def _plain(shape: tuple[int, ...]) -> Callable[..., Any]:
    table, _ = functions(shape)
    return jax.jit(lambda w, x: {name: f(w, x) for name, f in table.items()})


def rounding(node: core.Node, *sizes: int) -> float:
    """Relative rounding error of sums over the longest axis."""
    return 4 * epsilon(node.dtype) * (4 + max(*node.shape, *sizes, 1))


def _bounds(node: core.Node, x: jax.Array) -> dict[str, np.ndarray]:
    plain = _plain(tuple(node.shape))
    weight, size = magnitude(node), jnp.abs(x.astype(jnp.float32))
    sums, off = plain(weight, size), plain(weight, _activation_errors(node, x))
    share = rounding(node, *x.shape)
    return {name: 1.001 * np.asarray(off[name]) + share * np.asarray(sums[name]) + 1e-6 for name in sums}


def _activation_errors(node: core.Node, x: jax.Array) -> jax.Array:
    """The maximum error of each activation if the node rounds them, else zero."""
    x = x.astype(jnp.float32)
    largest = jnp.max(jnp.abs(x))
    found = (errors for n in inner(node) if (errors := n.input_errors(x, largest)) is not None)
    return next(found, jnp.zeros_like(x))


def inner(item: Any) -> Iterator[core.Node]:
    """A node and all nodes inside its values."""
    for part in item if isinstance(item, tuple) else (item,):
        if isinstance(part, core.Node):
            yield part
            for name, role in part.roles.items():
                if role == "value":
                    yield from inner(getattr(part, name))


def magnitude(x: Any) -> Any:
    """The scale of rounding errors: the dense tensor of the magnitudes of the values.

    Adds the tensor of zero codes, because products with a zero point are summed separately.
    """
    if isinstance(x, tuple | list):
        return type(x)(map(magnitude, x))
    if not isinstance(x, core.Node):
        return jnp.abs(jnp.asarray(x, jnp.float32))
    made: Any = x
    values = {name: magnitude(getattr(x, name)) for name, role in x.roles.items() if role == "value"}
    absolute = dataclasses.replace(made, **values)
    buffers = {name: getattr(x, name) for name, role in x.roles.items() if role == "buffer"}
    codes = {name: jnp.zeros_like(part) for name, part in buffers.items() if _is_code(part, x.size)}
    total = jnp.abs(absolute.materialize().astype(jnp.float32))
    return total + (2 * jnp.abs(dataclasses.replace(absolute, **codes).materialize()) if codes else 0)


def _is_code(part: Any, size: int) -> bool:
    return isinstance(part, jax.Array | np.ndarray) and part.dtype.kind in "iu" and part.size == size
