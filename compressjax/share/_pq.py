"""Product quantization of kernels, weighted by what their inputs are."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Compression, from_encode
from compressjax.core._layout import layout_of
from compressjax.core._settings import as_int
from compressjax.core._unfit import UnfitError
from compressjax.numerics import with_auto_axes
from compressjax.saliency._layout import layout
from compressjax.tensors import VectorCodebook


def pq(
    clusters: int = 256, length: int = 8, *, weighted: bool = True, tables: str = "shared", iterations: int = 25
) -> Compression:
    """Replaces runs of inputs of each output by the vectors of a codebook, by expectation maximization.

    .. math:: a_{sr} = \\arg\\min_k (v_{sr} - c_k)^\\top H_s (v_{sr} - c_k), \\qquad
        c_k = \\Bigl(\\sum_{a_{sr}=k} H_s\\Bigr)^{-1} \\sum_{a_{sr}=k} H_s v_{sr}

    where `v_sr` are the weights of the inputs of place s and the output r, and `H_s` is the second moment of these
    inputs: this minimizes the error of the results and not of the weights. Takes `log2(k) / length` bits a weight and
    the table. A cluster without members starts again at the vector with the largest error. Train the centroids on with
    `core.values` and a loss of `distill`, as the paper does.

    Args:
        clusters: k, 2 to 65536; at most the number of vectors of a leaf.
        length: Entries of a vector, at least 1; divides the input channels.
        weighted: Whether to weigh by second moments (`observe` with `gram=True`); without, `H` is 1.
        tables: `"shared"`, one table for a leaf, or `"places"`, one for every place along the input channels (product
            quantization as it was first proposed).
        iterations: Of the maximization, at least 1.

    Returns:
        Compression whose nodes are `VectorCodebook`; pass `stats=` to `compress` if `weighted`.

    Raises:
        ValueError: If a setting is out of range or statistics are missing; `UnfitError` for leaves with fewer vectors
            than clusters, or whose input channels `length` does not divide.

    Example:
        >>> from compressjax.core import compress
        >>> kernel = jnp.array([[1.0, 5.0, 1.0], [2.0, 6.0, 2.0]])
        >>> node = compress({"kernel": kernel}, {".*": pq(2, 2, weighted=False)})["kernel"]
        >>> node.codes.tolist(), node.materialize().round().tolist()
        ([[0, 1, 0]], [[1.0, 5.0, 1.0], [2.0, 6.0, 2.0]])

    Source: Stock et al., And the Bit Goes Down: Revisiting the Quantization of Neural Networks, arXiv:1907.05686
    (stock2020).
    """
    if not 2 <= as_int("pq", "clusters", clusters) <= 65536:
        raise ValueError(f"pq: clusters={clusters} must be between 2 and 65536")
    for setting, given in (("length", length), ("iterations", iterations)):
        if as_int("pq", setting, given) < 1:
            raise ValueError(f"pq: {setting}={given} must be at least 1")
    if tables not in ("shared", "places"):
        raise ValueError(f"pq: tables={tables!r} must be 'shared' or 'places'")

    def encode(path: str, x: jax.Array, stats: Any) -> VectorCodebook:
        if weighted and (stats is None or stats.gram is None):
            raise ValueError(
                f"pq reads the Gram matrix of the inputs of {path!r}; run observe(fn, gram=True) and pass its "
                "statistics as stats=, or pass weighted=False"
            )
        shaped = layout(path, x.shape, stats) if weighted else layout_of(path, x.shape)
        if shaped.batch:
            raise UnfitError(
                "pq", {path: f"it is a stack over the axes {shaped.batch}; quantize its layers one by one"}
            )
        cut = shaped.inputs[-1]
        places = x.shape[cut] // length
        groups = places if tables == "places" else 1
        if x.shape[cut] % length or x.size // length < clusters * groups or not x.size:
            raise UnfitError("pq", {path: f"the shape {tuple(x.shape)} has no {clusters} vectors of {length} inputs"})
        others = tuple(a for a in shaped.inputs if a != cut)
        order = (cut, *others, *(a for a in range(x.ndim) if a not in shaped.inputs))
        fit = functools.partial(_fit, order, len(others), int(length), groups, int(clusters), int(iterations))
        code = jnp.uint8 if clusters <= 256 else jnp.uint16
        like = (jnp.zeros((groups, clusters, length)), jnp.zeros((places, *(x.shape[a] for a in order[1:])), code))
        table, codes = with_auto_axes(fit, like)(x, stats.second_moment if weighted else None)
        axis = cut - x.ndim
        return VectorCodebook(table.astype(x.dtype), jnp.moveaxis(codes.astype(code), 0, axis), axis)

    needs = ("gram",) if weighted else ()
    return from_encode(f"pq(clusters={clusters}, length={length}, tables={tables})", encode, needs=needs)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3, 4, 5))
def _fit(
    order: tuple[int, ...], others: int, d: int, groups: int, k: int, iterations: int, x: jax.Array, moment: Any
) -> tuple[jax.Array, jax.Array]:
    """Tables `[groups, k, d]` and codes `[places, *others, *outputs]`."""
    moved = jnp.transpose(x.astype(jnp.float32), order)
    places, sizes = moved.shape[0] // d, moved.shape[1:]
    rest, outputs = math.prod(sizes[:others]), math.prod(sizes[others:])
    vectors = jnp.moveaxis(moved.reshape(places, d, rest, outputs), 1, -1)  # [places, rest, outputs, d]
    if moment is None:
        weights = jnp.broadcast_to(jnp.eye(d), (places, rest, d, d))
    else:  # inputs are row-major, with the channels last
        square = moment.astype(jnp.float32).reshape(rest, places, d, rest, places, d)
        weights = jnp.einsum("rpdrpe->prde", square)
    parts = places * rest // groups
    run = functools.partial(_cluster, k, iterations)
    tables, codes = jax.vmap(run)(vectors.reshape(groups, parts, outputs, d), weights.reshape(groups, parts, d, d))
    return tables, codes.reshape(places, *sizes)


def _cluster(k: int, iterations: int, vectors: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Table `[k, d]` and codes `[parts, outputs]` of vectors `[parts, outputs, d]` under weights `[parts, d, d]`."""
    d = vectors.shape[-1]
    flat = vectors.reshape(-1, d)
    pulled = jnp.einsum("pod,pde->poe", vectors, weights)
    # Where inputs never vary, the weights decide; elsewhere this is far below the rounding of the moments.
    damping = 1e-6 * jnp.mean(jnp.trace(weights, axis1=-2, axis2=-1)) / d + jnp.finfo(jnp.float32).tiny
    ordered = flat[jnp.argsort(jnp.sum(flat, axis=-1))]
    start = ordered[((jnp.arange(k, dtype=jnp.float32) + 0.5) / k * flat.shape[0]).astype(jnp.int32)]

    def expect(table: jax.Array) -> tuple[jax.Array, jax.Array]:
        def part(inputs: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
            v, pull, weight = inputs
            own = jnp.sum(table @ weight * table, -1)
            cost = own[None, :] - 2 * pull @ table.T  # without the part that no centroid changes
            codes = jnp.argmin(cost, -1)
            return codes, jnp.maximum(jnp.min(cost, -1) + jnp.sum(pull * v, -1), 0.0)

        return jax.lax.map(part, (vectors, pulled, weights))

    def maximize(table: jax.Array, codes: jax.Array, errors: jax.Array) -> jax.Array:
        counts = jax.vmap(lambda c: jnp.bincount(c, length=k))(codes).astype(jnp.float32)  # [parts, k]
        mass = jnp.einsum("pk,pde->kde", counts, weights) + damping * jnp.eye(d)[None]
        pulls = jax.ops.segment_sum(pulled.reshape(-1, d), codes.reshape(-1), k) + damping * table
        new = jnp.linalg.solve(mass, pulls[..., None])[..., 0]
        empty = jnp.sum(counts, 0) == 0
        worst = flat[jax.lax.top_k(errors.reshape(-1), k)[1]]
        return jnp.where(empty[:, None], worst[jnp.maximum(jnp.cumsum(empty) - 1, 0)], new)

    def step(table: jax.Array, _: Any) -> tuple[jax.Array, None]:
        return maximize(table, *expect(table)), None

    table, _ = jax.lax.scan(step, start, length=iterations)
    return table, expect(table)[0]
