"""RigL and SET with biases, under common optimizers: ours, and jaxpruner's as released and patched.

    PYTHONPATH=CLONE python -m third_party.jaxpruner.compare

where CLONE is a checkout of the peer, which is not on a package index. Prints a Markdown table.
"""

import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from compressjax import core, prune

LABELS = {"a": {"kernel": "k", "bias": "b"}, "b": {"kernel": "k", "bias": "b"}}
OPTIMISERS: dict[str, Callable[[], optax.GradientTransformation]] = {
    "adam": lambda: optax.adam(1e-2),
    "lion": lambda: optax.lion(1e-2),
    "partition": lambda: optax.partition({"k": optax.adam(1e-2), "b": optax.sgd(1e-2)}, LABELS),
    "inject_hyperparams": lambda: optax.inject_hyperparams(optax.adam)(learning_rate=1e-2),
    "MultiSteps": lambda: optax.MultiSteps(optax.adam(1e-2), 2).gradient_transformation(),
    "apply_if_finite": lambda: optax.apply_if_finite(optax.adam(1e-2), 3),
}
STEPS = 7


def problem(biases: bool) -> tuple[Any, Callable[[Any], Any]]:
    """Two layers and the gradient of a regression."""
    rng = np.random.default_rng(0)
    shapes = {"a": (6, 8), "b": (8, 4)}
    params = {name: {"kernel": jnp.asarray(rng.normal(size=s), jnp.float32)} for name, s in shapes.items()}
    if biases:
        for name, shape in shapes.items():
            params[name]["bias"] = jnp.zeros(shape[1])
    x, y = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((16, 6), (16, 4)))

    def loss(p: Any) -> jax.Array:
        hidden = jnp.tanh(x @ p["a"]["kernel"] + p["a"].get("bias", 0.0))
        return jnp.mean(jnp.square(hidden @ p["b"]["kernel"] + p["b"].get("bias", 0.0) - y))

    return params, jax.grad(loss)


def our_method(name: str) -> core.Compression:
    """RigL or SET of this library, with the compared settings."""
    make = {"rigl": prune.rigl, "set": prune.set_}[name]
    return make(0.5, jax.random.key(0), end=100, every=2, distribution="uniform")


def ours(name: str, optimizer: optax.GradientTransformation, params: Any, gradient: Callable[[Any], Any]) -> Any:
    """The same loop with this library."""
    method = our_method(name)
    tx = core.as_optax(method, optimizer)
    state = tx.init(params)

    @jax.jit
    def step(params: Any, state: Any) -> tuple[Any, Any]:
        # Gradients at the view; RigL's view passes the dense gradient.
        updates, state = tx.update(gradient(method.view(params, state.compression)), state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(STEPS):
        params, state = step(params, state)
    return params


def outcome(run: Callable[[], Any]) -> str:
    """`runs`, with the fraction of zeros in the kernels, or the error's first line."""
    try:
        params = run()
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        return f"{type(error).__name__}: {lines[0].strip()[:70] if lines else ''}"
    kernels = [np.asarray(p["kernel"]) for p in params.values()]
    zeros = sum(int((k == 0).sum()) for k in kernels) / sum(k.size for k in kernels)
    return f"runs, {zeros:.0%} zeros"


def main() -> None:
    """Prints the table."""
    write = sys.stdout.write
    try:
        from third_party.jaxpruner import adapter
    except Exception as error:
        write(f"jaxpruner cannot be imported: {type(error).__name__}: {error}\n")
        adapter = None
    write(f"JAX {jax.__version__}, optax {optax.__version__}\n\n| method | biases | optimizer | ours | jaxpruner")
    write(" | jaxpruner, `jax.tree_map` put back |\n|---|---|---|---|---|---|\n")
    for name in ("rigl", "set"):
        for biases in (True, False):
            for label, make in OPTIMISERS.items():
                if label == "partition" and not biases:
                    continue
                params, gradient = problem(biases)
                cells = [outcome(lambda: ours(name, make(), params, gradient))]  # noqa: B023
                for repaired in (False, True) if adapter else ():
                    if repaired:
                        adapter.with_removed_names()
                    cells.append(outcome(lambda: adapter.train(name, make(), params, gradient, STEPS)))  # noqa: B023
                    if repaired:
                        del jax.tree_map
                write(f"| {name} | {'yes' if biases else 'no'} | {label} | {' | '.join(cells)} |\n")


if __name__ == "__main__":
    main()
