"""Loss with one leaf compressed, or with all leaves but one: which layer lost it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Compression, Layout, entry_bits, materialize, nodes
from compressjax.core._fit import compress_and_fit
from compressjax.measure._hessian_trace import Trace


class LeafLosses(NamedTuple):
    """Losses, sizes and errors of every leaf under every method.

    Attributes:
        base: Loss of the uncompressed parameters.
        alone: `{method: {path: loss}}` with only this leaf compressed.
        but_one: `{method: {path: loss}}` with all leaves compressed except this one.
        whole: `{method: loss}` with all leaves compressed.
        bits: `{method: {path: bits}}`, as `storage` counts them.
        errors: `{method: {path: squared error of the weights}}`.
        dense_bits: `{path: bits}` of the uncompressed leaves.
        sizes: `{path: number of entries}`.
    """

    base: float
    alone: dict[str, dict[str, float]]
    but_one: dict[str, dict[str, float]]
    whole: dict[str, float]
    bits: dict[str, dict[str, int]]
    errors: dict[str, dict[str, float]]
    dense_bits: dict[str, int]
    sizes: dict[str, int]

    def increases(self) -> dict[str, dict[str, float]]:
        """Measured increases of the loss, `{path: {method: increase}}`, as `search.choose` reads them."""
        return self._turned({name: {p: x - self.base for p, x in row.items()} for name, row in self.alone.items()})

    def expected(self, traces: Mapping[str, Trace]) -> dict[str, dict[str, float]]:
        """Increases expected from traces of `hessian_trace`, `{path: {method: increase}}`.

        .. math:: \\Omega_l = \\frac{tr(H_l)}{2 n_l} \\|\\hat W_l - W_l\\|^2

        with `n_l` entries; a negative trace counts as 0.
        """
        return self._turned(
            {
                name: {p: max(traces[p].value, 0.0) * error / (2 * self.sizes[p]) for p, error in row.items()}
                for name, row in self.errors.items()
            }
        )

    def costs(self) -> dict[str, dict[str, float]]:
        """Bits, `{path: {method: bits}}`."""
        return self._turned(self.bits)

    def _turned(self, table: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
        """`{path: {method: number}}` from `{method: {path: number}}`, for paths that some method takes."""
        paths = dict.fromkeys(path for row in table.values() for path in row)
        return {path: {name: float(row[path]) for name, row in table.items() if path in row} for path in paths}


def leaf_losses(
    loss: Callable[[Any, Any], jax.Array],
    params: Any,
    batches: Sequence[Any],
    methods: Mapping[str, Compression | Mapping[Any, Compression]],
    *,
    stats: Any = None,
    layout: Mapping[str, Layout] | str | None = None,
    but_one: bool = False,
) -> LeafLosses:
    """Measures which leaves lose accuracy under a method, and what every leaf costs.

    .. math:: L_l = L(\\dots, W_{l-1}, \\hat W_l, W_{l+1}, \\dots), \\qquad
        L_{-l} = L(\\dots, \\hat W_{l-1}, W_l, \\hat W_{l+1}, \\dots)

    The effect of weights alone; activations stay in floating point. Every method compresses once; then one compiled
    program runs `methods * leaves * batches` times (twice that with `but_one`).

    Args:
        loss: `(params, batch) -> scalar`, the mean over the batch.
        params: A tree of arrays.
        batches: List of batches of equal weight.
        methods: `{name: compression, or rules as for compress}`.
        stats: Statistics of `observe`, for methods that read them.
        layout: As for `compress`.
        but_one: Whether to measure all leaves but one as well.

    Returns:
        Losses, bits and errors.

    Raises:
        ValueError: If there is no method or batch, or from `compress`.

    Example:
        >>> from compressjax import quant
        >>> loss = lambda p, x: jnp.mean((x @ p["a"] - x.sum(1, keepdims=True) * 0.7) ** 2)
        >>> found = leaf_losses(loss, {"a": jnp.array([[0.7], [0.7]])}, [jnp.ones((1, 2))], {"4": quant.rtn(4)})
        >>> found.alone["4"]["a"] < 1e-6, found.bits["4"]["a"]
        (True, 40)
    """
    if not methods or not batches:
        raise ValueError(f"leaf_losses needs methods and batches, got {len(methods)} and {len(batches)}")
    dense = nodes(params)

    @jax.jit
    def evaluate(flat: dict[str, jax.Array]) -> jax.Array:
        tree = jax.tree.unflatten(jax.tree.structure(params), [flat[path] for path in dense])
        return jnp.mean(jnp.stack([loss(tree, batch) for batch in batches]))

    whole: dict[str, float] = {}
    alone, without, bits, errors = ({name: {} for name in methods} for _ in range(4))  # type: ignore[var-annotated]
    for name, method in methods.items():
        tree, _ = compress_and_fit(
            params, method, stats, layout=layout, unfit="skip", on_unchanged="ignore", warn=False
        )
        held = nodes(tree)
        changed = {path: jnp.asarray(materialize(x)) for path, x in held.items() if x is not dense[path]}
        whole[name] = float(evaluate({**dense, **changed}))
        for path, x in changed.items():
            alone[name][path] = float(evaluate({**dense, path: x}))
            bits[name][path] = entry_bits(held[path])
            errors[name][path] = float(
                np.sum(np.square(np.asarray(x, np.float64) - np.asarray(dense[path], np.float64)))
            )
            if but_one:
                without[name][path] = float(evaluate({**dense, **changed, path: dense[path]}))
    sizes = {path: entry_bits(x) for path, x in dense.items()}
    count = {path: int(np.size(x)) for path, x in dense.items()}
    return LeafLosses(float(evaluate(dense)), alone, without, whole, bits, errors, sizes, count)
