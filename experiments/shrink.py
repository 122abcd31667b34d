"""Half the channels cut: `python -m experiments.shrink --config=configs/shrink_fashion_mnist.py --workdir=DIR`.

Trains a residual network with BatchNorm, cuts channels out of every block, checks the cut against zeros in the weights,
builds the Linen module of the smaller widths, trains it further, and times both in turn. The work directory holds
`shrink.json`, and what became of every group as `groups.csv` and `groups.png`.
"""

import functools
import json
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from compressjax import measure, modules, recipe, structure
from experiments import app
from experiments.datasets import Dataset, batch_indices, load
from experiments.plots import as_csv, plot_groups
from experiments.resnet import ResNet
from experiments.view import make_console


def standardize(data: Dataset, images: np.ndarray) -> jax.Array:
    """Images in float32 with mean 0 and deviation 1 over the training set."""
    return (jnp.asarray(images, jnp.float32) - data.mean) / data.std


def train(
    model: nn.Module, variables: Any, data: Dataset, settings: Mapping[str, Any], seed: int, name: str
) -> tuple[Any, float]:
    """Adam with decoupled weight decay along a cosine; statistics of BatchNorm move along.

    Args:
        model: the module.
        variables: `params` and `batch_stats`.
        data: images and labels.
        settings: `steps`, `batch`, `learning_rate`, `weight_decay`.
        seed: of the order of the data.
        name: of the training, so that another one has another order.

    Returns:
        Trained variables, and the mean loss of the last tenth of the steps.

    Raises:
        ValueError: when the loss is no number.
    """
    steps = settings["steps"]
    schedule = optax.cosine_decay_schedule(settings["learning_rate"], steps)
    optimizer = optax.adamw(schedule, weight_decay=settings["weight_decay"])
    images, labels = jnp.asarray(data.train_images), jnp.asarray(data.train_labels)

    def step(variables: Any, state: Any, rows: jax.Array) -> tuple[Any, Any, jax.Array]:
        x, y = (images[rows].astype(jnp.float32) - data.mean) / data.std, labels[rows]

        def loss(params: Any) -> tuple[jax.Array, Any]:
            logits, new = model.apply({**variables, "params": params}, x, True, mutable=["batch_stats"])
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), new

        (value, new), grads = jax.value_and_grad(loss, has_aux=True)(variables["params"])
        updates, state = optimizer.update(grads, state, variables["params"])
        return {"params": optax.apply_updates(variables["params"], updates), **new}, state, value

    compiled, state = jax.jit(step, donate_argnums=(0, 1)), optimizer.init(variables["params"])
    variables = jax.tree.map(jnp.copy, variables)
    order = batch_indices(seed, name, 0, steps, settings["batch"], len(data.train_labels))
    losses = []
    for rows in order:
        variables, state, value = compiled(variables, state, rows)
        losses.append(value)
    last = float(np.mean([float(x) for x in losses[-max(1, steps // 10) :]]))
    if not np.isfinite(last):
        raise ValueError(f"{name}: the loss became {last}; lower --config.{name}.learning_rate")
    return variables, last


def right(model: nn.Module, variables: Any, data: Dataset, batch: int = 500) -> np.ndarray:
    """Which test images are classified correctly."""
    apply = jax.jit(model.apply)
    logits = [apply(variables, standardize(data, data.test_images[i : i + batch]))
              for i in range(0, len(data.test_labels), batch)]  # fmt: skip
    return np.concatenate([np.asarray(z).argmax(-1) for z in logits]) == data.test_labels


def speeds(
    models: Mapping[str, tuple[nn.Module, Any]], shape: tuple[int, ...], config: Mapping[str, Any]
) -> dict[str, Any]:
    """Both networks timed in turn, by batch size.

    Args:
        models: `(module, variables)` by name; the first is the baseline.
        shape: of an image.
        config: `batches` and `timing`.

    Returns:
        For each batch size, milliseconds by name and the ratio with its interval.
    """
    found = {}
    for batch in config["batches"]:
        x = jax.random.normal(jax.random.key(0), (batch, *shape))
        thunks = [functools.partial(jax.jit(module.apply), variables, x) for module, variables in models.values()]
        timed = measure.interleaved(*thunks, **config["timing"])
        found[str(batch)] = {
            "milliseconds": dict(zip(models, (1e3 * m for m in timed.medians))), "faster": timed.ratios[1]._asdict(),
        }  # fmt: skip
    return found


def cut(model: nn.Module, variables: Any, example: jax.Array, config: Mapping[str, Any]) -> tuple[Any, nn.Module]:
    """The shrunk model, and the module of its widths.

    Args:
        model: the module.
        variables: trained.
        example: images for the check.
        config: `keep`, `saliency`, `round_to`.

    Returns:
        What `shrink` gives, and the module.
    """
    small = structure.shrink(
        model.apply, variables, example, keep=config["keep"], saliency=config["saliency"], round_to=config["round_to"]
    )
    expected = jax.jit(small.fn)(small.params, example)
    return small, modules.resize(model, small.params, example, expected=expected, tolerance=1e-4)


def report(launch: app.Launch) -> None:
    """Runs the experiment.

    Args:
        launch: config and folders; see `configs/shrink_fashion_mnist.py` for the fields.
    """
    config, console = launch.config, make_console()
    recipe.claim(launch.workdir, config)
    data = load(config["data"]["name"], config["data"]["path"], launch.data_cache)
    model = ResNet(**{key: tuple(value) for key, value in config["model"].items()})
    example = standardize(data, data.train_images[:64])
    start = jax.jit(model.init)(jax.random.key(config["seed"]), example)
    dense, _ = train(model, start, data, config["dense"], config["seed"], "dense")
    small, smaller = cut(model, dense, example, config)
    recovered, _ = train(smaller, small.params, data, config["recovery"], config["seed"], "recovery")
    hits = {
        "dense": right(model, dense, data), "cut": right(smaller, small.params, data),
        "recovered": right(smaller, recovered, data),
    }  # fmt: skip
    accuracy = {name: 100 * float(hit.mean()) for name, hit in hits.items()}
    counted = {"dense": measure.flops(model.apply, dense, example),
               "shrunk": measure.flops(smaller.apply, recovered, example)}  # fmt: skip
    predicted = {"dense": small.before.flops, "shrunk": small.after.flops}
    timed = speeds({"dense": (model, dense), "shrunk": (smaller, recovered)}, data.test_images.shape[1:], config)
    found = {
        **app.describe_machine(), "command": app.command(), "accuracy": accuracy,
        "points_lost": accuracy["dense"] - accuracy["recovered"], "error_of_cut": small.error,
        "parameters": {"dense": small.before.parameters, "shrunk": small.after.parameters},
        "bytes": {"dense": small.before.bytes, "shrunk": small.after.bytes},
        "flops": {"xla": counted, "predicted": predicted}, "speed": timed,
        "widths": {"widths": smaller.widths, "inner": smaller.inner},
        "groups": [row._asdict() for row in small.cuts if not row.reason],
    }  # fmt: skip
    files = {
        "shrink.json": json.dumps(found, indent=2) + "\n",
        "groups.csv": as_csv(structure.Cut._fields, small.cuts),
        "groups.png": plot_groups(small.cuts),
    }
    app.write(launch.workdir, files)
    console.print(as_text(found), markup=False)


def as_text(found: Mapping[str, Any]) -> str:
    """The figures as a Markdown table.

    Args:
        found: what `shrink.json` holds.

    Returns:
        The text.
    """
    lines = ["| | dense | shrunk |", "|---|---:|---:|"]
    accuracy, flops = found["accuracy"], found["flops"]
    lines.append(f"| accuracy, % | {accuracy['dense']:.2f} | {accuracy['recovered']:.2f} |")
    lines.append(f"| accuracy before recovery, % | | {accuracy['cut']:.2f} |")
    for name in ("parameters", "bytes"):
        lines.append(f"| {name} | {found[name]['dense']:,} | {found[name]['shrunk']:,} |")
    for name in ("predicted", "xla"):
        lines.append(f"| operations, 64 images, {name} | {flops[name]['dense']:,.0f} | {flops[name]['shrunk']:,.0f} |")
    for batch, row in found["speed"].items():
        times, ratio = row["milliseconds"], row["faster"]
        lines.append(
            f"| ms at batch {batch} | {times['dense']:.2f} | {times['shrunk']:.2f} "
            f"({ratio['value']:.2f}x faster, {ratio['low']:.2f} to {ratio['high']:.2f}) |"
        )
    lines.append(f"\nmasked and shrunk differ by {found['error_of_cut']:.1e}; {found['points_lost']:+.2f} points lost")
    return "\n".join(lines)


if __name__ == "__main__":
    app.launch(report)
