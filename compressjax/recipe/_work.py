"""A stage on a tree: what is trained, under which compression, and the result."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from compressjax import core
from compressjax.core import Compression, Selector
from compressjax.core._fit import compress_and_fit, layouts_in
from compressjax.core._layout import Layouts
from compressjax.core._partition import assign
from compressjax.core._paths import map_with_path, path_string
from compressjax.core._tree import is_value
from compressjax.core._unchanged import unchanged
from compressjax.recipe._open import open_grids


class Part(NamedTuple):
    """A compression and the selector of its leaves; None for the compression's own choice."""

    selector: Selector | None
    compression: Compression


class Work(NamedTuple):
    """A stage on a tree.

    Attributes:
        stage: Name of the stage, for messages.
        tree: Input of the stage, with grids opened.
        compression: The compression of a training run; the identity for plain training.
        rules: Rules that the compression partitions; empty if it selects its leaves itself.
        notes: Notes for a report: rules that matched no leaf, and leaves that do not fit their rule.
        layout: Axes of the leaves, as `cj.layouts` traces them; None for `[in, out]`.
    """

    stage: str
    tree: Any
    compression: Compression
    rules: Mapping[Selector, Compression] = {}
    notes: tuple[str, ...] = ()
    layout: Layouts | None = None

    @property
    def params(self) -> Any:
        """The trained parameters: the tree if it is dense, `{path: array}` if it has nodes or integers."""
        return self.tree if self._dense else core.values(self.tree)

    @property
    def _dense(self) -> bool:
        return all(is_value(x) and not core.is_node(x) for x in jax.tree.leaves(self.tree, is_leaf=core.is_node))

    def view(self, params: Any, state: Any) -> Any:
        """The tree that the network computes with: dense, apart from nodes that the method views, which `lift` runs."""
        viewed = self.compression.view(params, state)
        nodes = {path for path, x in core.nodes(viewed).items() if core.is_node(x)}
        own = {path: set(core.values({path: x})) for path, x in core.nodes(self.tree).items()}

        def leaf(path: Any, x: Any) -> Any:
            return x if own[path_string(path)] & nodes else core.materialize(x)

        return map_with_path(leaf, self._whole(viewed), is_leaf=core.is_node)

    def encode(self, params: Any, state: Any) -> Any:
        """The tree after a training run; raises `ValueError` if the training or the method changed nothing."""
        tree = self._whole(self.compression.encode(params, state))
        self._check(self.tree, tree, "its training")
        masked = any(np.size(mask) > np.sum(mask) for mask in map(_mask, core.nodes(tree).values()))
        if not masked and self.compression.name != "identity":
            self._check(self._whole(params), tree, "its method")
        return tree

    def apply(self, stats: Any = None) -> Any:
        """The tree after a stage that does not train; raises `ValueError` if the stage or a rule changed nothing."""
        return self.applied(stats)[0]

    def applied(self, stats: Any = None) -> tuple[Any, tuple[str, ...]]:
        """As `apply`; also returns notes of the leaves that did not fit the method."""
        layout = self.layout if stats is None else None
        tree, found = compress_and_fit(
            self.tree, self.rules or self.compression, stats, layout=layout, unfit="skip",
            on_unchanged="raise" if self.rules else "ignore", warn=False,
        )  # fmt: skip
        self._check(self.tree, tree, "its method")
        return tree, _notes(found.left)

    def _whole(self, params: Any) -> Any:
        return params if self._dense else core.with_values(self.tree, core.nodes(params))

    def _check(self, before: Any, after: Any, what: str) -> None:
        if len(unchanged(before, after)) == len(core.nodes(before)):
            raise ValueError(f"{self.stage}: {what} changed no value and saved no bit; fix its settings or remove it")


def _mask(node: Any) -> Any:
    return getattr(node, "mask", True)


def begin(
    stage: str, tree: Any, parts: Sequence[Part], opened: Selector | None, unsure: bool, seen: Any = None
) -> Work:
    """Opens grids, assigns every leaf to the first part that selects it, and leaves out what does not fit.

    `seen` are abstract statistics of the network, which tell the axes of its leaves.
    """
    if opened is not None:
        abstract = any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(tree))
        tree = jax.eval_shape(lambda t: open_grids(t, opened), tree) if abstract else open_grids(tree, opened)
    layout = layouts_in(seen)
    if len(parts) == 1 and parts[0].selector is None:
        return _fitted(Work(stage, tree, parts[0].compression, layout=layout), parts[0].compression, seen)
    rules: dict[Selector, Compression] = {}
    chosen = [(part.selector, part.compression) for part in parts if part.selector is not None]
    found = assign([selector for selector, _ in chosen], core.values(tree))
    for (selector, compression), (_, mine) in zip(chosen, found, strict=True):
        if mine or not unsure:
            if selector in rules:
                raise ValueError(f"{stage}: there are two rules for {selector!r}; remove one")
            rules[selector] = compression
    if not parts:
        return Work(stage, tree, core.identity())
    if not rules:
        raise ValueError(f"{stage}: no rule selects any of {sorted(core.values(tree))}; fix or remove them")
    notes = tuple(f"rule {part.selector!r} found no leaf" for part in parts if part.selector not in rules)
    return _fitted(Work(stage, tree, core.partition(rules), rules, notes, layout), rules, seen)


def _fitted(work: Work, rules: Any, seen: Any) -> Work:
    """The work on the leaves that fit, as far as shapes tell."""
    if isinstance(rules, Mapping) and any(not mine for _, mine in assign(tuple(rules), core.values(work.tree))):
        return work  # refused with its reason when it starts
    stats = seen if work.compression.needs else None
    found = core.fit(work.tree, rules, stats, layout=work.layout)
    return work._replace(compression=found.compression, notes=(*work.notes, *_notes(found.left)))


def _notes(left: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"left out {path}: {reason}" for path, reason in left.items())


def trial(work: Work) -> Any:
    """The abstract tree after a stage; None if shapes depend on values."""
    state = None
    try:
        state = jax.eval_shape(work.compression.init, work.tree)
        return jax.eval_shape(work.compression.encode, work.tree, state)
    except (jax.errors.JAXTypeError, jax.errors.JAXIndexError):
        return None
    except ValueError as error:
        # Methods that read statistics cannot be checked further without them.
        unread = state is not None and bool(work.compression.needs)
        if unread or isinstance(error.__cause__, jax.errors.JAXTypeError):
            return None
        raise
