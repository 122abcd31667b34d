"""What a user waits for: compressing a tree with nothing compiled, observing, saving, and the memory that it takes."""

import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

import compressjax as cj
from compressjax import artifact, core, lowrank, prune, quant, share
from experiments.bench.harness import OURS, Case
from experiments.bench.int8 import thunk

Params = dict[str, jax.Array]


def cases(config: ml_collections.ConfigDict) -> Iterator[Case]:
    """Time to compress, time to save every node, cost of observing, memory of SparseGPT.

    Args:
        config: `seed`, `encoder` (`layers`, `width`, `inner`, `words`, `batch`), `convolutions` (`images`, `side`,
            `widths`), `matrix` (the side of the saved matrices), `memory` (`kernels`, `side`).

    Yields:
        Cases; those that compress compile again at every call, as the first call of a user does.
    """
    draw = np.random.default_rng(config.seed)
    params = encoder(draw, config.encoder)
    yield from compressing(params)
    yield from saving(draw, config.matrix)
    x = normal(draw, *config.encoder.batch, config.encoder.width)
    yield observing("observe an encoder", encode, params, x)
    kernels = convolutions(draw, config.convolutions.widths)
    side, images = config.convolutions.side, config.convolutions.images
    yield observing("observe convolutions", convolve, kernels, normal(draw, images, side, side, 3))
    yield memory(config.memory.kernels, config.memory.side)


def normal(draw: np.random.Generator, *shape: int) -> jax.Array:
    """Normal float32 numbers."""
    return jnp.asarray(draw.normal(size=shape) / shape[-1] ** 0.5, jnp.float32)


def encoder(draw: np.random.Generator, sizes: Mapping[str, Any]) -> Params:
    """Kernels of an encoder of the BERT family, with singular values that fall: a table of words and six a layer."""
    width, inner = sizes["width"], sizes["inner"]
    shapes = {"query": (width, width), "key": (width, width), "value": (width, width), "out": (width, width),
              "up": (width, inner), "down": (inner, width)}  # fmt: skip
    every = {"words": (sizes["words"], width)}
    for layer in range(sizes["layers"]):
        every |= {f"{layer}/{name}": shape for name, shape in shapes.items()}
    return {name: normal(draw, *shape) * jnp.logspace(0, -2, shape[1])[None] for name, shape in every.items()}


def encode(params: Params, x: jax.Array) -> jax.Array:
    """The encoder without norms and biases, on `x [batch, tokens, width]`."""
    for layer in range(sum(name.endswith("/query") for name in params)):
        w = {name: params[f"{layer}/{name}"] for name in ("query", "key", "value", "out", "up", "down")}
        heads = [(x @ w[name]).reshape(*x.shape[:2], -1, 32) for name in ("query", "key", "value")]
        x = x + jax.nn.dot_product_attention(*heads).reshape(x.shape) @ w["out"]
        x = x + jax.nn.gelu(x @ w["up"]) @ w["down"]
    return x


def convolutions(draw: np.random.Generator, widths: tuple[int, ...]) -> Params:
    """Kernels of inverted bottlenecks: expand by a 1 x 1, a depthwise 3 x 3, and project by a 1 x 1 convolution."""
    params, before = {"stem": normal(draw, 3, 3, 3, widths[0])}, widths[0]
    for block, width in enumerate(widths):
        inner = 4 * before
        params |= {f"{block}/expand": normal(draw, 1, 1, before, inner), f"{block}/depth": normal(draw, 3, 3, 1, inner),
                   f"{block}/project": normal(draw, 1, 1, inner, width)}  # fmt: skip
        before = width
    return params


def convolve(params: Params, x: jax.Array) -> jax.Array:
    """The network of `convolutions` on images."""

    def conv(name: str, x: jax.Array, stride: int = 1, groups: int = 1) -> jax.Array:
        numbers = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            x, params[name], (stride, stride), "SAME", dimension_numbers=numbers, feature_group_count=groups
        )

    x = jax.nn.relu6(conv("stem", x, stride=2))
    for block in range(sum(name.endswith("/depth") for name in params)):
        y = jax.nn.relu6(conv(f"{block}/expand", x))
        y = jax.nn.relu6(conv(f"{block}/depth", y, stride=2, groups=y.shape[-1]))
        x = conv(f"{block}/project", y)
    return x


