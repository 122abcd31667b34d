"""`observe`: run a function and record statistics of the inputs of every weight."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Node, Selector, matches, nodes, ops
from compressjax.core._checks import check_statistics
from compressjax.core._paths import map_with_path, path_string
from compressjax.core._tree import is_value
from compressjax.interpret.jaxpr._bind import bind
from compressjax.interpret.jaxpr._records import Key, Records, add, named
from compressjax.interpret.jaxpr._trace import run
from compressjax.interpret.jaxpr._weight import Weight
from compressjax.interpret.lifting._explicit import materialize
from compressjax.interpret.lifting._rules import move
from compressjax.interpret.observing._axes import moved_axes
from compressjax.interpret.observing._patches import of_patches
from compressjax.interpret.observing._statistics import Statistics, of_rows, refuse_empty


class _Place(NamedTuple):
    """Where the axes of a record come from."""

    lead: list[int]  # order of the batch axes
    last: list[int]  # order of the summed axes
    batch: tuple[int, ...]  # axes of the leaf
    inputs: tuple[int, ...]

    @classmethod
    def of(cls, weight: Weight, batch: Sequence[int], summed: Sequence[int]) -> "_Place":
        """Sorts axes of a weight by the axes of the leaf."""
        axes = weight.axes or tuple((a,) for a in range(len(weight.shape)))
        lead = sorted(range(len(batch)), key=lambda i: axes[batch[i]])
        last = sorted(range(len(summed)), key=lambda i: axes[summed[i]])
        return cls(
            lead, last, tuple(o for i in lead for o in axes[batch[i]]), tuple(o for i in last for o in axes[summed[i]])
        )


class _Observe:
    """Handler of `observe`: runs the function unchanged and records the inputs of products."""

    observes = True
    stacks = False

    def __init__(self, gram: bool, histogram: bool = False) -> None:
        self.gram, self.histogram = gram, histogram
        self.records: Records = {}

    def apply(self, eqn: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        """Applies one equation with a weight."""
        name = eqn.primitive.name
        if name not in _JOINS and not any(isinstance(x, Weight) and x.parts for x in inputs):
            moved = move(eqn, inputs)
            if isinstance(moved, list):
                return [_followed(eqn, inputs, x) for x in moved]
        weights = [x for x in inputs if isinstance(x, Weight)]
        plain = [materialize(x) if isinstance(x, Weight) else x for x in inputs]
        if len(weights) < len(inputs) and len(weights) == 1:
            if name == "dot_general":
                self._dot(eqn.params, plain, weights[0], isinstance(inputs[0], Weight))
            elif name == "ragged_dot_general" and isinstance(inputs[1], Weight):
                self._ragged(eqn.params, plain, weights[0])
        if name == "conv_general_dilated" and isinstance(inputs[1], Weight) and not isinstance(inputs[0], Weight):
            self._conv(eqn.params, plain, inputs[1])
        return _without_data(eqn, inputs, bind(eqn, plain))

    def _dot(self, params: dict[str, Any], plain: Sequence[Any], weight: Weight, weight_first: bool) -> None:
        (l_sum, r_sum), (l_batch, r_batch) = params["dimension_numbers"]
        if weight_first:
            x, x_sum, w_sum, x_batch, w_batch = plain[1], r_sum, l_sum, r_batch, l_batch
        else:
            x, x_sum, w_sum, x_batch, w_batch = plain[0], l_sum, r_sum, l_batch, r_batch
        lead, last = list(x_batch), list(x_sum)
        free = [a for a in range(x.ndim) if a not in lead and a not in last]
        rows = jnp.transpose(x, (*lead, *free, *last))
        count = math.prod(x.shape[a] for a in free)
        rows = rows.reshape(*(x.shape[a] for a in lead), count, *(x.shape[a] for a in last))
        self._keep(weight, w_batch, w_sum, rows)

    def _keep(self, weight: Weight, batch: Sequence[int], summed: Sequence[int], rows: jax.Array) -> None:
        """Records rows `[*batch, n, *summed]`, with axes in the order of the leaf."""
        if weight.parts:
            return self._keep_parts(weight, batch, summed, rows)
        if not weight.path:
            return None
        # A new axis of length 1, as of a kernel that is stacked with others, is none of the leaf's.
        new = tuple(i for i, axis in enumerate(batch) if weight.axes and not weight.axes[axis] and rows.shape[i] == 1)
        rows, batch = jnp.squeeze(rows, new), [axis for i, axis in enumerate(batch) if i not in new]
        place = _Place.of(weight, batch, summed)
        add(self.records, Key(weight.path, place.inputs, (), place.batch), self._of(weight, place, rows))
        return None

    def _keep_parts(self, weight: Weight, batch: Sequence[int], summed: Sequence[int], rows: jax.Array) -> None:
        """Gives every concatenated weight its rows: all of them, or its share of a batch or input axis."""
        start = 0
        where = [*batch, None, *summed]
        for part in weight.parts:
            own, size = rows, part.shape[weight.joined]
            if weight.joined in where:
                own = jax.lax.slice_in_dim(rows, start, start + size, axis=where.index(weight.joined))
            self._keep(part, batch, summed, own)
            start += size

    def _ragged(self, params: dict[str, Any], plain: Sequence[Any], weight: Weight) -> None:
        numbers = params["ragged_dot_dimension_numbers"]
        (x_sum, w_sum), (x_batch, _) = numbers.dot_dimension_numbers
        experts = list(numbers.rhs_group_dimensions)
        if x_batch or len(experts) != 1 or not weight.path:
            return  # only experts that take turns along the rows have inputs of their own
        x, sizes = plain[0], plain[2]
        ragged = numbers.lhs_ragged_dimensions[0]
        free = [a for a in range(x.ndim) if a not in (*x_sum, ragged)]
        rows = jnp.transpose(x, (ragged, *free, *x_sum))
        place = _Place.of(weight, experts, w_sum)
        begins = jnp.cumsum(sizes) - sizes

        def of(begin: jax.Array, size: jax.Array) -> Statistics:
            index = jnp.arange(rows.shape[0])
            mine = (index >= begin) & (index < begin + size)
            kept = jnp.where(mine.reshape(-1, *[1] * (rows.ndim - 1)), rows, jnp.zeros((), rows.dtype))
            flat = kept.reshape(-1, *rows.shape[1 + len(free) :])
            new = self._of(weight, place._replace(lead=[]), flat)
            return new.replace(count=(size * math.prod(rows.shape[1 : 1 + len(free)])).astype(jnp.float32))

        add(
            self.records,
            Key(weight.path, place.inputs, (), place.batch),
            jax.lax.map(lambda p: of(*p), (begins, sizes)),
        )

    def _of(self, weight: Weight, place: "_Place", rows: jax.Array) -> Statistics:
        count = len(place.lead)
        ordered = jnp.transpose(rows, (*place.lead, count, *(count + 1 + i for i in place.last)))
        flat = ordered.reshape(*ordered.shape[: count + 1], math.prod(ordered.shape[count + 1 :]))
        refuse_empty(weight.path, flat.shape)
        return of_rows(flat, gram=self.gram, histogram=self.histogram)

    def _conv(self, params: dict[str, Any], plain: Sequence[Any], weight: Weight) -> None:
        if not weight.path:
            return
        numbers = params["dimension_numbers"]
        # Channels last, so that groups of successive inputs are channels of one position for every stored order.
        summed = [*sorted(numbers.rhs_spec[2:]), numbers.rhs_spec[1]]
        axes = weight.axes or tuple((a,) for a in range(len(weight.shape)))
        inputs = tuple(o for a in summed for o in axes[a])
        new = of_patches(weight.path, plain[0], weight.shape, params, summed, gram=self.gram, histogram=self.histogram)
        add(self.records, Key(weight.path, inputs, (), ()), new)

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

    def named(self, name: str, x: jax.Array) -> None:
        """Does nothing, since no product reads the array here."""

    def spawn(self) -> "_Observe":
        """New handler, whose records the nested trace returns."""
        return _Observe(self.gram, self.histogram)

    def collected(self) -> Records:
        """Records of this trace."""
        return self.records

    def absorb(self, records: Records) -> None:
        """Adds the records of a nested trace."""
        for key, new in records.items():
            add(self.records, key, new)


def _followed(eqn: Any, inputs: Sequence[Any], result: Any) -> Any:
    if not isinstance(result, Weight) or result.axes:
        return result  # not a weight, or a weight after an optimization barrier
    weight = next(x for x in inputs if isinstance(x, Weight))
    if not weight.axes:
        return result
    return Weight(result.node, result.path, moved_axes(eqn, weight.axes, weight.shape))


# Joins of weights, which `lift` keeps as one node, and which are followed here part by part.
_JOINS = ("concatenate", "stack")
# Operations after which a weight is still the same weight: its products have the same inputs.
_SCALED = ("mul", "div", "add", "sub", "neg")


def _without_data(eqn: Any, inputs: Sequence[Any], results: Sequence[Any]) -> Sequence[Any]:
    """Results that depend on parameters only are weights too, so that a normalized or merged kernel is followed."""
    if not all(isinstance(x, Weight | np.ndarray | np.generic | int | float) for x in inputs):
        return results
    weights = [x for x in inputs if isinstance(x, Weight)]
    if eqn.primitive.name == "concatenate" and len(weights) == len(inputs) and all(x.path for x in weights):
        return [Weight(results[0], "", (), tuple(weights), eqn.params["dimension"])]
    made = []
    for out in results:
        named = [x for x in weights if x.path and x.shape == out.shape] if eqn.primitive.name in _SCALED else []
        made.append(Weight(out, named[0].path, named[0].axes) if len(named) == 1 else Weight(out, ""))
    return made


def observe(
    fn: Callable[..., Any], *, select: Selector | None = None, gram: bool = True, histogram: bool = False
) -> Callable[..., tuple[Any, dict[str, Statistics]]]:
    """Transforms a function so that it also returns statistics of the inputs of its weights.

    .. math:: H = \\sum_n x_n x_n^\\top \\in R^{in \\times in}

    for every product `x W` of a selected weight, including convolutions and products inside calls, loops and branches.
    A weight stacked over a `scan` has a record per layer, and a weight with batch axes (experts) one per index, along
    leading axes. If products sum over different axes of a weight (as for tied embeddings), each has a record: the one
    of the first axes has the path of the weight, all others are named `path#axes`. Weights are followed through layout
    changes, concatenations, and sums and products with other parameters (weight norm, adapters). Experts of a
    `ragged_dot` have a record each; experts that a gather picks for every row are not seen.

    Products inside `shard_map` are not recorded, since each device has different rows. The groups of a grouped
    convolution share a record.

    Args:
        fn: Any JAX function with the weights in its first argument.
        select: Which values of the first argument to observe; None for all that products read.
        gram: False keeps only norms, means and ranges, not the Gram matrix.
        histogram: Whether to count magnitudes too, for `quant.clip_activations`.

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

    def observing(params: Any, *args: Any, **kwargs: Any) -> tuple[Any, dict[str, Statistics]]:
        out, stats = observed(fn, select, gram, params, args, kwargs, histogram)
        if not stats:
            raise ValueError(
                f"observe: none of {sorted(_chosen(params, select))[:12]} is in a product of the function; give the "
                "function that uses the weights of its first argument, or another select="
            )
        check_statistics("observe", stats, rows=False, zeros=True)
        return out, stats

    return observing


