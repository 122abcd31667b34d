"""From images to one file that holds a reducer of data and a small network, against either half alone."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import compressjax as cj
from compressjax import core, data, measure, prune, quant, saliency
from experiments import app, limits, models
from experiments.datasets import TABLES, load_emoji, load_table
from experiments.problem import make_problem
from experiments.reproduce import arms
from experiments.reproduce.loop import Data, check, train
from experiments.reproduce.table import Claim
from experiments.reproduce.through_file import through_file

WAYS = ("pca", "projection", "nmf", "select")
_LEVELS = 16
_EVALUATION = 2000


class Rows(NamedTuple):
    """Cleaned gray rows in `[0, 1]` and labels: to train on, held out from training, and of the test set."""

    train: np.ndarray
    train_labels: np.ndarray
    held: np.ndarray
    held_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


class Shared(NamedTuple):
    """Data, and what several cells use: fitted reducers, features, and networks trained without compression."""

    rows: Rows
    known: dict[Any, Any]


def settings(config: Mapping[str, Any]) -> list[str]:
    """The network of all pixels, compressed models alone, reduced data alone, and both."""
    reduced = [f"{way} {k}" for way, counts in config["counts"] for k in counts]
    alone = [f"{arms.MODEL}, {name}" for name in dict(config["models"])]
    both = [f"{arms.JOINT}, {name}, {config['models'][i][0]}" for name in reduced for i in config["joint"]]
    return ["dense", *alone, *(f"{arms.DATA}, {name}" for name in reduced), *both]


def prepare(launch: app.Launch) -> Shared:
    """Loads, cleans and splits the data; refuses bad settings."""
    config = launch.config
    x, labels, test, test_labels = source(launch)
    features = x.shape[1]
    for way, counts in config["counts"]:
        if way not in WAYS:
            raise ValueError(f"--config.counts: {way!r} does not exist; choose of {', '.join(WAYS)}")
        for k in counts:
            limits.check({way: k}, {way: limits.Limit(1, features, whole=True)}, "--config.counts.")
    for name, model in config["models"]:
        limits.check(model, arms.MODEL_LIMITS, f"{name}: ")
    examples = len(labels)
    limits.check(config, {"held": limits.Limit(1, examples // 2, whole=True), "sample": limits.COUNT}, "--config.")
    rows = split(x, labels, test, test_labels, config["held"])
    check(config, len(rows.train_labels))
    check({**config, **config["tuning"]}, len(rows.train_labels), "--config.tuning.")
    return Shared(rows, {})


def source(launch: app.Launch) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows and labels to train on, and to test: gray images, or a table, of which a fifth is the test."""
    wanted = launch.config["data"]
    if wanted["name"] == "emoji32":
        emoji = load_emoji(wanted["path"])
        return apart(flat(emoji.images), emoji.classes, emoji.kinds)
    if wanted["name"] in TABLES:
        table = load_table(wanted["name"], path=wanted["path"])
        return apart(table.rows, table.classes)
    held = make_problem({**launch.config, "seed": 0}, launch.data_cache, launch.mesh).data
    return flat(held.train_images), held.train_labels, flat(held.test_images), held.test_labels


