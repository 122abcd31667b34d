"""`observe`: run a function and record statistics of the inputs of every weight."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Node, Selector, kernels, matches, nodes, ops
from compressjax.core._checks import check_statistics
from compressjax.core._tree import is_value, path_string
from compressjax.interpret.jaxpr._bind import bind
from compressjax.interpret.jaxpr._records import Records, add, named
from compressjax.interpret.jaxpr._trace import run
from compressjax.interpret.jaxpr._weight import Weight
from compressjax.interpret.lifting._explicit import materialize
from compressjax.interpret.lifting._rules import move
from compressjax.interpret.observing._axes import moved_axes
from compressjax.interpret.observing._statistics import Statistics, of_rows


class _Observe:
    """Handler of `observe`: runs the function unchanged and records the inputs of products."""

    observes = True

    def __init__(self, gram: bool) -> None:
        self.gram = gram
        self.records: Records = {}

    def apply(self, eqn: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        """Applies one equation with a weight."""
        name = eqn.primitive.name
        moved = move(eqn, inputs)
        if isinstance(moved, list):
            return [_followed(eqn, inputs, x) for x in moved]
        weights = [x for x in inputs if isinstance(x, Weight)]
        plain = [materialize(x) if isinstance(x, Weight) else x for x in inputs]
        if len(weights) == 1 and name == "dot_general":
            self._dot(eqn.params, plain, weights[0], isinstance(inputs[0], Weight))
        elif name == "conv_general_dilated" and isinstance(inputs[1], Weight):
            self._conv(eqn.params, plain, weights[-1])
        return bind(eqn, plain)

    def _dot(self, params: dict[str, Any], plain: Sequence[Any], weight: Weight, weight_first: bool) -> None:
        (l_sum, r_sum), (l_batch, r_batch) = params["dimension_numbers"]
        if weight_first:
            x, x_sum, w_sum, x_batch, w_batch = plain[1], r_sum, l_sum, r_batch, l_batch
        else:
            x, x_sum, w_sum, x_batch, w_batch = plain[0], l_sum, r_sum, l_batch, r_batch
        # Batch axes first and summed axes last, both in the order of the weight.
        lead = [x_batch[i] for i in sorted(range(len(w_batch)), key=lambda i: w_batch[i])]
        last = [x_sum[i] for i in sorted(range(len(w_sum)), key=lambda i: w_sum[i])]
        free = [a for a in range(x.ndim) if a not in lead and a not in last]
        rows = jnp.transpose(x, (*lead, *free, *last))
        size = math.prod(x.shape[a] for a in free), math.prod(x.shape[a] for a in last)
        self._keep(weight, w_sum, rows.reshape(*(x.shape[a] for a in lead), *size))

    def _keep(self, weight: Weight, axes: Sequence[int], rows: jax.Array) -> None:
        origin = tuple(sorted({a for axis in axes for a in (weight.axes[axis] if weight.axes else (axis,))}))
        if not rows.shape[-2]:
            raise ValueError(f"observe: {weight.path!r} has inputs without rows, {rows.shape}; give data with examples")
        add(self.records, weight.path, origin, of_rows(rows, gram=self.gram))

    def _conv(self, params: dict[str, Any], plain: Sequence[Any], weight: Weight) -> None:
        numbers = params["dimension_numbers"]
        x = jnp.transpose(plain[0], numbers.lhs_spec)
        spatial = [weight.shape[a] for a in numbers.rhs_spec[2:]]
        patches = jax.lax.conv_general_dilated_patches(
            x.astype(jnp.float32), spatial, params["window_strides"], params["padding"], params["lhs_dilation"],
            params["rhs_dilation"], precision=jax.lax.Precision.HIGHEST,
        )  # fmt: skip
        channels = x.shape[1]
        n, _, *out = patches.shape
        split = jnp.moveaxis(patches.reshape(n, channels, *spatial, math.prod(out)), -1, 1)
        # [n, positions, channels, *spatial]: permute the last axes to the order of the kernel. Groups share a record.
        axes = [a for a in range(len(weight.shape)) if a != numbers.rhs_spec[0]]
        spec = [numbers.rhs_spec[1], *numbers.rhs_spec[2:]]
        rows = jnp.transpose(split, (0, 1, *(2 + spec.index(a) for a in axes)))
        groups = params["feature_group_count"]
        if groups > 1:
            where = 2 + axes.index(numbers.rhs_spec[1])
            rows = jnp.stack(jnp.split(rows, groups, axis=where), axis=0)
        self._keep(weight, axes, rows.reshape(-1, math.prod(weight.shape[a] for a in axes)))

    def dense(self, weight: Weight, primitive: str, reason: str) -> jax.Array:
        """Materializes a weight."""
        del primitive, reason
        return materialize(weight)

    def stacked(self, weight: Weight) -> Weight | None:
        """The weight as stacked layers over axis 0; None if it cannot be stacked."""
        node = ops.stacked(weight.node)
        return None if node is None else Weight(node, weight.path, weight.axes)

    def row(self, weight: Weight) -> Weight:
        """One of the stacked layers, without axis 0."""
        return Weight(weight.node, weight.path, weight.axes[1:])

    def spawn(self) -> "_Observe":
        """New handler, whose records the nested trace returns."""
        return _Observe(self.gram)

    def collected(self) -> Records:
        """Records of this trace."""
        return self.records

    def absorb(self, records: Records) -> None:
        """Adds the records of a nested trace."""
        for key, new in records.items():
            add(self.records, key.path, key.axes, new)


def _followed(eqn: Any, inputs: Sequence[Any], result: Any) -> Any:
    if not isinstance(result, Weight) or result.axes:
        return result  # not a weight, or a weight after an optimization barrier
    weight = next(x for x in inputs if isinstance(x, Weight))
    return Weight(result.node, result.path, moved_axes(eqn, weight.axes, weight.shape))


def observe(
    fn: Callable[..., Any], *, select: Selector = kernels, gram: bool = True
) -> Callable[..., tuple[Any, dict[str, Statistics]]]:
    """Transforms a function so that it also returns statistics of the inputs of its weights.

    .. math:: H = \\sum_n x_n x_n^\\top \\in R^{in \\times in}

    for every product `x W` of a selected weight, including convolutions and products inside calls, loops and branches.
    A weight stacked over a `scan` has a record per layer, and a weight with batch axes (experts) one per index, along
    leading axes. If products sum over different axes of a weight (as for tied embeddings), each has a record: the one
    of the first axes has the path of the weight, all others are named `path#axes`.

    Products inside `shard_map` are not recorded, since each device has different rows. The groups of a grouped
    convolution share a record.

    Args:
        fn: Any JAX function with the weights in its first argument.
        select: Which values of the first argument to observe.
        gram: False keeps only norms, means and ranges, not the Gram matrix.

    Returns:
        Function of the same arguments that returns `(fn's result, {path: Statistics})`. Add up batches with
            `merge`, and pass the sum to methods as `stats=`.

    Raises:
        ValueError: When called, if nothing is selected, no selected weight is in a product, or the data has no rows;
            outside of `jit`, also if inputs of a product are not finite.

    Example:
        >>> out, stats = observe(lambda p, x: x @ p["kernel"])({"kernel": jnp.ones((2, 3))}, jnp.ones((4, 2)))
        >>> stats["kernel"].gram.tolist()
        [[4.0, 4.0], [4.0, 4.0]]
    """

    def observed(params: Any, *args: Any, **kwargs: Any) -> tuple[Any, dict[str, Statistics]]:
        handler = _Observe(gram)
        chosen = {p for p, x in nodes(params).items() if is_value(x) and matches(select, p, x)}
        if not chosen:
            raise ValueError(f"observe: select={select!r} selects nothing; the tree has {sorted(nodes(params))}")
        # Tag the weights of the first argument with their paths; the interpreter gets the leaves of all arguments.
        tagged = jax.tree_util.tree_map_with_path(_tagger(chosen), params, is_leaf=_is_leaf)
        out = run(fn, (tagged, *args), kwargs, lambda path, leaf: leaf if isinstance(leaf, Weight) else None, handler)
        stats = named(handler.records)
        if not stats:
            raise ValueError(
                f"observe: none of {sorted(chosen)} is in a product of the function; give the function that uses the "
                "weights of its first argument, or another select="
            )
        check_statistics("observe", stats, rows=False, zeros=True)
        return out, stats

    return observed


def _is_leaf(x: Any) -> bool:
    return isinstance(x, Node | Weight)


def _tagger(chosen: set[str]) -> Callable[[Any, Any], Any]:
    def tag(path: Any, leaf: Any) -> Any:
        name = path_string(path)
        return Weight(leaf, name, tuple((a,) for a in range(len(leaf.shape)))) if name in chosen else leaf

    return tag