def compressing(params: Params) -> Iterator[Case]:
    """Methods on the tree, compilation included, and NumPy's decompositions beside ours."""
    methods = {"round to nearest, 8 bits": quant.rtn(8), "half by magnitude": prune.magnitude(0.5),
               "16 means": share.kmeans(16)}  # fmt: skip
    million = sum(x.size for x in params.values()) / 1e6
    for name, method in methods.items():
        yield Case(f"{name}, {million:.1f} M weights", {OURS: cold(lambda method=method: compress(params, method))})
    factors = {
        "numpy": lambda: [np.linalg.svd(np.asarray(x), full_matrices=False) for x in params.values()],
        OURS: cold(lambda: compress(params, lowrank.svd(energy=0.9))),
    }
    yield Case(f"svd at 90 % energy, {million:.1f} M weights", factors)


def compress(params: Params, method: core.Compression) -> Any:
    """The tree with all leaves compressed; those that would not shrink stay dense."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", core.LeftOutWarning)
        return jax.block_until_ready(core.compress(params, {".*": method}))


def cold(run: Callable[[], Any]) -> Callable[[], Any]:
    """The function with nothing compiled before."""

    def anew() -> Any:
        jax.clear_caches()
        return run()

    return anew


def saving(draw: np.random.Generator, side: int) -> Iterator[Case]:
    """Bytes of float32 that a file takes in, a second, for every node."""
    kernel = {"kernel": normal(draw, side, side)}
    methods = {
        "a dense array": None, "half masked": prune.magnitude(0.5), "2:4 masked": prune.magnitude(pattern="2:4"),
        "8 bits": quant.rtn(8), "4 bits in groups of 64": quant.rtn(4, granularity=64),
        "16 means": share.kmeans(16), "low rank": lowrank.svd(rank=side // 4),
        "masked 4 bits": core.sequence(prune.magnitude(0.5), quant.rtn(4)),
    }  # fmt: skip
    for name, method in methods.items():
        tree = kernel if method is None else compress(kernel, method)
        yield Case(f"save {name}", {OURS: lambda tree=tree: save(tree)}, work=4 * side**2)


def save(tree: Any) -> int:
    """The length of the tree's file."""
    with tempfile.TemporaryDirectory() as folder:
        place = os.path.join(folder, "model.cjx")
        artifact.save(place, tree)
        return os.path.getsize(place)


def observing(name: str, fn: Callable[..., jax.Array], params: Params, x: jax.Array) -> Case:
    """A forward pass with and without statistics, and the memory that the compiled programs need."""
    programs = {"forward": fn, "observe without Gram matrices": cj.observe(fn, gram=False), "observe": cj.observe(fn)}
    compiled = {label: jax.jit(program).lower(params, x).compile() for label, program in programs.items()}
    needs = {label: held(program) for label, program in compiled.items()}
    facts = {f"memory of {label} over forward": need / needs["forward"] for label, need in needs.items()}
    del facts["memory of forward over forward"]
    return Case(name, {label: thunk(program, params, x) for label, program in compiled.items()}, facts)


def held(program: Any) -> int:
    """Bytes of arguments, results and temporary buffers."""
    sizes = program.memory_analysis()
    return sizes.argument_size_in_bytes + sizes.output_size_in_bytes + sizes.temp_size_in_bytes


def memory(kernels: int, side: int) -> Case:
    """The peak memory of SparseGPT, in a process of its own."""

    def run() -> None:
        command = [sys.executable, "-m", "experiments.bench.peak", str(kernels), str(side)]
        found.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))

    found: list[float] = []
    run()
    name = f"SparseGPT 2:4 of {kernels} kernels {side}x{side}"
    return Case(name, {OURS: run}, {"peak over the model's bytes": found[0]})
