"""Prints what devices exchange while leaves on several devices are compressed: `python -m experiments.bench.sharding`.

Nothing is allocated and nothing runs: programs are compiled for eight fake devices of a CPU. A kernel is split by rows
(`fsdp`), by columns (`tp`) or by both; then it is compiled again with four times as many entries. Bytes that stay, or
that double as one side of the kernel does, do not grow with the parameters. `all-to-all` sends every shard once.
"""

import functools
import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from compressjax import core, lowrank, measure, prune, quant, saliency, share
from compressjax.interpret import Statistics

DEVICES = 8
LAYOUTS = {
    "fsdp": PartitionSpec("data", None),
    "tp": PartitionSpec(None, "data"),
    "both": PartitionSpec("data", "model"),
}
METHODS: dict[str, Callable[[], core.Compression]] = {
    "magnitude": lambda: prune.magnitude(0.5),
    "magnitude, global": lambda: prune.magnitude(0.5, "global"),
    "magnitude, 2:4": lambda: prune.magnitude(pattern="2:4"),
    "magnitude, 4x4 blocks": lambda: prune.magnitude(0.5, pattern="block 4x4"),
    "magnitude, neurons": lambda: prune.magnitude(0.5, pattern="neuron"),
    "one-shot, LAMP": lambda: prune.one_shot(saliency.lamp(), 0.5, "global"),
    "wanda": lambda: prune.wanda(0.5),
    "rtn, channels": lambda: quant.rtn(8),
    "rtn, groups": lambda: quant.rtn(4, granularity=16),
    "rtn, groups, affine": lambda: quant.rtn(4, granularity=16, symmetric=False),
    "rtn, percentile": lambda: quant.rtn(4, clip="percentile"),
    "rtn, mxfp4": lambda: quant.rtn("mxfp4", granularity=16),
    "rtn, nf4, scales of scales": lambda: quant.rtn("nf4", granularity=16, second=16),
    "rtn, ternary, threshold": lambda: quant.rtn(quant.grid("ternary", clip=("twn", 0.7))),
    "rtn, ternary, optimum": lambda: quant.rtn("ternary"),
    "fake_quant": lambda: quant.fake_quant(4),
    "lsq": lambda: quant.lsq(4),
    "lsq, groups": lambda: quant.lsq(4, granularity=16),
    "kmeans": lambda: share.kmeans(16),
    "kmeans, optimal": lambda: share.kmeans(16, init="optimal"),
    "svd": lambda: lowrank.svd(rank=4),
    "low_rank_correction": lambda: quant.low_rank_correction(2, 4),
    "gptq": lambda: quant.gptq(4),
    "gptq, groups": lambda: quant.gptq(4, granularity=16, block=16),
    "sparsegpt": lambda: prune.sparsegpt(0.5),
    "sparsegpt, 2:4": lambda: prune.sparsegpt(pattern="2:4"),
    "awq": lambda: quant.awq(4, granularity=16),
    "hqq": lambda: quant.hqq(4, granularity=16),
}  # fmt: skip


class Row(NamedTuple):
    """What one program exchanges, and what it holds on a device.

    Attributes:
        exchanged: Bytes of every kind of collective.
        gathered: Bytes of the largest result of a collective that makes an array whole: of all but `all-to-all` and
            `collective-permute`, which move shards.
        leaf: Bytes of the kernel.
        held: Bytes of arguments and results on one device.
        scratch: Bytes of intermediate arrays on one device.
    """

    exchanged: dict[str, int]
    gathered: int
    leaf: int
    held: int
    scratch: int


