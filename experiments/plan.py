"""A training run on paper: `python -m experiments.plan --config=configs/plan_7b.py --workdir=DIR`.

Bytes, operations and memory of one device, from abstract values alone: nothing is allocated or compiled. The table is
printed, and written to `DIR/plan.md`.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax import federated, gradients, measure
from experiments import app, limits
from experiments.models import create
from experiments.models._transformer import Layer

LIMITS = dict.fromkeys(("vocabulary", "length", "width", "depth", "heads"), limits.COUNT)
# All-reduces and answered messages: what one device sends goes around twice.
TWICE = ("power", "random_k", "rounded", "count_sketch", "top_k")
STATE = 16  # bytes of a parameter: itself, its gradient and two moments of Adam, in float32
GIGA = 1e9


class Sequence(NamedTuple):
    """What one sequence costs.

    Attributes:
        flops: Operations of a step, with a second forward pass of every layer.
        kept: Bytes that stay from the forward to the backward pass: the inputs of the layers.
        peak: Bytes of the intermediate values of one layer, or of the head where they are more.
        gathered: Bytes of the parameters of one layer, or of the head, in the type of the products.
    """

    flops: float
    kept: int
    peak: int
    gathered: int


def plan(launch: app.Launch) -> None:
    """Prints and writes the table.

    Args:
        launch: Config and folder.

    Raises:
        ValueError: If a setting is out of its range, or devices do not divide.
    """
    config = launch.config
    app.claim(launch)
    began = time.monotonic()
    rows = table(config)
    text = measure.markdown(rows) + f"\n\n{describe(config)}\n"
    print(text + f"\n{time.monotonic() - began:.1f} s")
    app.write(launch.workdir, {"plan.md": text, "plan.json": json.dumps(rows, indent=2) + "\n"})


def table(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row for every number of devices and layout."""
    check(config)
    params, one = shapes(config["model"]), sequence(config["model"], jnp.dtype(config["compute"]))
    rows = []
    for devices in config["devices"]:
        count = config["sequences"] // devices
        for name, size, way in config["layouts"]:
            shared = size or devices
            if size == devices or (way and shared == devices):
                continue  # one copy, which another row shows
            rows.append(_row(devices, name, shared, way, params, one, count, jnp.dtype(config["compute"]).itemsize))
    return rows


def check(config: Mapping[str, Any]) -> None:
    """Refuses settings before anything is traced."""
    limits.check(config["model"], LIMITS, "--config.model.")
    for devices in config["devices"]:
        if config["sequences"] % devices:
            raise ValueError(f"--config.sequences={config['sequences']} must be a multiple of {devices} devices")
        for name, size, _ in config["layouts"]:
            if devices % (size or devices):
                raise ValueError(f"--config.layouts: {name} shards over {size}, which does not divide {devices}")


def shapes(model: Mapping[str, Any]) -> list[Any]:
    """Abstract parameters of the decoder."""
    net = create("gpt", model)
    tokens = jax.ShapeDtypeStruct((1, model["length"]), jnp.int32)
    return jax.tree.leaves(jax.eval_shape(net.init, jax.random.key(0), tokens)["params"])


def sequence(model: Mapping[str, Any], dtype: Any) -> Sequence:
    """The cost of one sequence: that of a layer, times the depth, and that of what is around the layers."""
    layer, around = Layer(model["heads"], 4 * model["width"]), create("gpt", {**model, "depth": 0})
    tokens = jax.ShapeDtypeStruct((1, model["length"]), jnp.int32)
    x = jax.ShapeDtypeStruct((1, model["length"], model["width"]), dtype)

    def run(p: Any, x: jax.Array) -> jax.Array:
        return layer.apply(p, x, jnp.tril(jnp.ones((model["length"], model["length"]), bool))[None, None])

    def loss(p: Any, tokens: jax.Array) -> jax.Array:
        logits = around.apply(p, tokens).astype(jnp.float32)
        return optax.softmax_cross_entropy_with_integer_labels(logits[:, :-1], tokens[:, 1:]).mean()

    def backward(p: Any, x: jax.Array) -> Any:
        y, pull = jax.vjp(jax.checkpoint(run), p, x)
        return y, pull(x)

    one, rest = (
        _cast(jax.eval_shape(net.init, jax.random.key(0), y), dtype) for net, y in ((layer, x), (around, tokens))
    )
    flops = model["depth"] * measure.flops(backward, one, x) + measure.flops(jax.grad(loss), rest, tokens)
    kept = model["depth"] * math.prod(x.shape) * dtype.itemsize
    peak = max(saved_bytes(run, one, x), saved_bytes(loss, rest, tokens))
    gathered = max(dtype.itemsize * sum(math.prod(p.shape) for p in jax.tree.leaves(net)) for net in (one, rest))
    return Sequence(flops, kept, peak, gathered)