def apart(
    x: np.ndarray, labels: np.ndarray, kinds: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A random fifth of the rows, or of their kinds, for the test; features from 0 to 1 as the others reach them."""
    kinds = np.arange(len(x)) if kinds is None else kinds
    count = int(kinds.max()) + 1
    place = np.random.default_rng(0).permutation(count)[kinds]
    order = np.argsort(place, kind="stable")
    first = np.searchsorted(place[order], count - count // 5)
    rest, test = order[:first], order[first:]
    low, high = x[rest].min(0), x[rest].max(0)
    x = np.clip((x - low) / np.maximum(high - low, np.float32(1e-6)), 0, 1).astype(np.float32)
    return x[rest], labels[rest], x[test], labels[test]


def split(x: np.ndarray, labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray, held: int) -> Rows:
    """Drops rows that occur again, and holds the last rows out."""
    _, (x, labels) = data.clean(data.find_duplicates(x, labels), x, labels)
    top = max(float(x.max()), 1.0)
    x, test = x / np.float32(top), test / np.float32(top)
    return Rows(x[:-held], labels[:-held], x[-held:], labels[-held:], test, test_labels)


def flat(images: np.ndarray) -> np.ndarray:
    """Images `[n, height, width, channels]` as float32 rows of gray pixels."""
    gray = np.asarray(data.to_gray(images)) if images.shape[-1] > 1 else images[..., 0]
    return gray.reshape(len(gray), -1).astype(np.float32)


def reducer(rows: Rows, way: str, k: int, seed: int, sample: int) -> Any:
    """A fitted reducer to `k` features, without what the file need not hold."""
    x, key = rows.train, jax.random.key(seed)
    if way == "pca":
        found = data.fit(data.pca(k), x)
        return found._replace(mean=jnp.zeros_like(found.mean))  # the normalization takes it in
    if way == "projection":
        return data.fit(data.random_projection(k, key), x[:1])
    if way == "nmf":
        return data.fit(data.online_nmf(k, key), x[:sample])
    levels = np.round(x * (_LEVELS - 1))
    classes = int(rows.train_labels.max()) + 1
    found = data.fit(data.select_information(k, classes, bins=_LEVELS), (levels, rows.train_labels))
    return found._replace(scores=jnp.zeros_like(found.scores))


def reading(found: Any, x: np.ndarray) -> dict[str, Any]:
    """What a network reads its features through: the reducer, the means of its features, and one deviation."""
    z = np.asarray(found.transform(x[:_EVALUATION])) if found is not None else x[:_EVALUATION]
    front = {"mean": jnp.asarray(z.mean(0)), "deviation": jnp.asarray([max(float(z.std()), 1e-6)], jnp.float32)}
    return front if found is None else {**front, "reducer": data.as_tree(found)}


def read(front: Mapping[str, Any], x: Any) -> jax.Array:
    """Features of rows of pixels; nodes in the reducer are made dense."""
    if "reducer" in front:
        x = data.from_tree(core.materialize(front["reducer"])).transform(x)
    return (jnp.asarray(x, jnp.float32) - front["mean"]) / front["deviation"]


def rounded(front: Mapping[str, Any], bits: int) -> dict[str, Any]:
    """The same reading with the matrix of the reducer on a grid; selections have no matrix."""
    if not any(path.endswith(("components", "matrix")) for path in core.values(front)):
        return dict(front)
    return cj.compress(dict(front), {".*(components|matrix)": quant.rtn(bits, granularity="tensor")})


def compression(model: Mapping[str, Any]) -> core.Compression:
    """Zeros by magnitude, then a grid, both while the network recovers."""
    masks = prune.one_shot(saliency.magnitude(), model["sparsity"])
    return core.only(".*kernel", core.chain(masks, quant.fake_quant(model["bits"])))


def run(shared: Shared, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """Trains one cell and measures the file that it gives."""
    arm, *rest = name.split(", ")
    reduced = rest[0] if arm in (arms.DATA, arms.JOINT) else ""
    model = dict(config["models"])[rest[-1]] if arm in (arms.MODEL, arms.JOINT) else None
    front = _front(shared, config, reduced, seed, arm == arms.JOINT)
    network = models.create(config["model"]["name"], config["model"]["settings"])

    def apply(params: Any, z: jax.Array) -> jax.Array:
        return network.apply({"params": params}, z)

    features = _features(front, shared.rows)
    place = (reduced, arm == arms.JOINT, seed)
    if place not in shared.known:
        start = network.init(jax.random.key(seed), features.train[:1])["params"]
        shared.known[place] = train(apply, start, features, config, seed=seed).params
    tree = shared.known[place]
    if model is not None:
        tuning = {**config, **config["tuning"]}
        tree = train(apply, tree, features, tuning, seed=seed + 1_000_000, compression=compression(model)).encoded
    return figures({"front": front, "params": tree}, apply, shared.rows)


def figures(tree: Any, apply: Any, rows: Rows) -> dict[str, float]:
    """Errors in percent of the tree that a file gives back, bytes of the file, and operations an image."""
    tree, size = through_file(tree)
    lifted = cj.lift(apply, on_fallback="ignore")

    def predict(tree: Any, x: jax.Array) -> jax.Array:
        return lifted(tree["params"], read(tree["front"], x))

    program = jax.jit(predict)

    def wrong(x: np.ndarray, labels: np.ndarray) -> float:
        guesses = [np.argmax(program(tree, x[i : i + _EVALUATION]), -1) for i in range(0, len(x), _EVALUATION)]
        return 100 * float(np.mean(np.concatenate(guesses) != labels))

    return {
        "error": wrong(rows.test, rows.test_labels),
        arms.HELD: wrong(rows.held, rows.held_labels),
        arms.SIZE: size / 1e3,
        arms.WORK: measure.flops(predict, tree, rows.test[:1]) / 1e3,
    }


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """No paper has these figures; what the arms reach at equal bytes is in `budgets.md`."""
    return []


def pictures(results: Mapping[str, Any]) -> dict[str, bytes | str]:
    """The arms at equal bytes, as a table and as a plot."""
    return {"budgets.md": arms.at_budgets(results), "front.png": arms.plot(results)}


def _front(shared: Shared, config: Mapping[str, Any], reduced: str, seed: int, small: bool) -> dict[str, Any]:
    """What the network of a cell reads through."""
    place = ("front", reduced, seed)
    if place not in shared.known:
        way, _, k = reduced.partition(" ")
        found = reducer(shared.rows, way, int(k), seed, config["sample"]) if reduced else None
        shared.known[place] = reading(found, shared.rows.train)
    return rounded(shared.known[place], config["reducer_bits"]) if small else shared.known[place]


def _features(front: Mapping[str, Any], rows: Rows) -> Data:
    """Features of the rows to train on and, to watch the training, of those held out."""
    run = jax.jit(read)
    parts = [np.asarray(run(front, rows.train[i : i + 8192])) for i in range(0, len(rows.train), 8192)]
    held = run(front, rows.held)
    return Data(*map(jnp.asarray, (np.concatenate(parts), rows.train_labels, held, rows.held_labels)))
