"""One compression of a model out of those of its layers."""

from collections.abc import Callable, Mapping
from typing import Any

from compressjax.core import Compression, Selector, values, with_values

Layers = Mapping[str, Compression]


def joined(found: Layers, model: str) -> Compression:
    """A compression of a whole tree of parameters whose parts act on one layer each.

    .. math:: view(\\theta, s)_l = view_l(\\theta_l, s_l) \\quad \\text{for every layer } l

    Args:
        found: `{path of a layer: its compression}`; the empty path is the model itself.
        model: Name of the model, for messages.

    Returns:
        The compression; its state is `{path: state of the layer}`.

    Raises:
        ValueError: If there is no layer, or one lies inside another.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax import prune
        >>> params = {"a": {"kernel": jnp.ones((2, 2))}, "b": {"kernel": jnp.ones((2, 2))}}
        >>> half = joined({"b": prune.magnitude(0.5)}, "Net")
        >>> [int(x["kernel"].sum()) for x in half.view(params, half.init(params)).values()]
        [4, 2]
    """
    if not found:
        raise ValueError(
            f"{model} has no layer with a compression; make its layers with modules.Dense(..., compression=...) and "
            "its like, or wrap the model in modules.Compressed"
        )
    for path in found:
        inside = sorted(other for other in found if other != path and _inside(other, path))
        if inside:
            raise ValueError(
                f"the compression of {path or model!r} acts on layers that bring their own: {inside}; leave one out"
            )
    return found[""] if "" in found else _joined(dict(sorted(found.items())))


def doubled(path: str) -> ValueError:
    """What to raise where two compressions meet at one path.

    Args:
        path: Of the layer; empty for the model itself.

    Returns:
        The error.

    Example:
        >>> str(doubled("head"))
        "a wrapper and what it wraps bring a compression each, at 'head'; leave one out, or chain them"
    """
    where = path or "the top"
    return ValueError(
        f"a wrapper and what it wraps bring a compression each, at {where!r}; leave one out, or chain them"
    )


def _joined(layers: Layers) -> Compression:
    def parts(tree: Any, state: Any) -> list[tuple[str, Compression, Any, Any]]:
        return [(path, c, _at(tree, path), state[path]) for path, c in layers.items()]

    def init(params: Any) -> Any:
        return {path: c.init(_at(params, path)) for path, c in layers.items()}

    def update(state: Any, params: Any, grads: Any = None, stats: Any = None) -> Any:
        return {
            path: c.update(
                own, part, None if grads is None else _at(grads, path), None if stats is None else _below(stats, path)
            )
            for path, c, part, own in parts(params, state)
        }

    def receive(grads: Any, params: Any, state: Any) -> tuple[Any, Any]:
        after = {}
        for path, c, part, own in parts(params, state):
            received, after[path] = c.receive(_at(grads, path), part, own)
            grads = _with(grads, path, received)
        return grads, after

    def layerwise(name: str) -> Callable[[Any, Any], Any]:
        def act(tree: Any, state: Any) -> Any:
            for path, c, part, own in parts(tree, state):
                tree = _with(tree, path, getattr(c, name)(part, own))
            return tree

        return act

    def settle(tree: Any, seen: Any, state: Any) -> Any:
        for path, c, part, own in parts(tree, state):
            tree = _with(tree, path, c.settle(part, _at(seen, path), own))
        return tree

    def select(tree: Any) -> tuple[str, ...]:
        return tuple(f"{path}/{inner}" for path, c in layers.items() for inner in c.select(_at(tree, path)))

    def restrict(selector: Selector) -> Compression:
        raise ValueError(
            f"the compressions of layers cannot be restricted to {selector!r} from outside; leave the field "
            "`compression` of the other layers None"
        )

    needs = tuple(dict.fromkeys(need for c in layers.values() for need in c.needs))
    name = ", ".join(f"{path}: {c.name}" for path, c in layers.items())
    return Compression(
        init, update, layerwise("view"), layerwise("encode"), layerwise("constrain"), select, restrict, name, needs,
        receive, layerwise("project"), settle,
    )  # fmt: skip


def _inside(path: str, outer: str) -> bool:
    return not outer or path.startswith(f"{outer}/")


def _below(flat: Mapping[str, Any], path: str) -> dict[str, Any]:
    return {name.removeprefix(f"{path}/"): x for name, x in flat.items() if _inside(name, path)}


def _at(tree: Any, path: str) -> dict[str, Any]:
    """A layer's values under the paths that it knows them by; a flat dict has the value paths of a nested one."""
    return _below(values(tree), path)


def _with(tree: Any, path: str, part: Mapping[str, Any]) -> Any:
    return with_values(tree, {f"{path}/{name}": x for name, x in part.items()})
