"""`lift`: run a function written for dense parameters directly on nodes."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax

from compressjax.core import Dense, Node, ops
from compressjax.core._node import check_fields, has_nodes
from compressjax.interpret.jaxpr._bind import bind
from compressjax.interpret.jaxpr._records import Records
from compressjax.interpret.jaxpr._trace import abstractly, run
from compressjax.interpret.jaxpr._weight import Row, Weight
from compressjax.interpret.lifting._explicit import materialize, native
from compressjax.interpret.lifting._joined import join
from compressjax.interpret.lifting._rules import PRODUCTS, move

UNUSED = "the function does not read it"


class FallbackWarning(UserWarning):
    """An operation has no rule for a node, so `lift` made the weight dense."""


def describe(node: Any) -> str:
    """Returns the type of a node with its nesting."""
    if not isinstance(node, Node):
        return "dense"
    inner: list[str] = []
    for name, role in node.roles.items():
        item = getattr(node, name)
        for part in item if isinstance(item, tuple) else (item,):
            if role == "value" and isinstance(part, Node):
                inner.append(describe(part))
    return type(node).__name__ + (f"({', '.join(dict.fromkeys(inner))})" if inner else "")


class Lift:
    """Handler of `lift`; `rows` records how each operation uses each weight."""

    observes = False
    stacks = False

    def __init__(self, rows: dict[Row, None], on_fallback: str) -> None:
        self.rows = rows
        self.on_fallback = on_fallback

    def _record(self, weight: Weight, status: str, primitive: str, reason: str) -> None:
        found = [Row(path, describe(weight.node), status, primitive, reason) for path in weight.paths]
        for row in found:
            if row not in self.rows:
                self.rows[row] = None
                self._warn(row, weight)

    def _warn(self, row: Row, weight: Weight) -> None:
        if row.status == "fallback" and self.on_fallback != "ignore":
            text = (
                f"lift: {row.path} ({row.node} {weight.shape}) was made dense for {row.primitive}: {row.reason}; "
                'pass on_fallback="ignore" to accept it'
            )
            if self.on_fallback == "raise":
                raise ValueError(text)
            warnings.warn(text, FallbackWarning, stacklevel=3)

    def apply(self, eqn: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        """Applies one equation with a weight."""
        name = eqn.primitive.name
        moved = move(eqn, inputs)
        if isinstance(moved, list):
            return moved
        if isinstance(moved, Dense):
            return self._bind(eqn, inputs, moved.reason)
        joined = join(eqn, inputs)
        if isinstance(joined, list):
            return joined
        if isinstance(joined, Dense):
            return self._bind(eqn, inputs, joined.reason)
        if name in PRODUCTS:
            operand, rule = PRODUCTS[name]
            at = operand(inputs)
            if isinstance(inputs[at], Weight):
                return self._multiply(eqn, inputs, at, rule)
            return self._bind(eqn, inputs, f"{name} has no rule for a node in this operand")
        return self._bind(eqn, inputs, f"{name} has no rule")

    def _multiply(self, eqn: Any, inputs: Sequence[Any], at: int, rule: Any) -> Sequence[Any]:
        name, weight = eqn.primitive.name, inputs[at]
        plain = list(inputs)
        for i, x in enumerate(inputs):
            if i != at and isinstance(x, Weight):
                self._record(x, "dense", name, "the other operand is a weight too")
                plain[i] = materialize(x)
        plain[at] = weight.node
        out = native(rule, eqn, plain, at)
        if not isinstance(out, Dense):
            self._record(weight, "native", name, "")
            return [out]
        self._record(weight, "dense", name, out.reason)
        plain[at] = materialize(weight)
        return bind(eqn, plain)

    def _bind(self, eqn: Any, inputs: Sequence[Any], reason: str) -> Sequence[Any]:
        name = eqn.primitive.name
        return bind(eqn, [self.dense(x, name, reason) if isinstance(x, Weight) else x for x in inputs])

    def dense(self, weight: Weight, primitive: str, reason: str) -> jax.Array:
        """Materializes a weight and records it; vectors are cheap, so they do not count as fallbacks."""
        status = "fallback" if len(weight.shape) >= 2 else "dense"
        self._record(weight, status, primitive, reason)
        return materialize(weight)

    def stacked(self, weight: Weight) -> Weight | None:
        """The node as stacked layers over axis 0."""
        node = ops.stacked(weight.node)
        return None if node is None else Weight(node, weight.path, also=weight.also)

    def row(self, weight: Weight) -> Weight:
        """One of the stacked layers."""
        return weight

    def named(self, name: str, x: jax.Array) -> None:
        """Does nothing, since `lift` records no arrays."""

    def spawn(self) -> "Lift":
        """Returns itself, since rows are static and nested traces share them."""
        return self

    def collected(self) -> Records:
        """Returns no records, since `lift` records no arrays."""
        return {}

    def absorb(self, records: Records) -> None:
        """Does nothing, since `lift` records no arrays."""


def _mark(path: str, leaf: Any) -> Weight | None:
    if not isinstance(leaf, Node):
        return None
    check_fields("lift", path, leaf)
    return Weight(leaf, path)


def lift(fn: Callable[..., Any], *, on_fallback: str = "warn") -> Callable[..., Any]:
    """Transforms a function of dense parameters into one that takes nodes in their place.

    .. math:: lift(f)(T, x) = f(materialize(T), x) \\quad \\text{up to rounding}

    Products with low-rank, integer and sum nodes run on the compressed form. Layout changes apply to the nodes. Calls
    and loops are interpreted inside. Any other operation materializes the node, which `explain` reports. Without nodes
    in its arguments, the original function runs. The result composes with `jit`, `grad`, `vmap` and `shard_map`.

    Args:
        fn: Any JAX function; nodes may be in any argument. Arguments that are not arrays are static.
        on_fallback: `"warn"`, `"raise"` or `"ignore"` if an operation without a rule materializes a matrix.

    Returns:
        Function of the same arguments. Products of `Quantized` nodes with integer activations differ from dense
            products by at most `integer_bound`; all other products differ by floating-point rounding.

    Raises:
        ValueError: If `on_fallback` is unknown; when called, if it is `"raise"` and a fallback occurs, or if the fields
            of a node do not fit together.

    Example:
        >>> from compressjax.tensors import LowRank
        >>> import jax.numpy as jnp
        >>> tree = {"kernel": LowRank(jnp.ones((4, 1)), jnp.ones((1, 3)))}
        >>> lift(lambda p, x: x @ p["kernel"])(tree, jnp.ones((2, 4))).shape
        (2, 3)
    """
    if on_fallback not in ("warn", "raise", "ignore"):
        raise ValueError(f"on_fallback={on_fallback!r}; use 'warn', 'raise' or 'ignore'")

    def lifted(*args: Any, **kwargs: Any) -> Any:
        if not has_nodes((args, kwargs)):
            return fn(*args, **kwargs)
        return run(fn, args, kwargs, _mark, Lift({}, on_fallback))

    return lifted


def explain(fn: Callable[..., Any]) -> Callable[..., list[Row]]:
    """Transforms a function into one that reports which operations run on the compressed form of each node.

    Args:
        fn: Any JAX function.

    Returns:
        Function of the same arguments (arrays may be abstract) that only traces and returns a `Row` per weight
            and operation.

    Example:
        >>> from compressjax.tensors import LowRank
        >>> import jax.numpy as jnp
        >>> tree = {"kernel": LowRank(jnp.ones((4, 1)), jnp.ones((1, 3)))}
        >>> explain(lambda p, x: x @ p["kernel"])(tree, jnp.ones((2, 4)))[0].status
        'native'
    """

    def explained(*args: Any, **kwargs: Any) -> list[Row]:
        return survey(fn, args, kwargs, Lift({}, "ignore"))

    return explained


def survey(fn: Callable[..., Any], args: Any, kwargs: Any, handler: Lift) -> list[Row]:
    """Traces a function with a handler: the rows that it records, and those of weights that no operation reads."""
    found: dict[str, str] = {}

    def mark(path: str, leaf: Any) -> Weight | None:
        weight = _mark(path, leaf)
        if weight is not None:
            found[path] = describe(leaf)
        return weight

    abstractly(lambda a, k: run(fn, a, k, mark, handler), args, kwargs)
    used = {row.path for row in handler.rows}
    return [*handler.rows, *(Row(path, kind, "unused", "", UNUSED) for path, kind in found.items() if path not in used)]
