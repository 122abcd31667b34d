"""`observe`: run a function and record what every weight is multiplied with."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Node, Selector, is_value, kernels, matches, nodes, path_string
from compressjax.interpret._bind import bind
from compressjax.interpret._explicit import materialize
from compressjax.interpret._rules import move
from compressjax.interpret._statistics import Statistics, merge, of_rows
from compressjax.interpret._trace import run
from compressjax.interpret._weight import Weight

Records = dict[str, Statistics]


class _Observe:
    """Handler of `observe`: weights stay arrays; products leave a record."""

    def __init__(self, gram: bool):
        self.gram = gram
        self.records: Records = {}

    def _add(self, path: str, new: Statistics) -> None:
        old = self.records.get(path)
        self.records[path] = new if old is None else merge(old, new)

    def apply(self, eqn: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        """One equation that touches a weight."""
        name = eqn.primitive.name
        moved = move(eqn, inputs)
        if isinstance(moved, list):
            return moved
        weights = [x for x in inputs if isinstance(x, Weight)]
        plain = [materialize(x) if isinstance(x, Weight) else x for x in inputs]
        if len(weights) == 1 and name == "dot_general":
            self._dot(eqn.params, plain, weights[0], isinstance(inputs[0], Weight))
        elif name == "conv_general_dilated" and isinstance(inputs[1], Weight):
            self._conv(eqn.params, plain, weights[0])
        return bind(eqn, plain)

    def _dot(self, params: dict[str, Any], plain: Sequence[Any], weight: Weight, weight_first: bool) -> None:
        (l_sum, r_sum), _ = params["dimension_numbers"]
        x, x_sum, w_sum = (plain[1], r_sum, l_sum) if weight_first else (plain[0], l_sum, r_sum)
        # Summed axes go last, in the order in which they stand in the weight.
        order = sorted(range(len(w_sum)), key=lambda i: w_sum[i])
        last = [x_sum[i] for i in order]
        rows = jnp.transpose(x, (*(a for a in range(x.ndim) if a not in last), *last))
        self._keep(weight, w_sum, rows.reshape(-1, _size([x.shape[a] for a in last])))

    def _keep(self, weight: Weight, axes: Sequence[int], rows: jax.Array) -> None:
        # A tied weight may be summed over different axes; only rows of one width add up.
        old = self.records.get(weight.path)
        if old is None or old.total.shape[-1] == rows.shape[-1]:
            self._add(weight.path, of_rows(rows, gram=self.gram))
        else:
            names = "x".join(str(a) for a in sorted(axes))
            self._add(f"{weight.path}#{names}", of_rows(rows, gram=self.gram))

    def _conv(self, params: dict[str, Any], plain: Sequence[Any], weight: Weight) -> None:
        numbers = params["dimension_numbers"]
        x = jnp.moveaxis(plain[0], numbers.lhs_spec[:2], (0, 1))
        spatial = [weight.shape[a] for a in numbers.rhs_spec[2:]]
        patches = jax.lax.conv_general_dilated_patches(
            x.astype(jnp.float32), spatial, params["window_strides"], params["padding"], params["lhs_dilation"],
            params["rhs_dilation"], precision=jax.lax.Precision.HIGHEST,
        )  # fmt: skip
        channels = x.shape[1]
        n, _, *out = patches.shape
        split = jnp.moveaxis(patches.reshape(n, channels, *spatial, _size(out)), -1, 1)
        # [n, positions, channels, *spatial]: order the last axes as the kernel has them; groups share one record.
        axes = [a for a in range(len(weight.shape)) if a != numbers.rhs_spec[0]]
        spec = [numbers.rhs_spec[1], *numbers.rhs_spec[2:]]
        rows = jnp.transpose(split, (0, 1, *(2 + spec.index(a) for a in axes)))
        groups = params["feature_group_count"]
        if groups > 1:
            where = 2 + axes.index(numbers.rhs_spec[1])
            rows = jnp.stack(jnp.split(rows, groups, axis=where), axis=0)
        self._keep(weight, axes, rows.reshape(-1, _size([weight.shape[a] for a in axes])))

    def dense(self, weight: Weight, primitive: str, reason: str) -> jax.Array:
        """The array itself."""
        del primitive, reason
        return materialize(weight)

    def stacked(self, weight: Weight) -> Weight | None:
        """Arrays carry axis 0 already; nodes may not."""
        node = weight.node.stacked() if isinstance(weight.node, Node) else weight.node
        return None if node is None else Weight(node, weight.path)

    def spawn(self) -> "_Observe":
        """A fresh recorder, whose records leave the nested trace as results."""
        return _Observe(self.gram)

    def collected(self) -> Records:
        """Records of this trace."""
        return self.records

    def absorb(self, records: Records, stacked: bool) -> None:
        """Takes over records; those of a scan keep its axis in front: one record a layer."""
        del stacked
        for path, new in records.items():
            self._add(path, new)


def _size(dims: Sequence[int]) -> int:
    total = 1
    for d in dims:
        total *= int(d)
    return total


def observe(
    fn: Callable[..., Any], *, select: Selector = kernels, gram: bool = True
) -> Callable[..., tuple[Any, Records]]:
    """Transforms a function so that it also returns the statistics of what its weights are multiplied with.

    .. math:: H = \\sum_n x_n x_n^\\top \\in R^{in \\times in}

    for every product `x W` of a selected weight, through calls, loops and convolutions. A weight stacked over a `scan`
    gets one record a layer, with the layers' axis in front; what happens inside `while` and `cond` is not recorded.

    Args:
        fn: Any JAX function; the weights are found in its first argument.
        select: Which values of the first argument to observe.
        gram: False keeps only the diagonal: norms, means and ranges.

    Returns:
        Function of the same arguments that returns `(fn's result, {path: Statistics})`. Add up batches with
        `merge`; pass the sum to methods as `stats=`.

    Raises:
        ValueError: When called, if nothing is selected.

    Example:
        >>> out, stats = observe(lambda p, x: x @ p["kernel"])({"kernel": jnp.ones((2, 3))}, jnp.ones((4, 2)))
        >>> stats["kernel"].gram.tolist()
        [[4.0, 4.0], [4.0, 4.0]]
    """

    def observed(params: Any, *args: Any, **kwargs: Any) -> tuple[Any, Records]:
        handler = _Observe(gram)
        chosen = {p for p, x in nodes(params).items() if is_value(x) and matches(select, p, x)}
        if not chosen:
            raise ValueError(f"observe: select={select!r} selects nothing; the tree has {sorted(nodes(params))}")
        # The interpreter marks leaves of all arguments; those of the first come with its own paths.
        tagged = jax.tree_util.tree_map_with_path(_tagger(chosen), params, is_leaf=_is_leaf)
        out = run(fn, (tagged, *args), kwargs, lambda path, leaf: leaf if isinstance(leaf, Weight) else None, handler)
        return out, handler.records

    return observed


def _is_leaf(x: Any) -> bool:
    return isinstance(x, Node | Weight)


def _tagger(chosen: set[str]) -> Callable[[Any, Any], Any]:
    def tag(path: Any, leaf: Any) -> Any:
        name = path_string(path)
        return Weight(leaf, name) if name in chosen else leaf

    return tag
