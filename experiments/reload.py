"""Reads an artifact from disk in a new process and evaluates it, without other results of the run.

`python -m experiments.reload --artifact=DIR/model.cjx --output=DIR/reload` writes `reload.json` and the predictions.
"""

import functools
import io
import json
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from absl import flags

from compressjax import artifact, interpret, measure, recipe
from experiments import app, datasets, models
from experiments.problem import assess, predict, standardized_apply

Call = tuple[Callable[..., Any], Any]

BATCHES = (1, 256)
ROUNDS = 60

_ARTIFACT = flags.DEFINE_string("artifact", None, "The file to read.")
_OUTPUT = flags.DEFINE_string("output", None, "What to write: OUTPUT.json and OUTPUT.npy (predictions).")
_DATA_PATH = flags.DEFINE_string("data_path", "", "Folder of the data set, where it has one.")
_DENSE = flags.DEFINE_string("dense", "", "Checkpoint of the dense parameters, to compare speed and memory with.")


def reload() -> None:
    """Evaluates the artifact on test and training set; with `--dense`, also times it against the dense network."""
    loaded = artifact.load(_ARTIFACT.value)
    about = loaded.manifest.metadata
    data = datasets.load(about["data"]["name"], _DATA_PATH.value, app.data_cache())
    if data.fingerprint != about["data"]["fingerprint"]:
        raise ValueError(
            f"--data_path={_DATA_PATH.value} holds other data than {_ARTIFACT.value} was made with; "
            "name the folder that the run used"
        )
    model = models.create(about["model"]["name"], about["model"]["settings"])
    apply = standardized_apply(model, data.mean, data.std)
    fast = interpret.prepare(loaded.tree)
    lifted = interpret.lift(apply, on_fallback="ignore")
    logits = predict(lifted, fast, data.test_images)
    rows = interpret.explain(apply)(loaded.tree, data.test_images[:2])
    seen = predict(lifted, fast, data.train_images).argmax(-1)
    training = {"errors": int((seen != data.train_labels).sum()), "examples": len(seen)}
    found = {**assess(logits, data.test_labels), "explained": [list(row) for row in rows]}
    found["training"] = {**training, "fingerprint": data.fingerprint}
    if _DENSE.value:
        root, _, name = _DENSE.value.rpartition("::")
        held = recipe.Store(root).load(name)
        network = models.create(**held.facts["facts"]["network"])
        dense = (standardized_apply(network, data.mean, data.std), held.tree["params"])
        found |= compare(dense, (lifted, fast), data.test_images)
    found["peak_rss_bytes"] = measure.peak_memory()
    predictions = io.BytesIO()
    np.save(predictions, logits.argmax(-1).astype(np.uint8))
    recipe.write_file(f"{_OUTPUT.value}.npy", predictions.getvalue())
    recipe.write_file(f"{_OUTPUT.value}.json", json.dumps(found, indent=2))


def compare(dense: Call, compressed: Call, images: np.ndarray) -> dict[str, Any]:
    """Interleaved latency, and memory of both programs.

    Args:
        dense: Function and parameters.
        compressed: Function and parameters.
        images: Test images.

    Returns:
        `latency_ms` and `speedup` by batch size, and `memory_bytes` of each program at the largest batch.
    """
    latency: dict[str, dict[str, float]] = {"dense": {}, "compressed": {}}
    speedup, memory = {}, {}
    for batch in BATCHES:
        x = jax.device_put(np.resize(images, (batch, *images.shape[1:])))
        ready = {"dense": _compile(dense, x), "compressed": _compile(compressed, x)}
        timed = measure.interleaved(
            *(functools.partial(program, params, x) for program, params in ready.values()), rounds=ROUNDS
        )
        for name, median in zip(ready, timed.medians, strict=True):
            latency[name][str(batch)] = 1e3 * median
        speedup[str(batch)] = timed.ratios[1]._asdict()
        memory = {name: program_bytes(program) for name, (program, _) in ready.items()}
    return {"latency_ms": latency, "speedup": speedup, "memory_bytes": memory}


def _compile(call: Call, x: jax.Array) -> tuple[Any, Any]:
    function, params = call
    return jax.jit(function).lower(params, x).compile(), jax.device_put(params)


def program_bytes(program: Any) -> int:
    """Memory that a compiled program needs while it runs: arguments, results and temporaries."""
    used = program.memory_analysis()
    return used.argument_size_in_bytes + used.output_size_in_bytes + used.temp_size_in_bytes - used.alias_size_in_bytes


if __name__ == "__main__":
    app.simple(reload)