def mesh_of(layout: str, devices: int, kind: str = "Auto") -> jax.sharding.Mesh:
    """A mesh of the first devices, of two axes for `both`."""
    sizes, names = ((devices // 2, 2), ("data", "model")) if layout == "both" else ((devices,), ("data",))
    chosen = np.array(jax.devices()[:devices]).reshape(sizes)
    return jax.sharding.Mesh(chosen, names, axis_types=(AxisType[kind],) * len(sizes))


def compiled(
    method: core.Compression, layout: str = "fsdp", devices: int = DEVICES, scale: int = 1, kind: str = "Auto"
) -> Any:
    """The program that compresses a kernel `[128 scale, 192 scale]`, as `compress` does under `jit`."""
    mesh, shape = mesh_of(layout, devices, kind), (128 * scale, 192 * scale)
    abstract = functools.partial(jax.ShapeDtypeStruct, dtype=jnp.float32)
    params = {"kernel": abstract(shape, sharding=NamedSharding(mesh, LAYOUTS[layout]))}
    whole, n = NamedSharding(mesh, PartitionSpec()), shape[0]
    parts = (abstract(sizes, sharding=whole) for sizes in ((), (n,), (n,), (n, n), (n,)))
    stats = {"kernel": Statistics(*parts)} if method.needs else None

    def compress(params: Any, stats: Any) -> Any:
        _, state = method.after_step(params, method.init(params), stats)
        return method.encode(params, state)

    with jax.set_mesh(mesh):
        return jax.jit(compress).lower(params, stats).compile()


def row(program: Any, leaf: int) -> Row:
    """What a compiled program says of itself."""
    moved = ("all-to-all", "collective-permute")
    whole = [one.result_bytes for one in measure.collectives(program) if one.kind not in moved]
    memory = program.memory_analysis()
    held = memory.argument_size_in_bytes + memory.output_size_in_bytes
    return Row(measure.collective_bytes(program), max(whole, default=0), leaf, held, memory.temp_size_in_bytes)


def measured(name: str, layout: str, scale: int, devices: int = DEVICES, kind: str = "Auto") -> Row:
    """One method on one layout."""
    program = compiled(METHODS[name](), layout, devices, scale, kind)
    return row(program, 4 * 128 * 192 * scale**2)


def training_step(devices: int, width: int = 256, layers: int = 8) -> Row:
    """A step of training a stack of layers with masks and fake quantization, all of it split over the devices.

    Rows of every layer are split, as in FSDP: a loop over the layers makes one of them whole at a time.
    """
    mesh = mesh_of("fsdp", devices)
    method = core.chain(prune.gradual(0.5, end=9, every=1), quant.fake_quant(4))
    tx = core.as_optax(method, optax.adam(1e-3))
    rows = NamedSharding(mesh, PartitionSpec(None, "data", None))
    kernel = jax.ShapeDtypeStruct((layers, width, width), jnp.float32, sharding=rows)
    params = {"kernel": kernel}
    x = jax.ShapeDtypeStruct((64, width), jnp.float32, sharding=NamedSharding(mesh, LAYOUTS["fsdp"]))

    def loss(params: Any, x: jax.Array) -> jax.Array:
        x, _ = jax.lax.scan(lambda x, kernel: (jnp.tanh(x @ kernel), None), x, params["kernel"])
        return jnp.mean(jnp.square(x))

    def step(params: Any, state: Any, x: jax.Array) -> Any:
        grads = jax.grad(lambda p: loss(method.view(p, state.compression), x))(params)
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    def placed(x: Any) -> Any:
        """As outside of `jit`, where moments and masks lie as their kernels do."""
        where = rows if x.shape == kernel.shape else NamedSharding(mesh, PartitionSpec())
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where)

    state = jax.tree.map(placed, jax.eval_shape(tx.init, params))
    return row(jax.jit(step, donate_argnums=(0, 1)).lower(params, state, x).compile(), 4 * layers * width**2)


def table(names: Sequence[str], layouts: Sequence[str]) -> str:
    """A Markdown table of methods on layouts, at two sizes."""
    head = (
        "method",
        "layout",
        "collectives, bytes",
        "with 4x the entries",
        "largest whole / kernel",
        "held",
        "scratch",
    )
    lines = [f"| {' | '.join(head)} |", "|---|---|---|---|---:|---:|---:|"]
    for name in names:
        for layout in layouts:
            one, two = (measured(name, layout, scale) for scale in (1, 2))
            shown = (", ".join(f"{k} {v:,}" for k, v in sorted(r.exchanged.items())) or "none" for r in (one, two))
            part = f"{two.gathered / two.leaf:.3f}"
            lines.append(f"| {name} | {layout} | {' | '.join(shown)} | {part} | {two.held:,} | {two.scratch:,} |")
    return "\n".join(lines)


def memory_table(counts: Sequence[int]) -> str:
    """A Markdown table of the memory a device of a training step."""
    lines = ["| devices | held | of that on one | scratch |", "|---:|---:|---:|---:|"]
    rows = [training_step(count) for count in counts]
    for count, found in zip(counts, rows, strict=True):
        lines.append(f"| {count} | {found.held:,} | 1/{rows[0].held / found.held:.2f} | {found.scratch:,} |")
    return "\n".join(lines)


def main(words: Sequence[str]) -> None:
    """Prints both tables; words are names of methods, all by default."""
    if unknown := [name for name in words if name not in METHODS]:
        sys.exit(f"unknown methods {unknown}; choose from {sorted(METHODS)}")
    if len(jax.devices()) < DEVICES:  # the number of fake devices is fixed at the start of a process
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={DEVICES}".strip()
        env = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        command = [sys.executable, "-m", "experiments.bench.sharding", *words]
        sys.exit(subprocess.run(command, env=env, check=False).returncode)
    print(table(list(words) or list(METHODS), list(LAYOUTS)))
    print()
    print(memory_table([2**i for i in range(1 + int(math.log2(DEVICES)))]))


if __name__ == "__main__":
    main(sys.argv[1:])