def saved_bytes(fn: Callable[..., Any], params: Any, x: Any) -> int:
    """Bytes that the backward pass of a function reads, besides its arguments."""

    def residuals(params: Any, x: Any) -> Any:
        return (
            jax.vjp(fn, params, x)[1]
            if jnp.issubdtype(x.dtype, jnp.floating)
            else jax.vjp(lambda p: fn(p, x), params)[1]
        )

    jaxpr = jax.make_jaxpr(residuals)(params, x).jaxpr
    arguments = {id(var) for var in jaxpr.invars}
    made = {id(var): var.aval for var in jaxpr.outvars if id(var) not in arguments and hasattr(var.aval, "dtype")}
    return sum(math.prod(aval.shape) * aval.dtype.itemsize for aval in made.values())


def sharded_bytes(params: list[Any], shared: int, itemsize: int) -> float:
    """Bytes that one device sends a step where `shared` devices hold one copy: two all-gathers, one reduce-scatter.

    With a ring, each of the three sends all but one part of the array.
    """
    return sum(3 * itemsize * math.prod(p.shape) * (shared - 1) / shared for p in params)


def copies_bytes(params: list[Any], shared: int, copies: int, way: Any) -> float:
    """Bytes that one device sends a step to those of other copies: gradients of its part of every array."""
    part = (copies - 1) / copies
    if way is None:
        return sum(2 * 4 * math.prod(p.shape) / shared * part for p in params)
    if way[0] not in TWICE or (way[0] == "top_k" and way[1].get("route") != "two-phase"):
        raise ValueError(f"--config.layouts: {way[0]} sends all messages to all; choose one of {', '.join(TWICE)}, "
                         "top_k with the route two-phase")  # fmt: skip
    compressor = getattr(gradients, way[0])(**way[1])
    sent = (federated.message_bytes(compressor if len(p.shape) > 1 else None, _part(p.shape, shared)) for p in params)
    return 2 * part * sum(sent)


def describe(config: Mapping[str, Any]) -> str:
    """A line about the model."""
    params = shapes(config["model"])
    count, model = sum(math.prod(p.shape) for p in params), config["model"]
    return (
        f"{count / GIGA:.2f} billion parameters; {config['sequences']} sequences of {model['length']} tokens a step, "
        f"one at a time on a device; state of {STATE} bytes a parameter, products in {config['compute']}. All figures "
        "are of one device."
    )


def _row(
    devices: int, name: str, shared: int, way: Any, params: list[Any], one: Sequence, count: int, itemsize: int
) -> dict[str, Any]:
    size = sum(math.prod(p.shape) for p in params)
    copies = devices // shared
    memory = (STATE + (4 if way else 0)) * size / shared  # a compressor remembers what it did not send
    working = one.kept + one.peak + one.gathered
    inside = sharded_bytes(params, shared, itemsize)
    between = copies_bytes(params, shared, copies, way) if copies > 1 else 0.0
    return {
        "devices": devices, "layout": name, "state GB": round(memory / GIGA, 2),
        "working GB": round(working / GIGA, 2), "memory GB": round((memory + working) / GIGA, 2),
        "TFLOP": round(one.flops * count / 1e12, 1), "GB sent in a copy": round(inside / GIGA, 2),
        "MB sent between copies": round(between / 1e6, 1),
    }  # fmt: skip


def _part(shape: tuple[int, ...], shared: int) -> tuple[int, ...]:
    """The shape of a device's part: the first axis that divides is split, else the array is flat."""
    for axis, length in enumerate(shape):
        if length % shared == 0:
            return (*shape[:axis], length // shared, *shape[axis + 1 :])
    return (math.ceil(math.prod(shape) / shared),)


def _cast(tree: Any, dtype: Any) -> Any:
    return jax.tree.map(lambda p: jax.ShapeDtypeStruct(p.shape, dtype), tree)


if __name__ == "__main__":
    app.launch(plan)
