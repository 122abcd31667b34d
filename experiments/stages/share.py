"""Stage `share`: the values of a kernel become members of a small table, whose entries are then trained."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax import core, share
from compressjax.recipe import Previous, Stage
from compressjax.tensors import Masked, Quantized
from experiments.problem import Problem
from experiments.stages.facts import conclude, last_tree
from experiments.training import Context, fit


def make_share(problem: Problem, settings: Mapping[str, Any]) -> Stage:
    """Builds the stage.

    Args:
        problem: network and data.
        settings: see `training.fit`; `rules`, pairs of pattern and number of clusters, and `init` of the clusters.

    Returns:
        The stage; its result has `Codebook` nodes, with trained tables.
    """

    def begin(previous: Previous) -> Context:
        tree = open_grids(last_tree(previous), dict(settings["rules"]))
        return Context(cluster(tree, settings["rules"], settings["init"]), previous["teacher"].tree["params"])

    return fit(problem, "share", settings, begin=begin, conclude=lambda context, tree: conclude(problem, tree))


def cluster(tree: Any, rules: Sequence[tuple[str, int]], init: str) -> Any:
    """Puts the values that each pattern matches into a table of their own; the first pattern that matches wins.

    Zeros under a mask are not stored and have no say in the table; zeros of other leaves are values like any other.

    Args:
        tree: parameters, with values where tables are wanted.
        rules: pairs of pattern and number of clusters.
        init: of the clusters.

    Returns:
        The tree with `Codebook` nodes.

    Example:
        >>> tree = cluster({"a": jnp.array([[0.0, 1.0], [1.0, 0.0]])}, [("a", 2)], "linear")
        >>> tree["a"].centroids.tolist()
        [0.0, 1.0]
    """
    masked = {path for path, leaf in core.nodes(tree).items() if isinstance(leaf, Masked)}
    tables: dict[str, Any] = {}
    for path, x in core.values(tree).items():
        clusters = next((clusters for pattern, clusters in rules if core.matches(pattern, path, x)), None)
        if clusters is not None:
            tables |= core.compress({path: x}, {".*": share.kmeans(clusters, init=init, ignore_zeros=path in masked)})
    return core.with_values(tree, tables)


def open_grids(tree: Any, patterns: Mapping[str, Any]) -> Any:
    """Turns integer grids back into values, which a table can then hold; what a grid rounded to zero leaves the mask.

    Args:
        tree: parameters with nodes.
        patterns: of the leaves to open; their keys.

    Returns:
        The tree.

    Raises:
        ValueError: when a pattern matches no leaf.

    Example:
        >>> grid = Quantized(jnp.array([0, 2], jnp.int8), jnp.array([0.5]))
        >>> open_grids({"a": Masked(grid, jnp.ones(2, bool))}, {"a": 0})["a"].mask.tolist()
        [False, True]
    """
    unused = set(patterns)

    def at(path: str, node: Any) -> Any:
        matched = {pattern for pattern in patterns if core.matches(pattern, path, node)}
        unused.difference_update(matched)
        if isinstance(node, Masked):
            inner = at(path, node.value)
            if inner is node.value:
                return node
            return Masked(inner, jnp.asarray(node.mask) & (inner != 0))
        if isinstance(node, Quantized):
            return node.materialize() if matched else node
        if core.is_node(node):
            fields = [name for name, role in node.roles.items() if role == "value"]
            return dataclasses.replace(node, **{name: at(f"{path}/{name}", getattr(node, name)) for name in fields})
        return node

    leaves, structure = jax.tree_util.tree_flatten_with_path(tree, is_leaf=core.is_node)
    opened = jax.tree.unflatten(structure, [at(core.path_string(path), leaf) for path, leaf in leaves])
    if unused:
        raise ValueError(
            f"share: patterns {sorted(unused)} match none of {sorted(core.nodes(tree))}; mend or drop them"
        )
    return opened
