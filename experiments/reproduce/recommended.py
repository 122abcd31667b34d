"""A recommender in one file: fewer factors, fewer bits and entries, or both, at equal bytes."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import compressjax as cj
from compressjax import core, data, measure, prune, quant, saliency
from experiments import app, limits
from experiments.datasets import Ratings, load_ratings
from experiments.reproduce import arms
from experiments.reproduce.table import Claim
from experiments.reproduce.through_file import through_file

TABLES = "users|items"
UNIT = "hundredths of a star"


class Shared(NamedTuple):
    """Ratings to train on, held out from training, and of the test, with the numbers of users and items."""

    train: Ratings
    held: Ratings
    test: Ratings
    shape: tuple[int, int]


def settings(config: Mapping[str, Any]) -> list[str]:
    """The most factors, compressed alone; fewer factors alone; and both."""
    alone = [f"{arms.MODEL}, {name}" for name in dict(config["models"])]
    both = [f"{arms.JOINT}, factors {k}, {name}" for k in config["counts"] for name in dict(config["models"])]
    return ["dense", *alone, *(f"{arms.DATA}, factors {k}" for k in config["counts"]), *both]


def prepare(launch: app.Launch) -> Shared:
    """Loads and splits the ratings; refuses bad settings."""
    config = launch.config
    ratings = load_ratings(config["data"]["path"])
    for k in (config["factors"], *config["counts"]):
        limits.check({"factors": k}, {"factors": limits.COUNT}, "--config.")
    for name, model in config["models"]:
        limits.check(model, arms.MODEL_LIMITS, f"{name}: ")
    limits.check(config["tuning"], {"steps": limits.COUNT, "learning_rate": limits.POSITIVE}, "--config.tuning.")
    return split(ratings)


def split(ratings: Ratings) -> Shared:
    """A random fifth of the ratings for the test, a tenth held out."""
    n = len(ratings.stars)
    order = np.random.default_rng(0).permutation(n)
    test, held, train = np.split(order, [n // 5, n // 5 + n // 10])
    shape = (int(ratings.users.max()) + 1, int(ratings.items.max()) + 1)
    return Shared(*(Ratings(*(part[rows] for part in ratings)) for rows in (train, held, test)), shape)


def predict(params: Mapping[str, Any], users: Any, items: Any) -> jax.Array:
    """Stars `[n]` of pairs."""
    return params["mean"] + jnp.sum(params["users"][users] * params["items"][items], -1)


def run(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Factorizes the ratings, compresses the factors while they learn on, and measures the file."""
    arm, *rest = name.split(", ")
    k = int(rest[0].removeprefix("factors ")) if arm in (arms.DATA, arms.JOINT) else config["factors"]
    train, ridge = shared.train, config["ridge"]
    found = data.als(*train, k, jax.random.key(seed), shape=shared.shape, ridge=ridge, steps=config["steps"])
    tree: Any = {"mean": found.mean, "users": found.users, "items": found.items}
    if arm in (arms.MODEL, arms.JOINT):
        tree = tuned(tree, train, dict(config["models"])[rest[-1]], config["tuning"], ridge)
    return figures(tree, shared)


def tuned(params: Any, train: Ratings, model: Mapping[str, Any], tuning: Mapping[str, Any], ridge: float) -> Any:
    """Zeros by magnitude and a grid for each of both tables, while they learn on from all ratings; with nodes."""
    parts = [prune.one_shot(saliency.magnitude(), model["sparsity"])] if model["sparsity"] else []
    small = core.only(TABLES, core.chain(*parts, quant.fake_quant(model["bits"], granularity="tensor")))
    tx = core.as_optax(small, optax.adam(optax.cosine_decay_schedule(tuning["learning_rate"], tuning["steps"])))
    seen = Ratings(*map(jnp.asarray, train))

    def loss(params: Any, state: Any) -> jax.Array:
        view = small.view(params, state)
        squares = jnp.sum(view["users"][seen.users] ** 2 + view["items"][seen.items] ** 2, -1)
        return jnp.mean((predict(view, seen.users, seen.items) - seen.stars) ** 2 + ridge * squares)

    def step(carry: tuple[Any, Any], _: Any) -> tuple[tuple[Any, Any], None]:
        params, state = carry
        updates, state = tx.update(jax.grad(loss)(params, state.compression), state, params)
        return (optax.apply_updates(params, updates), state), None

    start = (params, tx.init(params))
    params, state = jax.jit(lambda start: jax.lax.scan(step, start, length=tuning["steps"])[0])(start)
    return small.encode(params, state.compression)


def figures(tree: Any, shared: Shared) -> dict[str, float]:
    """Errors of the tree that a file gives back, bytes of the file, and operations of one user's scores."""
    tree, size = through_file(tree)
    run = jax.jit(cj.lift(predict, on_fallback="ignore"))

    def wrong(part: Ratings) -> float:
        return 100 * float(np.sqrt(np.mean((np.asarray(run(tree, part.users, part.items)) - part.stars) ** 2)))

    def scores(params: Any) -> jax.Array:
        return params["mean"] + params["items"] @ params["users"][0]

    return {
        "error": wrong(shared.test),
        arms.HELD: wrong(shared.held),
        arms.SIZE: size / 1e3,
        arms.WORK: measure.flops(scores, core.materialize(tree)) / 1e3,
    }


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """No paper has these figures; what the arms reach at equal bytes is in `budgets.md`."""
    return []


def pictures(results: Mapping[str, Any]) -> dict[str, bytes | str]:
    """The arms at equal bytes, as a table and as a plot."""
    return {"budgets.md": arms.at_budgets(results, UNIT), "front.png": arms.plot(results, UNIT)}
