"""One network split into several: hidden layers in blocks, or branches at which easy inputs exit."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import prune, structure, tensors
from experiments import app
from experiments.problem import Problem, cross_entropy, make_problem
from experiments.reproduce.loop import check, data_of, test_error, train
from experiments.reproduce.table import Claim


def settings(config: Mapping[str, Any]) -> list[str]:
    """`dense`, the network in blocks with and without a penalty before the split, and early exits."""
    arms = [f"{kind} {blocks}" for blocks in config["blocks"] for kind in ("learned split", "late split")]
    return ["dense", *arms, "exits"]


def prepare(launch: app.Launch) -> Problem:
    """Data and network."""
    problem = make_problem({**launch.config, "seed": 0}, launch.data_cache, launch.mesh)
    check(launch.config, len(problem.data.train_labels))
    check(launch.config["recovery"], len(problem.data.train_labels), "--config.recovery.")
    return problem


def run(shared: Problem, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Trains one network, then splits it or adds exits."""
    problem = shared._replace(seed=seed)
    if name == "exits":
        return _exits(problem, config, seed)
    if name == "dense":
        done = train(problem.apply, problem.initial_params(), data_of(problem), config, seed=seed)
        return {"error": done.errors[-1], "operations": 100.0}
    kind, _, blocks = name.split()
    return _split(problem, config, seed, int(blocks), config["penalty"] if kind == "learned" else 0.0)


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """Learned splits against splits after training, and exits against the whole network."""
    rows = [Claim(f"learned split {b}", f"late split {b}", None, 0.0) for b in config["blocks"]]
    return [*rows, Claim("exits", "dense", None, config["points"])]


def _split(problem: Problem, config: Mapping[str, Any], seed: int, blocks: int, strength: float) -> dict[str, float]:
    """All layers but the last in blocks: trained toward them, split, and fine-tuned."""
    names = [f"Dense_{i}" for i in range(len(config["model"]["settings"]["widths"]))]
    params, data = problem.initial_params(), data_of(problem)
    widths = [params[names[0]]["kernel"].shape[0], *(params[name]["kernel"].shape[1] for name in names)]
    entropy = cross_entropy(problem.apply)

    def loss(tree: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        chain = [tree["net"][name]["kernel"] for name in names]
        return entropy(tree["net"], (x, y)) + strength * structure.split_penalty(chain, tree["assigned"])

    start = {"net": params, "assigned": structure.assignment(widths, blocks, problem.key("assigned"))}
    trained = train(lambda tree, x: problem.apply(tree["net"], x), start, data, config, seed=seed, loss=loss).params
    chain = [trained["net"][name]["kernel"] for name in names]
    assigned = trained["assigned"] if strength else None
    found, info = structure.split_chain(chain, blocks, key=problem.key("split"), assigned=assigned)
    masks = {f"{name}/kernel": _inside(part) for name, part in zip(names, found, strict=True)}
    cut = prune.static(masks=masks)
    before = float(test_error(problem.apply, cut.view(trained["net"], cut.init(trained["net"])), data))
    done = train(problem.apply, trained["net"], data, config["recovery"], seed=seed, compression=cut)
    sizes = [np.size(leaf) for leaf in jax.tree.leaves([params[name]["kernel"] for name in params])]
    left = sum(sizes) - sum(int((~mask).sum()) for mask in masks.values())
    return {
        "error": done.errors[-1],
        "before recovery": before,
        "inside blocks": 100 * info["kept"],
        "operations": 100 * left / sum(sizes),
    }


def _inside(part: tensors.BlockDiagonal) -> jax.Array:
    return part.replace(blocks=jnp.ones_like(part.blocks)).materialize() > 0


def _exits(problem: Problem, config: Mapping[str, Any], seed: int) -> dict[str, float]:
    """A branch after every hidden layer but the last; thresholds are chosen on held-out training images."""
    params, data, held = problem.initial_params(), data_of(problem), config["held_out"]
    names, keys = list(params), jax.random.split(problem.key("branches"), len(params))
    classes = problem.data.classes
    branches = {
        name: jax.random.normal(k, (params[name]["bias"].size, classes)) / params[name]["bias"].size ** 0.5
        for name, k in zip(names[:-2], keys)
    }

    def outputs(tree: Any, x: jax.Array) -> list[jax.Array]:
        """Logits of every branch; the last branch is the network itself."""
        found, h = [], problem.standardized(x).reshape(x.shape[0], -1)
        for name in names[:-1]:
            h = jax.nn.relu(h @ tree["net"][name]["kernel"] + tree["net"][name]["bias"])
            if name in tree["branches"]:
                found.append(h @ tree["branches"][name])
        return [*found, h @ tree["net"][names[-1]]["kernel"] + tree["net"][names[-1]]["bias"]]

    def loss(tree: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        return structure.branch_loss(outputs(tree, x), y)

    rest = data._replace(train=data.train[held:], train_labels=data.train_labels[held:])
    start = {"net": params, "branches": branches}
    tree = train(lambda t, x: outputs(t, x)[-1], start, rest, config, seed=seed, loss=loss).params
    sizes = [params[name]["kernel"].size for name in names]
    # An input runs all branches up to its exit.
    tried = np.cumsum([branch.size for branch in branches.values()])
    costs = [*(np.cumsum(sizes)[: len(tried)] + tried).tolist(), int(sum(sizes) + tried[-1])]
    chosen = structure.choose_exits(jax.jit(outputs)(tree, data.train[:held]), data.train_labels[:held], costs)
    logits_by_branch, open_ = jax.jit(outputs)(tree, data.test), np.ones(len(data.test_labels), bool)
    wrong, cost = 0, 0.0
    for logits, threshold, price in zip(logits_by_branch, chosen.thresholds, costs, strict=True):
        leaves = open_ & (np.asarray(jax.nn.softmax(logits).max(-1)) >= threshold)
        wrong += int((np.asarray(logits.argmax(-1)) != np.asarray(data.test_labels))[leaves].sum())
        cost, open_ = cost + float(leaves.mean()) * price, open_ & ~leaves
    return {"error": 100 * wrong / len(open_), "operations": 100 * cost / sum(sizes)}
