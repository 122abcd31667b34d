"""`taps`: run a function and return activations inside it, by the paths of its weights."""

import difflib
from collections.abc import Callable, Sequence
from typing import Any

import jax

from compressjax.core import Node, Selector, matches, nodes
from compressjax.core._paths import map_with_path, path_string
from compressjax.core._tree import is_value
from compressjax.interpret.jaxpr._trace import run
from compressjax.interpret.jaxpr._weight import Weight
from compressjax.interpret.tapping._handler import Tapped, Taps


def taps(
    fn: Callable[..., Any], *, select: Selector | Sequence[Selector], at: str = "output"
) -> Callable[..., tuple[Any, dict[str, jax.Array]]]:
    """Transforms a function so that it also returns the activations at its weights.

    .. math:: y = x W, \\quad x \\in R^{... \\times in}, \\; y \\in R^{... \\times out}

    The output is that of the product itself, before a bias or a norm; the input of the next product has all of these.
    Features are the last axes, whatever the layout of the weight; images have channels last. A lookup in an embedding
    has an output only. Arrays that the function names with `jax.ad_checkpoint.checkpoint_name` are tapped by their
    name, next to weights. In a `scan`, a tap has the iterations as leading axis.

    The function runs as it is: no module is changed, nodes run as in `lift`, and the result composes with `jit`, `grad`
    and `vmap`. Gradients flow through the taps.

    Weights in branches, in loops of unknown length, in functions with a custom derivative and in `shard_map` have no
    taps, nor have weights that the function concatenates first.

    Args:
        fn: Any JAX function with the weights in its first argument.
        select: Selects value paths of the first argument, and names: a regular expression for the whole path, a
            function `(path, leaf) -> bool`, or several of them.
        at: `"output"` or `"input"` of the products; for names, the array in both cases.

    Returns:
        Function of the same arguments that returns `(fn's result, {path: array})`. If a weight is read more than once,
            later uses are `path#1`, `path#2`, in the order of the function.

    Raises:
        ValueError: If `at` is unknown; when called, if a selector finds nothing (lists the nearest names).

    Example:
        >>> import jax.numpy as jnp
        >>> params = {"a": jnp.ones((2, 3)), "b": jnp.ones((3, 1))}
        >>> out, tapped = taps(lambda p, x: jax.nn.relu(x @ p["a"]) @ p["b"], select="a")(params, jnp.ones((4, 2)))
        >>> out.shape, {path: x.shape for path, x in tapped.items()}
        ((4, 1), {'a': (4, 3)})
    """
    if at not in ("output", "input"):
        raise ValueError(f"taps: at={at!r} must be 'output' or 'input'")
    selectors = [select] if isinstance(select, str) or callable(select) else list(select)
    if not selectors:
        raise ValueError("taps: select is empty; give a pattern such as '.*kernel'")

    def tapping(params: Any, *args: Any, **kwargs: Any) -> tuple[Any, dict[str, jax.Array]]:
        leaves = nodes(params)
        seen: dict[str, None] = {}

        def wanted(name: str) -> bool:
            seen[name] = None
            return any(matches(s, name, leaves.get(name)) for s in selectors)

        handler = Taps(wanted, at)
        tagged = map_with_path(_tag, params, is_leaf=lambda x: isinstance(x, Node | Weight))
        out = run(fn, (tagged, *args), kwargs, _mark, handler)
        found = _named(handler.records)
        for selector in selectors:
            if not any(matches(selector, key.path, leaves.get(key.path)) for key in handler.records):
                lost = [name for name in seen if matches(selector, name, leaves.get(name))]
                raise ValueError(_nothing(selector, list(seen), lost, at))
        return out, found

    return tapping


def _tag(path: Any, leaf: Any) -> Any:
    return Weight(leaf, path_string(path)) if is_value(leaf) else leaf


def _mark(path: str, leaf: Any) -> Weight | None:
    if isinstance(leaf, Weight):
        return leaf
    return Weight(leaf, "") if isinstance(leaf, Node) else None


def _named(records: Tapped) -> dict[str, jax.Array]:
    """Arrays by path, in the order of the function; later uses have a number."""
    return {f"{key.path}#{key.axes[0]}" if key.axes[0] else key.path: x for key, x in records.items()}


def _nothing(selector: Selector, known: list[str], lost: list[str], at: str) -> str:
    if lost:
        return f"taps: select={selector!r} matches {lost[:12]}, read only in branches, open loops or custom derivatives"
    if not known:
        return f"taps: select={selector!r} matches nothing: no product reads a weight, and the function names no array"
    near = difflib.get_close_matches(selector, known, 3, 0.3) if isinstance(selector, str) else []
    hint = f"the nearest are {near}" if near else f"there are {known[:12]}"
    return f"taps: select={selector!r} matches no {at} of a product and no name; {hint}"
