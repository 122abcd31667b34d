"""Widths that an NNX module remembers beside its arrays, and that are gone from these."""

from collections.abc import Iterator
from typing import Any

import jax
from flax import nnx

from compressjax.core import path_string
from compressjax.modules._resize import numbers

Shape = tuple[int, ...]


def flat(state: Any) -> dict[str, Any]:
    """Leaves of a state under their paths.

    Args:
        state: Any tree.

    Returns:
        The leaves.

    Example:
        >>> flat({"a": {"b": 1}})
        {'a/b': 1}
    """
    return {path_string(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]}


def held(module: nnx.Module) -> dict[str, Shape]:
    """Shapes of the arrays that a module holds itself.

    Args:
        module: The module.

    Returns:
        The shapes under the names of the attributes.

    Example:
        >>> held(nnx.Linear(2, 3, use_bias=False, rngs=nnx.Rngs(0)))
        {'kernel': (2, 3)}
    """
    arrays = {name: value for name, value in vars(module).items() if isinstance(value, nnx.Variable)}
    return {name: tuple(value.shape) for name, value in arrays.items() if hasattr(value, "shape")}


def _named_by_flax(module: nnx.Module) -> set[str]:
    """Every name in Flax's own constructors of a module: its attributes are among them, and no list of these exists."""
    kinds = [kind for kind in type(module).__mro__ if kind.__module__.startswith("flax.")]
    codes = [getattr(vars(kind).get("__init__"), "__code__", None) for kind in kinds]
    return {name for code in codes if code for name in code.co_names}


def remembered(module: nnx.Module, known: bool) -> Iterator[tuple[str, int]]:
    """Integers above one in a module's attributes, in tuples, dicts and dataclasses there.

    Args:
        module: The module.
        known: Whether it is a layer of Flax or a subclass, whose attributes are cared for; those that Flax sets are
            left out.

    Yields:
        Where the number is, and the number.

    Example:
        >>> layer = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
        >>> layer.sizes = {"inner": 5}
        >>> list(remembered(layer, known=True))
        [('sizes.inner', 5)]
    """
    flax = _named_by_flax(module) if known else set()
    for name, value in vars(module).items():
        if name not in flax and not isinstance(value, nnx.Module):
            for where, number in numbers(value, (name,)):
                yield ".".join(map(str, where)), number


def _lost(old: dict[str, Shape], new: dict[str, Shape]) -> set[int]:
    return {a for path, shape in old.items() for a, b in zip(shape, new.get(path, shape)) if a != b}


def _below(module: nnx.Module) -> dict[str, Shape]:
    return {path: tuple(leaf.shape) for path, leaf in flat(nnx.state(module)).items() if hasattr(leaf, "shape")}


def refuse_lost(module: nnx.Module, before: nnx.Module, known: bool, below: bool) -> None:
    """Refuses a module that remembers a width that is gone.

    Args:
        module: The module with smaller arrays.
        before: The module with those of full width.
        known: Whether it is a layer of Flax or a subclass.
        below: Whether arrays of the modules below count too; those of a cell always do, as it makes a carry for them.

    Raises:
        ValueError: If a number that it remembers is a size that an array had and has no more.

    Example:
        >>> wide, small = (nnx.Linear(2, n, rngs=nnx.Rngs(0)) for n in (5, 3))
        >>> refuse_lost(small, wide, known=True, below=False)
    """
    found = list(remembered(module, known))
    lost = _lost(held(before), held(module)) if found else set()
    for name, number in found:
        if number in lost:
            raise ValueError(f"its {name} is {number}, a width that was cut, and what follows is not known; set the "
                             "new one on the module first")  # fmt: skip
    if found and (below or isinstance(module, nnx.RNNCellBase)):
        lost = _lost(_below(before), _below(module))
        for name, number in found:
            if number in lost:
                raise ValueError(f"its {name} is {number}, a width that was cut below it, and what follows is not "
                                 "known; set the new one on the module first, or "
                                 "give example arguments and what is expected of them")  # fmt: skip
