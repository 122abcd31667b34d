"""A stage at work on a tree: what is trained, what it is seen through, and what it leaves."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from compressjax import core
from compressjax.core import Compression, Selector
from compressjax.recipe._open import open_grids


class Part(NamedTuple):
    """A compression and the selector of the leaves that it acts on; its own choice when None."""

    selector: Selector | None
    compression: Compression


class Work(NamedTuple):
    """A stage on a tree.

    Attributes:
        stage: Name of the stage, for messages.
        tree: What the stage got, grids opened.
        parts: Compressions, each on leaves of its own.
        notes: What a report should say: rules that found nothing.
    """

    stage: str
    tree: Any
    parts: tuple[Compression, ...]
    notes: tuple[str, ...] = ()

    @property
    def compression(self) -> Compression:
        """What a training sees its values through."""
        return core.chain(*self.parts) if len(self.parts) > 1 else (*self.parts, core.identity())[0]

    @property
    def params(self) -> Any:
        """What is trained: the tree while it is dense, `{path: array}` once it has nodes or integers."""
        return self.tree if self._dense else core.values(self.tree)

    @property
    def _dense(self) -> bool:
        return all(core.is_value(x) and not core.is_node(x) for x in jax.tree.leaves(self.tree, is_leaf=core.is_node))

    def view(self, params: Any, state: Any) -> Any:
        """The dense tree that the network computes with."""
        return core.materialize(self._whole(self.compression.view(params, state)))

    def encode(self, params: Any, state: Any) -> Any:
        """The tree after a training; raises `ValueError` when the training or the method changed nothing."""
        tree = self._whole(self.compression.encode(params, state))
        self._check(self.tree, tree, "its training")
        if self.parts and not any(np.size(m) > np.sum(m) for m in map(_mask, core.nodes(tree).values())):
            self._check(self._whole(params), tree, "its method")
        return tree

    def apply(self, stats: Any = None) -> Any:
        """The tree after a stage that does not train; raises `ValueError` when the stage changed nothing."""
        tree = self.tree
        for part in self.parts:
            tree = part.encode(tree, part.after_step(tree, part.init(tree), stats)[1])
        self._check(self.tree, tree, "its method")
        return tree

    def _whole(self, params: Any) -> Any:
        return params if self._dense else core.with_values(self.tree, core.nodes(params))

    def _check(self, before: Any, after: Any, what: str) -> None:
        if len(core.unchanged(before, after)) == len(core.nodes(before)):
            raise ValueError(
                f"{self.stage}: {what} changed no value and saved no bit; check its settings (steps, sparsity, "
                "selectors), or leave it out"
            )


def _mask(node: Any) -> Any:
    return getattr(node, "mask", True)


def begin(stage: str, tree: Any, parts: Sequence[Part], opened: Selector | None, unsure: bool) -> Work:
    """Opens grids and gives every leaf to the first part that selects it."""
    if opened is not None:
        abstract = any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(tree))
        tree = jax.eval_shape(lambda t: open_grids(t, opened), tree) if abstract else open_grids(tree, opened)
    flat, owner = core.values(tree), {}
    chosen, notes = [], []
    for i, (selector, compression) in enumerate(parts):
        if selector is None:
            chosen.append(compression)
            continue
        matched = [path for path, leaf in flat.items() if core.matches(selector, path, leaf)]
        mine = frozenset(path for path in matched if path not in owner)
        owner.update(dict.fromkeys(mine, i))
        if mine:
            chosen.append(core.only(_member(mine), compression))
        elif unsure and len(parts) > 1:
            notes.append(f"rule {selector!r} found no leaf")
        else:
            why = f"earlier rules took {matched}" if matched else f"the values are {sorted(flat)}"
            raise ValueError(f"{stage}: {selector!r} selects nothing: {why}; mend or drop it")
    if parts and not chosen:
        raise ValueError(f"{stage}: no rule selects any of {sorted(flat)}; mend or drop them")
    return Work(stage, tree, tuple(chosen), tuple(notes))


def _member(paths: frozenset[str]) -> Selector:
    return lambda path, leaf: path in paths


def trial(work: Work) -> Any:
    """The abstract tree that a stage leaves; None where shapes follow from the values."""
    tree = work.tree
    for part in work.parts:
        try:
            state = jax.eval_shape(part.init, tree)
            tree = jax.eval_shape(part.encode, tree, state)
        except (jax.errors.JAXTypeError, jax.errors.JAXIndexError):
            return None
        except ValueError as error:
            if isinstance(error.__cause__, jax.errors.JAXTypeError):
                return None
            # Without statistics nothing more can be said of a method that reads them.
            if part.needs and _starts(part, tree):
                return None
            raise
    return tree


def _starts(part: Compression, tree: Any) -> bool:
    try:
        jax.eval_shape(part.init, tree)
    except ValueError:
        return False
    return True
