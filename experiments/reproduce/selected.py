"""Few features of many on few rows: cross-validated error, with the choice inside the folds and outside of them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from compressjax import data
from experiments import app, limits
from experiments.datasets import Table, load_table
from experiments.reproduce.table import Claim

LIMITS = {
    "features": limits.COUNT,
    "folds": limits.Limit(2, whole=True),
    "widest": limits.COUNT,
    "ridge": limits.POSITIVE,
}
Choice = Callable[[np.ndarray, np.ndarray, Mapping[str, Any]], Any]


def settings(config: Mapping[str, Any]) -> list[str]:
    """All features first, then every way to choose, inside of the folds and outside."""
    return ["dense", *config["ways"], *(f"{way}, from all rows" for way in config["outside"])]


def prepare(launch: app.Launch) -> Table:
    """The table, without small classes; checks the settings."""
    config = launch.config
    limits.check({name: config[name] for name in LIMITS}, LIMITS, "--config.")
    unknown = [way for way in (*config["ways"], *config["outside"]) if way not in WAYS]
    if unknown:
        raise ValueError(f"--config.ways={unknown[0]!r} does not exist; choose one of {', '.join(WAYS)}")
    table = load_table(config["data"]["name"], config["data"]["least"])
    if config["features"] > table.rows.shape[1]:
        raise ValueError(
            f"--config.features={config['features']} is above the {table.rows.shape[1]} of the table; lower it"
        )
    return table


def run(table: Table, config: Mapping[str, Any], name: str, seed: int) -> dict[str, float]:
    """The error over all folds of ridge regression on classes, in percent."""
    x, y = table.rows.astype(np.float64), table.classes
    way = name.removesuffix(", from all rows")
    outside = _chosen(way, x, y, config) if way != name else None
    wrong = 0
    for held in folds(y, config["folds"], seed):
        inside = outside if outside is not None else _chosen(way, x[~held], y[~held], config)
        a, b = inside(x[~held]), inside(x[held])
        mean, deviation = a.mean(0), a.std(0)
        deviation[deviation == 0] = 1
        found = _ridge((a - mean) / deviation, y[~held], config["ridge"])
        wrong += int(np.sum(found((b - mean) / deviation) != y[held]))
    return {"error": 100 * wrong / len(y), "features": float(x.shape[1] if way == "dense" else config["features"])}


def claims(config: Mapping[str, Any]) -> list[Claim]:
    """The best choice loses at most five points."""
    return [Claim(way, "dense", high=config["most"]) for way in config["ways"]]


def folds(classes: np.ndarray, count: int, seed: int) -> list[np.ndarray]:
    """Masks of the rows that each fold holds out; every class is dealt to the folds in turn."""
    draw, place, turn = np.random.default_rng(seed), np.zeros(len(classes), int), 0
    for label in np.unique(classes):
        rows = draw.permutation(np.flatnonzero(classes == label))
        place[rows] = (turn + np.arange(len(rows))) % count
        turn += len(rows)
    return [place == fold for fold in range(count)]


def _chosen(way: str, x: np.ndarray, y: np.ndarray, config: Mapping[str, Any]) -> Callable[[np.ndarray], np.ndarray]:
    """A function from rows to what the way keeps of them."""
    if way == "dense":
        return lambda rows: rows
    fitted = WAYS[way](x, y, config)
    return lambda rows: np.asarray(fitted.transform(rows.astype(np.float32)), np.float64)


def _weights(x: np.ndarray, y: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray]:
    """Ridge regression on a column a class, from products of rows, because there are fewer rows than features."""
    target = np.eye(int(y.max()) + 1)[y]
    mean = target.mean(0)
    system = x @ x.T + ridge * x.shape[1] * np.eye(len(x))
    return x.T @ np.linalg.solve(system, target - mean), mean


def _ridge(x: np.ndarray, y: np.ndarray, ridge: float) -> Callable[[np.ndarray], np.ndarray]:
    weights, mean = _weights(x, y, ridge)
    return lambda rows: np.argmax(rows @ weights + mean, axis=1)


def _variance(x: np.ndarray, y: np.ndarray, c: Mapping[str, Any]) -> Any:
    return data.select_by(x.var(0), c["features"])


def _anova(x: np.ndarray, y: np.ndarray, c: Mapping[str, Any]) -> Any:
    return data.fit(data.select_anova(c["features"], int(y.max()) + 1), (x.astype(np.float32), y))


def _information(x: np.ndarray, y: np.ndarray, c: Mapping[str, Any]) -> Any:
    return data.fit(data.select_mutual_information(c["features"], classes=int(y.max()) + 1), (x.astype(np.float32), y))


def _recursive(x: np.ndarray, y: np.ndarray, c: Mapping[str, Any]) -> Any:
    """Of the features with most variance, those that are left when the smallest weights of ridge regression go."""
    widest = np.sort(np.argsort(-x.var(0), kind="stable")[: c["widest"]])
    some = x[:, widest]
    some = (some - some.mean(0)) / np.maximum(some.std(0), 1e-9)

    def importance(places: np.ndarray) -> np.ndarray:
        squares: np.ndarray = (_weights(some[:, places], y, c["ridge"])[0] ** 2).sum(1)
        return squares

    left = data.eliminate(importance, len(widest), c["features"], step=c["step"])
    return data.select_by(np.isin(np.arange(x.shape[1]), widest[np.asarray(left.places)]), c["features"])


def _components(x: np.ndarray, y: np.ndarray, c: Mapping[str, Any]) -> Any:
    return data.fit(data.incremental_pca(c["features"]), x.astype(np.float32))


WAYS: dict[str, Choice] = {
    "variance": _variance,
    "anova": _anova,
    "information": _information,
    "recursive": _recursive,
    "principal components": _components,
}
