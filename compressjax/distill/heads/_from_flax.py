"""Activations that Flax modules store, in the form of `taps`."""

from typing import Any

import jax

from compressjax.core._paths import flatten_with_path, path_string


def from_flax(intermediates: Any) -> dict[str, jax.Array]:
    """Returns the activations that Flax stored as one flat dictionary, as `taps` gives them.

    - Linen: `module.apply(variables, x, capture_intermediates=True, mutable=["intermediates"])`, or values that the
      module stores by `self.sow("intermediates", name, x)`; pass `state` or `state["intermediates"]`.
    - NNX: values that the module stores by `self.sow(nnx.Intermediate, name, x)`; pass `state` of
      `out, state = nnx.capture(model, nnx.Intermediate)(x)`.

    Args:
        intermediates: Nested mapping or NNX state of arrays and tuples of arrays.

    Returns:
        `{path: array}`. Linen's name `__call__` for the output of a module is left out, except for the outermost and
            for outputs with names. The parts of a tuple are `path/0`, `path/1`. If a module was called more than once,
            later arrays are `path#1`, `path#2`.

    Raises:
        ValueError: If nothing was stored.

    Example:
        >>> import jax.numpy as jnp
        >>> from_flax({"intermediates": {"Dense_0": {"__call__": (jnp.ones(2), jnp.zeros(2))}}}).keys()
        dict_keys(['Dense_0', 'Dense_0#1'])
        >>> from_flax({"LSTMCell_0": {"__call__": ((jnp.ones(2), jnp.zeros(2)),)}}).keys()
        dict_keys(['LSTMCell_0/0', 'LSTMCell_0/1'])
    """
    if hasattr(intermediates, "keys") and list(intermediates.keys()) == ["intermediates"]:
        intermediates = intermediates["intermediates"]
    found: dict[str, jax.Array] = {}
    for path, x in flatten_with_path(intermediates)[0]:
        # Keys of modules and a name, then the number of the call, then the place in what was stored.
        places = [i for i, key in enumerate(path) if _numbered(key)]
        end = places[0] if places else len(path)
        owner, inner = list(path[:end]), path[end + 1 :]
        if len(owner) > 1 and path_string((owner[-1],)) == "__call__" and (not inner or _numbered(inner[0])):
            owner.pop()
        name, call = path_string((*owner, *inner)), path[end].idx if places else 0
        found[f"{name}#{call}" if call else name] = x
    if not found:
        raise ValueError(
            "from_flax: nothing was stored; call Linen's apply with capture_intermediates=True and "
            "mutable=['intermediates'], or sow values and pass the state of nnx.capture(model, nnx.Intermediate)(x)"
        )
    return found


def _numbered(key: Any) -> bool:
    return isinstance(key, jax.tree_util.SequenceKey)
