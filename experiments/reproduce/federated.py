"""One model from the rows of many clients: algorithms and messages, at their bytes."""

import functools
import statistics
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from compressjax import federated, gradients
from experiments import app, limits
from experiments.problem import Problem, cross_entropy, make_problem
from experiments.reproduce.loop import data_of, test_error
from experiments.reproduce.table import Claim, asked

LIMITS = {
    **dict.fromkeys(("clients", "chosen", "least", "rounds", "steps", "batch", "every", "tail"), limits.COUNT),
    "alpha": limits.POSITIVE,
}
ALGORITHMS = ("fed_avg", "fed_prox", "fed_adam", "scaffold")


def settings(config: Mapping[str, Any]) -> list[str]:
    """The methods; `dense` is federated averaging of float32 messages."""
    return [name for name, _ in config["methods"]]


def prepare(launch: app.Launch) -> Problem:
    """Data and network; refuses bad settings and methods."""
    config = launch.config
    limits.check(config, LIMITS, "--config.")
    if config["rounds"] % config["every"] or config["rounds"] < config["every"] * config["tail"]:
        raise ValueError(f"--config.rounds={config['rounds']} must be a multiple of every={config['every']}, and at "
                         f"least tail={config['tail']} times as many")  # fmt: skip
    problem = make_problem({**config, "seed": 0}, launch.data_cache, launch.mesh)
    for name in settings(config):
        _federation(problem, config, name)
    return problem


def run(shared: Problem, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Splits the training rows and trains one model by one method."""
    problem = shared._replace(seed=seed)
    labels, clients = problem.data.train_labels, config["clients"]
    split = federated.dirichlet_split(labels, clients, config["alpha"], problem.key("split"), least=config["least"])
    fed, data = _federation(problem, config, name), data_of(problem)
    params, weighs = problem.initial_params(), dict(config["methods"])[name]["algorithm"][0] != "scaffold"
    wrong = jax.jit(lambda params, held: test_error(problem.apply, params, held))

    @functools.partial(jax.jit, donate_argnums=0)
    def some(state: Any, held: Any, split: Any, keys: jax.Array) -> tuple[Any, jax.Array]:
        def one(state: Any, key: jax.Array) -> tuple[Any, jax.Array]:
            chosen = federated.sample_clients(key, clients, config["chosen"])
            rows = federated.draw_rows(split, chosen, key, config["steps"], config["batch"])
            batches = held.train[rows], held.train_labels[rows]
            return fed.round(state, chosen, batches, split.sizes[chosen] if weighs else None)

        return jax.lax.scan(one, state, keys)

    state, errors = fed.init(params, problem.key("rounds")), []
    keys = jax.random.split(problem.key("clients"), config["rounds"]).reshape(-1, config["every"])
    for part in keys:
        state, losses = some(state, data, split, part)
        if not np.isfinite(losses).all():
            raise ValueError(f"--config.methods: {name} has no finite loss; lower its rate")
        errors.append(float(wrong(state.params, data)))
    sent, whole = fed.bytes(params, config["chosen"]), _federation(problem, config, "dense").bytes(params, 1)
    return {
        "error": statistics.fmean(errors[-config["tail"] :]),
        "kB up": sent.up / 1000,
        "kB down": sent.down / 1000,
        "bytes, %": 100 * sum(sent) / sum(whole),
    }


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """The config's targets for the methods of the grid."""
    return asked(config, settings(config))


def _federation(problem: Problem, config: Mapping[str, Any], name: str) -> federated.Federation:
    given = dict(config["methods"])[name]
    kind, chosen = given["algorithm"]
    if kind not in ALGORITHMS:
        raise ValueError(f"--config.methods: {name} names {kind!r}; choose one of {', '.join(ALGORITHMS)}")
    entropy, ways = cross_entropy(problem.apply), {way: _way(name, given.get(way)) for way in ("up", "down")}
    return federated.federation(entropy, getattr(federated, kind)(**chosen), config["clients"], **ways)


def _way(name: str, given: Any) -> Any:
    if given is None:
        return None
    kind, chosen = given
    made = federated.integer_sum if kind == "integer_sum" else getattr(gradients, kind, None)
    if made is None:
        raise ValueError(f"--config.methods: {name} names {kind!r}, which is no compressor of compressjax.gradients")
    return made(**chosen)
