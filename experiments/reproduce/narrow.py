"""Training in narrow formats and with small states of the optimizer, against float32."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from compressjax import precision
from experiments import app, limits
from experiments.datasets import batch_indices
from experiments.problem import Problem, cross_entropy, make_problem
from experiments.reproduce.loop import Data, check, data_of, test_error
from experiments.reproduce.table import Claim

FORCED = 2.0**100  # times the scale, which no gradient in float16 survives


class Setup(NamedTuple):
    """How one setting trains.

    Attributes:
        compute: Format of products; None for float32.
        optimizer: From a learning rate to an optimizer.
        params: Type of the parameters.
        forced: Whether some steps are made to overflow.
        delayed: Whether 8-bit scales come from earlier steps.
    """

    compute: str | None
    optimizer: Callable[[Any], optax.GradientTransformation] = optax.adam
    params: str = "float32"
    forced: bool = False
    delayed: bool = False


def _eight(rate: Any) -> optax.GradientTransformation:
    return optax.chain(precision.scale_by_adam_8bit(), optax.scale_by_learning_rate(rate))


def _scaled(rate: Any) -> optax.GradientTransformation:
    return precision.loss_scaled(optax.adam(rate), interval=50)


def _stochastic(rate: Any) -> optax.GradientTransformation:
    return precision.stochastic_params(optax.adam(rate))


def _nearest(rate: Any) -> optax.GradientTransformation:
    """Adam with moments in float32, whatever the parameters are."""
    adam = optax.adam(rate)
    return optax.GradientTransformation(lambda params: adam.init(precision.cast(params, "float32")), adam.update)


SETUPS = {
    "dense": Setup(None),
    "bfloat16": Setup("bfloat16"),
    "float16, scaled loss": Setup("float16", _scaled),
    "float16, forced overflows": Setup("float16", _scaled, forced=True),
    "fp8, delayed scales": Setup("fp8", delayed=True),
    "bfloat16 parameters, by chance": Setup("bfloat16", _stochastic, "bfloat16"),
    "bfloat16 parameters, nearest": Setup("bfloat16", _nearest, "bfloat16"),
    "8-bit Adam": Setup(None, _eight),
}


class State(NamedTuple):
    """What a training run changes: parameters, the optimizer's state, the states of 8-bit scales."""

    params: Any
    optimizer: Any
    scaling: Any


def settings(config: Mapping[str, Any]) -> list[str]:
    """Names of the ways to train."""
    del config
    return list(SETUPS)


def prepare(launch: app.Launch) -> Problem:
    """Data and network; refuses bad settings."""
    problem = make_problem({**launch.config, "seed": 0}, launch.data_cache, launch.mesh)
    check(launch.config, len(problem.data.train_labels))
    limits.check(launch.config, {"overflow_every": limits.COUNT}, "--config.")
    return problem


def run(problem: Problem, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Trains one setting: test error, skipped steps, time of a step, and the optimizer's bytes against float32."""
    problem, setup = problem._replace(seed=seed), SETUPS[name]
    data, steps = data_of(problem), config["steps"]
    state, chunk = _start(problem, setup, config)
    began = 0.0
    for first in range(0, steps, config["chunk"]):
        rows = batch_indices(seed, "train", first, config["chunk"], config["batch"], len(data.train_labels))
        numbers = np.arange(first, first + config["chunk"], dtype=np.int32)
        state = jax.block_until_ready(chunk(state, data, (numbers, rows)))
        began = began or time.perf_counter()  # the first chunk compiles
    elapsed, timed = time.perf_counter() - began, max(steps - config["chunk"], 1)
    scaled = name.startswith("float16")
    full = jax.eval_shape(optax.adam(1e-3).init, jax.eval_shape(problem.initial_params))
    return {
        "error": float(jax.jit(test_error, static_argnums=0)(problem.apply, state.params, data)),
        "skipped": float(precision.loss_scale_state(state.optimizer).skipped) if scaled else 0.0,
        "state %": 100 * _bytes(state.optimizer) / _bytes(full),
        "ms a step": 1000 * elapsed / timed,
    }


def _start(problem: Problem, setup: Setup, config: Mapping[str, Any]) -> tuple[State, Callable[..., State]]:
    tx = setup.optimizer(optax.cosine_decay_schedule(config["learning_rate"], config["steps"]))
    params = precision.cast(problem.initial_params(), setup.params)
    apply = problem.apply if setup.compute is None else precision.mixed(problem.apply, setup.compute)
    scaling: Any = {}
    if setup.delayed:
        eight = precision.delayed(problem.apply, setup.compute or "fp8")
        scaling = eight.init(params, problem.images[: config["batch"]])

    def loss(params: Any, scaling: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        return cross_entropy((lambda p, x: eight.apply(scaling, p, x)) if setup.delayed else apply)(params, (x, y))

    def step(state: State, data: Data, part: tuple[jax.Array, jax.Array]) -> State:
        number, row = part
        scale: Any = 1.0
        if setup.compute == "float16":
            scale = precision.scale_of(state.optimizer)
        if setup.forced:
            scale = scale * jnp.where((number + 1) % config["overflow_every"] == 0, FORCED, 1.0)
        gradient = precision.scaled_value_and_grad(loss, (0, 1))
        _, (grads, scaling) = gradient(scale, state.params, state.scaling, data.train[row], data.train_labels[row])
        updates, optimizer = tx.update(grads, state.optimizer, state.params)
        return State(optax.apply_updates(state.params, updates), optimizer, scaling)

    def chunk(state: State, data: Data, parts: Any) -> State:
        return jax.lax.scan(lambda s, part: (step(s, data, part), None), state, parts)[0]

    # Placed as the data, so that the second chunk finds the program of the first one.
    everywhere = jax.sharding.NamedSharding(problem.mesh, jax.sharding.PartitionSpec())
    return jax.device_put(State(params, jax.jit(tx.init)(params), scaling), everywhere), jax.jit(chunk)


def _bytes(tree: Any) -> int:
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """Each setting beside float32, the overflows, and the bytes of the moments."""
    forced = config["steps"] // config["overflow_every"]
    return [
        *(Claim(name, "dense", None, config["lost"]) for name in SETUPS if name not in ("dense", *config["beside"])),
        Claim("float16, forced overflows", "", float(forced), None, figure="skipped"),
        Claim("8-bit Adam", "", None, 26.0, figure="state %"),
    ]
