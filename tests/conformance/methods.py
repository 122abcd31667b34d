"""One row a method and setting, named `"package.method: setting"`.

A method that a package exports without a row here fails `test_every_method_has_a_row`.
"""

import inspect
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax import core, lowrank, prune, quant, saliency, share
from compressjax.interpret.observing._statistics import of_rows
from compressjax.testing import Method
from tests import toys

PACKAGES: tuple[ModuleType, ...] = (prune, lowrank, quant, share)
KEY = jax.random.key(0)
MIXTURE = share.Mixture(jnp.array([-1.0, -0.4, 0.4, 1.0]), jnp.full(5, -1.0), jnp.zeros(4), jnp.float32(0.5))


class Seen(NamedTuple):
    """Statistics of one leaf's inputs, as far as methods here read them."""

    absmax: jax.Array


def narrow(dtype: str) -> float:
    """Exact in float32; in 16 bits, the dense tensor has fewer digits than its codes and scales."""
    return 0.0 if dtype == "float32" else 4.0


def matrices(path: str, x: Any) -> bool:
    """Kernels of two axes, which can be circulant."""
    return core.kernels(path, x) and len(x.shape) == 2


def on_grid(params: Any) -> Any:
    """Multiples of 1/16 whose largest magnitude, in every output, is 127/16: an 8-bit grid holds them."""

    def snap(path: str, x: jax.Array) -> jax.Array:
        if x.ndim < 2:
            return x
        rounded = jnp.clip(jnp.round(x.astype(jnp.float32) * 16), -127, 127) / 16
        return rounded.at[(0,) * (x.ndim - 1)].set(127 / 16).astype(x.dtype)

    return core.map_values(snap, params)


def few(params: Any) -> Any:
    """Eight values at most, which a table of 64 holds."""
    return core.map_values(
        lambda path, x: jnp.clip(jnp.round(x.astype(jnp.float32) * 2), -4, 3).astype(x.dtype), params
    )


def energy(params: Any, batch: Any) -> jax.Array:
    """A loss with a gradient everywhere: half the sum of squares."""
    return batch * sum((jnp.sum(jnp.square(x.astype(jnp.float32))) / 2 for x in core.values(params).values()), 0.0)


EXAMPLES = jnp.array([1.0, -0.5, 2.0])


def example_energy(params: Any, batch: Any) -> jax.Array:
    """A loss whose examples have gradients of different size and sign."""
    return jnp.mean(batch) * energy(params, 1.0) + jnp.mean(batch**2) * energy(params, 0.1)


def seen(params: Any) -> dict[str, Seen]:
    """Inputs of magnitude up to two, for every value."""
    return {path: Seen(jnp.float32(2.0)) for path in core.values(params)}