def observed(
    fn: Callable[..., Any],
    select: Selector | None,
    gram: bool,
    params: Any,
    args: Any,
    kwargs: Any,
    histogram: bool = False,
) -> tuple[Any, dict[str, Statistics]]:
    """The result of the function, and the statistics of selected weights; without any if no product reads them."""
    handler, chosen = _Observe(gram, histogram), _chosen(params, select)
    # Tag the weights of the first argument with their paths; the interpreter gets the leaves of all arguments.
    tagged = map_with_path(_tagger(chosen), params, is_leaf=_is_leaf)
    out = run(fn, (tagged, *args), kwargs, lambda path, leaf: leaf if isinstance(leaf, Weight) else None, handler)
    shapes = {path: tuple(x.shape) for path, x in nodes(params).items() if path in chosen}
    return out, named(handler.records, shapes)


def _chosen(params: Any, select: Selector | None) -> set[str]:
    found = {p for p, x in nodes(params).items() if is_value(x) and (select is None or matches(select, p, x))}
    if not found:
        raise ValueError(f"observe: select={select!r} selects nothing; the tree has {sorted(nodes(params))[:12]}")
    return found


def _is_leaf(x: Any) -> bool:
    return isinstance(x, Node | Weight)


def _tagger(chosen: set[str]) -> Callable[[Any, Any], Any]:
    def tag(path: Any, leaf: Any) -> Any:
        if not is_value(leaf):
            return leaf
        name = path_string(path)
        return Weight(leaf, name if name in chosen else "", tuple((a,) for a in range(len(leaf.shape))))

    return tag