def inputs(params: Any) -> dict[str, Any]:
    """Statistics of random inputs of every kernel."""
    found = {}
    for path, x in core.values(params).items():
        if core.kernels(path, x):
            rows = jax.random.normal(jax.random.fold_in(KEY, x.size), (20, x.size // x.shape[-1]))
            found[path] = of_rows(rows, gram=True)
    return found


def rounding(dtype: str) -> float:
    """A few roundings: of the decomposition, of the factors, and of their product."""
    return 64.0 if dtype == "float32" else 8.0


_UNIT = [
    Method("core.identity: alone", core.identity, core.identity),
]
_PRUNE = [
    Method(
        "prune.magnitude: uniform", lambda: prune.magnitude(0.5), lambda: prune.magnitude(0.0), decides_early=True
    ),
    Method(
        "prune.magnitude: global, normalized",
        lambda: prune.magnitude(0.7, "global", normalize=True),
        lambda: prune.magnitude(0.0, "global"),
        # Measured in its own root mean square after pruning, a leaf ranks differently against the others.
        projection=None,
    ),
    Method("prune.magnitude: erk", lambda: prune.magnitude(0.5, "erk"), lambda: prune.magnitude(0.0, "erk")),
    Method(
        "prune.gradual: uniform", lambda: prune.gradual(0.6, end=2, every=1), lambda: prune.gradual(0.0, end=2, every=1)
    ),
    Method("prune.gradual: global", lambda: prune.gradual(0.75, end=3, every=2, distribution="global")),
    Method("prune.static: erk", lambda: prune.static(0.6, KEY), lambda: prune.static(0.0, KEY), decides_early=True),
    Method(
        "prune.set_: often",
        lambda: prune.set_(0.5, KEY, end=9, every=1),
        lambda: prune.set_(0.0, KEY, end=9, every=1),
        # Connections that moved start over from the key's first masks.
        projection=None,
    ),
    Method(
        "prune.rigl: often",
        lambda: prune.rigl(0.5, KEY, end=9, every=1),
        lambda: prune.rigl(0.0, KEY, end=9, every=1),
        projection=None,
    ),
    Method("prune.ste: unstructured", lambda: prune.ste(0.5), lambda: prune.ste(0.0), decides_early=True),
    Method("prune.ste: 1:2", lambda: prune.ste(pattern="1:2")),
    Method("prune.sr_ste: 1:2", lambda: prune.sr_ste(pattern="1:2"), lambda: prune.sr_ste(pattern="2:2")),
    Method(
        "prune.topkast: often", lambda: prune.topkast(0.6, 0.4, every=1), lambda: prune.topkast(0.0, 0.0, every=1)
    ),
    Method(
        "prune.acdc: uniform",
        lambda: prune.acdc(0.5, begin=0, every=1, end=2, distribution="uniform"),
        lambda: prune.acdc(0.0, begin=0, every=1, end=2),
    ),
    Method("prune.movement: hard", lambda: prune.movement(0.5, end=2), lambda: prune.movement(0.0, end=2)),
    Method(
        "prune.movement: global", lambda: prune.movement(0.7, begin=1, end=3, distribution="global"), decides_early=True
    ),
    Method(
        "prune.soft_movement: soft",
        lambda: prune.soft_movement(penalty=optax.linear_schedule(0.0, 1.0, 3)),
        lambda: prune.soft_movement(penalty=0.0),
    ),
    Method(
        "prune.l0: weights",
        lambda: prune.l0(0.1, KEY, end=2),
        lambda: prune.l0(0.0, KEY, end=2, keep=1 - 1e-6),
        # Gates multiply again; before the end they are drawn, and rounded as the program happens to round.
        projection=None, ready=2, devices=4.0,
    ),
    Method(
        "prune.l0: units", lambda: prune.l0(0.1, KEY, end=2, units=-1), projection=None, ready=2, devices=4.0
    ),
    Method(
        "prune.variational: short",
        lambda: prune.variational(10, KEY, end=2, warmup=1, initial=0.0),
        lambda: prune.variational(10, KEY, end=2, threshold=9.0),
        ready=2, devices=4.0,
    ),
    Method(
        "prune.soft_threshold: half",
        lambda: prune.soft_threshold(initial=-1.0),
        # At a threshold of zero; the sigmoid of -200 is one, in float32.
        lambda: prune.soft_threshold(initial=-200.0),
        # Pulled once more, weights move once more.
        projection=None, decides_early=True,
    ),
    Method("prune.proximal_l1: small", lambda: prune.proximal_l1(0.1), lambda: prune.proximal_l1(0.0)),
    Method("prune.proximal_group: outputs", lambda: prune.proximal_group(0.1), lambda: prune.proximal_group(0.0)),
    Method(
        "prune.proximal_nuclear: rare",
        lambda: prune.proximal_nuclear(0.1, every=2),
        lambda: prune.proximal_nuclear(0.0, every=2),
    ),
    Method("prune.nonzero: kept", prune.nonzero, prune.nonzero),
    Method(
        "prune.one_shot: magnitudes, neurons", lambda: prune.one_shot(saliency.magnitude(), 0.5, pattern="neuron")
    ),
    Method(
        "prune.one_shot: snip, global",
        lambda: prune.one_shot(saliency.snip(energy, [1.0]), 0.6, "global"),
        lambda: prune.one_shot(saliency.snip(energy, [1.0]), 0.0, "global"),
        decides_early=True,
    ),
    Method(
        "prune.one_shot: wanda, 1:2", lambda: prune.one_shot(saliency.wanda(), pattern="1:2"), stats=inputs, ready=1
    ),
    Method("prune.magnitude: 1:2", lambda: prune.magnitude(pattern="1:2")),
    Method("prune.wanda: half", lambda: prune.wanda(0.5), lambda: prune.wanda(0.0), stats=inputs, ready=1),
    Method("prune.wanda: 1:2", lambda: prune.wanda(pattern="1:2"), stats=inputs, ready=1),
    Method(
        "prune.sparsegpt: half",
        lambda: prune.sparsegpt(0.5, block=4),
        lambda: prune.sparsegpt(0.0),
        stats=inputs,
        ready=1,
        projection=rounding,
        devices=rounding("float32"),
    ),
    Method(
        "prune.woodfisher: half",
        lambda: prune.woodfisher(example_energy, [EXAMPLES], 0.5, block=8, damping=1e-2),
        lambda: prune.woodfisher(example_energy, [EXAMPLES], 0.0, block=8, damping=1e-2),
        # Encoded again, the loss has other gradients, so other weights may go.
        projection=None, devices=rounding("float32"),
    ),
    Method(
        "prune.sparsegpt: 1:2",
        lambda: prune.sparsegpt(pattern="1:2"),
        # Zeros that were moved by another input's error are chosen anew among equals.
        stats=inputs,
        ready=1,
        projection=None,
        devices=rounding("float32"),
    ),
]  # fmt: skip
_LOWRANK = [
    Method(
        "lowrank.svd: rank",
        lambda: lowrank.svd(rank=2),
        lambda: lowrank.svd(rank=1.0, always=True),
        zero=rounding, projection=rounding, devices=rounding("float32"),
    ),
    Method("lowrank.svd: budget", lambda: lowrank.svd(budget=0.6), projection=rounding, devices=rounding("float32")),
    Method(
        "lowrank.svd: energy",
        lambda: lowrank.svd(energy=0.9),
        lambda: lowrank.svd(energy=1.0, always=True),
        # The second time, a smaller rank may already hold nine tenths.
        zero=rounding, projection=None, traceable=False,
    ),
    Method(
        "lowrank.svd: randomized",
        lambda: lowrank.svd(rank=2, solver="randomized", key=KEY),
        projection=rounding, devices=rounding("float32"),
    ),
    # Weighted again by what is left, rows weigh otherwise.
    Method(
        "lowrank.fisher_svd: rank",
        lambda: lowrank.fisher_svd(example_energy, [EXAMPLES], rank=2),
        projection=None, devices=rounding("float32"),
    ),
    Method(
        "lowrank.asvd: rank",
        lambda: lowrank.asvd(rank=2),
        lambda: lowrank.asvd(rank=1.0, always=True),
        zero=rounding, projection=rounding, stats=inputs, ready=1, devices=rounding("float32"),
    ),
    Method(
        "lowrank.svd_llm: rank",
        lambda: lowrank.svd_llm(rank=2),
        lambda: lowrank.svd_llm(rank=1.0, always=True),
        # Divided by the root of a Gram matrix, rounding grows by its condition.
        zero=lambda dtype: 64 * rounding(dtype), projection=lambda dtype: 64 * rounding(dtype),
        stats=inputs, ready=1, devices=64 * rounding("float32"),
    ),
    Method(
        "lowrank.tucker: ranks",
        lambda: lowrank.tucker(ranks=(1, 2)),
        lambda: lowrank.tucker(ranks=1.0, always=True),
        zero=rounding, projection=rounding, devices=rounding("float32"),
    ),
    # Least squares in turn come close to the best factors, and closer the next time.
    Method("lowrank.cp: rank", lambda: lowrank.cp(rank=1, rounds=5), projection=None, devices=1e5),
    Method(
        "lowrank.tensor_train: rank",
        lambda: lowrank.tensor_train(rank=1, cores=2),
        lambda: lowrank.tensor_train(rank=99, cores=2, always=True),
        zero=rounding, projection=rounding, devices=rounding("float32"),
    ),
    Method(
        "lowrank.kronecker: one term",
        lowrank.kronecker,
        lambda: lowrank.kronecker(terms=99, always=True),
        zero=rounding, projection=rounding, devices=rounding("float32"),
    ),
    Method(
        "lowrank.block_diagonal: two", lambda: lowrank.block_diagonal(2), lambda: lowrank.block_diagonal(1)
    ),
    Method(
        "lowrank.low_rank_plus_sparse: one rank",
        lambda: lowrank.low_rank_plus_sparse(1, 0.1, rounds=2, always=True),
        # Fitted again, other entries may be the largest ones left.
        projection=None, devices=rounding("float32"),
    ),
]  # fmt: skip
_QUANT = [
    Method("quant.rtn: 8 bits, channel", quant.rtn, quant.rtn, snap=on_grid, projection=narrow),
    Method(
        "quant.rtn: 4 bits, groups, affine",
        lambda: quant.rtn(4, granularity=2, symmetric=False),
        # Affine blocks whose range does not end on the grid move by less than a step when rounded again.
        projection=None,
    ),
    Method("quant.rtn: 2 bits, tensor, mse", lambda: quant.rtn(2, granularity="tensor", clip="mse"), projection=None),
    Method(
        "quant.rtn: static activations", lambda: quant.rtn(activation="static"), projection=narrow, stats=seen, ready=1
    ),
    Method("quant.rtn: by chance", lambda: quant.rtn(4, key=KEY), projection=narrow),
    Method("quant.rtn: nf4, double quantization", lambda: quant.rtn("nf4", granularity=2, second=4), projection=None),
    Method(
        "quant.rtn: mxfp6, percentile",
        lambda: quant.rtn("mxfp6_e2m3", granularity=2, clip="percentile"),
        projection=None,
    ),
    Method("quant.rtn: nvfp4", lambda: quant.rtn("nvfp4", granularity=2), projection=None),
    Method("quant.rtn: ternary", lambda: quant.rtn("ternary"), projection=narrow),
    Method("quant.fake_quant: binary", lambda: quant.fake_quant("binary"), projection=None),
    Method("quant.fake_quant: fp8", lambda: quant.fake_quant("fp8_e4m3"), projection=narrow),
    Method(
        "quant.fake_quant: octav, tiles", lambda: quant.fake_quant(4, granularity=(2, 2), clip="octav"), projection=None
    ),
    Method(
        "quant.gptq: 4 bits, channel",
        lambda: quant.gptq(4, block=4),
        lambda: quant.gptq(8),
        snap=on_grid,
        # Encoded again, the largest weight is another one, and so is the scale.
        projection=None, stats=inputs, ready=1, devices=rounding("float32"),
    ),
    Method(
        "quant.gptq: 3 bits, groups, affine, by activation",
        lambda: quant.gptq(3, granularity=2, symmetric=False, order="activation"),
        projection=None, stats=inputs, ready=1, devices=rounding("float32"),
    ),
    Method(
        "quant.smooth_quant: 8 bits, dynamic", quant.smooth_quant, projection=None, stats=inputs, ready=1, devices=4.0
    ),
    Method(
        "quant.awq: 4 bits, groups",
        lambda: quant.awq(4, granularity=2),
        projection=None, stats=inputs, ready=1, devices=rounding("float32"),
    ),
    Method(
        "quant.hqq: 4 bits, groups", lambda: quant.hqq(4, granularity=2), projection=None, devices=rounding("float32")
    ),
    Method(
        "quant.low_rank_correction: rank 1, 3 bits",
        lambda: quant.low_rank_correction(1, 3),
        projection=None, devices=rounding("float32"),
    ),
    Method(
        "quant.outliers: of fake_quant",
        lambda: quant.outliers(quant.fake_quant(3), 0.1),
        projection=None, devices=rounding("float32"),
    ),
    Method(
        "quant.adaround: 3 bits",
        lambda: quant.adaround(3, steps=20),
        projection=None, stats=inputs, ready=1, devices=rounding("float32"),
    ),
    Method(
        "quant.fake_quant: 4 bits, channel",
        lambda: quant.fake_quant(4),
        lambda: quant.fake_quant(8),
        snap=on_grid,
        projection=narrow,
    ),
    Method(
        "quant.fake_quant: 8 bits, groups, affine",
        lambda: quant.fake_quant(8, granularity=2, symmetric=False),
        projection=None,
    ),
    Method("quant.fake_quant: 3 bits, mse", lambda: quant.fake_quant(3, clip="mse", every=2), projection=None),
    Method("quant.fake_quant: late", lambda: quant.fake_quant(4, begin=2), projection=narrow, ready=2),
    Method(
        "quant.fake_quant: static activations",
        lambda: quant.fake_quant(activation="static"),
        projection=narrow,
        stats=seen,
        ready=1,
    ),
    Method("quant.activations: 8 bits, dynamic", quant.activations, quant.activations),
    Method("quant.activations: 3 bits, lsq", lambda: quant.activations(3, method="lsq"), stats=inputs, ready=1),
    Method("quant.activations: 4 bits, pact", lambda: quant.activations(4, method="pact", signed=False, limit=2.0)),
    Method(
        "quant.activations: 4 bits, moving average",
        lambda: quant.activations(4, method="moving_average", end=2),
        stats=inputs,
        ready=1,
    ),
    Method("quant.rdo: 3 bits, tensor", lambda: quant.rdo(3, granularity="tensor"), projection=None),
    Method("quant.bitnet: 1.58 bits", quant.bitnet, projection=None, devices=4.0),
    Method("quant.lsq: 3 bits, channel", lambda: quant.lsq(3), projection=None),
    Method("quant.lsq: 8 bits, groups", lambda: quant.lsq(8, granularity=2), projection=None),
    Method("quant.ttq: three levels", quant.ttq, projection=None, devices=4.0),
    Method("quant.dorefa: 3 bits", lambda: quant.dorefa(3), projection=None),
    Method("quant.dorefa: 1 bit", lambda: quant.dorefa(1), projection=None, devices=4.0),
    Method("quant.binary_connect: signs", quant.binary_connect),
    Method("quant.binary_connect: draws", lambda: quant.binary_connect(KEY)),
]  # fmt: skip
# Encoded again, a table is refitted from another start: k-means is no projection.
_SHARE = [
    Method(
        "share.kmeans: linear",
        lambda: share.kmeans(4),
        # Zeros that have no say would go to the nearest centroid. A mean of equal numbers is a sum over a count.
        lambda: share.kmeans(64, ignore_zeros=False),
        zero=2.0, snap=few, projection=None, decides_early=True, devices=4.0,
    ),
    Method(
        "share.kmeans: optimal, zeros too",
        lambda: share.kmeans(6, init="optimal", ignore_zeros=False),
        projection=None,
    ),
    Method("share.kmeans: quantile", lambda: share.kmeans(3, init="quantile"), projection=None),
    Method("share.kmeans: groups", lambda: share.kmeans(3, groups=2), projection=None),
    Method("share.kmeans: global", lambda: share.kmeans(3, scope="global"), projection=None, devices=4.0),
    Method("share.dkm: soft", lambda: share.dkm(3), projection=None, devices=64.0),
    Method("share.pq: weighted", lambda: share.pq(4, 2), projection=None, stats=inputs, ready=1, devices=64.0),
    Method("share.from_mixture: five means", lambda: share.from_mixture(MIXTURE), projection=None),
    Method("share.hashed: half", lambda: share.hashed(0.5), projection=4.0, devices=4.0),
    Method(
        "share.circulant: 2",
        lambda: core.only(matrices, share.circulant(2)),
        lambda: core.only(matrices, share.circulant(1)),
        select=matrices, projection=4.0, devices=4.0,
    ),
    Method(
        "share.toeplitz: matrices",
        lambda: core.only(matrices, share.toeplitz()),
        select=matrices, projection=8.0, devices=8.0,
    ),
    Method("share.tied: by shape", share.tied, share.tied, projection=4.0),
]  # fmt: skip
_COMBINED = [
    Method("core.chain: mask, grid", lambda: core.chain(prune.magnitude(0.5), quant.fake_quant(4)), projection=narrow),
    Method(
        "core.sequence: factors, grid",
        lambda: core.sequence(lowrank.svd(rank=2), quant.rtn(8)),
        projection=None,
        devices=1e6,
    ),
    Method(
        "core.sequence: mask, compensated grid",
        lambda: core.sequence(prune.magnitude(0.5), quant.gptq(4)),
        projection=None, stats=inputs, ready=1, devices=rounding("float32"),
    ),
]  # fmt: skip

# Views of nodes: products round activations, within ranges that learn.
_NODES = [Method("toys.ranged: nodes", toys.ranged)]

ROWS = [*_UNIT, *_PRUNE, *_LOWRANK, *_QUANT, *_SHARE, *_COMBINED, *_NODES]


def home(row: Method) -> str:
    """`"package.method"`: what a package exports."""
    return row.name.partition(":")[0]


def exported() -> set[str]:
    """Names of the functions in `PACKAGES` that make a compression, as their annotations say."""
    found = set()
    for package in PACKAGES:
        for name in package.__all__:
            item = getattr(package, name)
            if (
                inspect.isfunction(item)
                and inspect.signature(item, eval_str=True).return_annotation is core.Compression
            ):
                found.add(f"{package.__name__.rpartition('.')[2]}.{name}")
    return found
