"""Which number format each part of a computation has."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.precision._formats import FLOATS, Format, as_format, round_to


class Policy(NamedTuple):
    """Number formats of a computation; `policy` makes it.

    Attributes:
        compute: Operands of products.
        params: Parameters between steps.
        output: Results of the function.
        reduce: Sums, exponentials, logarithms, powers and roots: softmax, norms, losses.
        gradients: What flows back into products.
    """

    compute: Format
    params: Format
    output: Format
    reduce: Format
    gradients: Format

    def cast_params(self, tree: Any) -> Any:
        """The floating arrays of a tree, as the policy stores parameters."""
        return cast(tree, self.params)


def policy(
    compute: Any = "bfloat16",
    *,
    params: Any = "float32",
    output: Any = "float32",
    reduce: Any = "float32",
    gradients: Any = None,
) -> Policy:
    """Names the formats of parameters, products, results and reductions.

    Args:
        compute: `"bfloat16"`, `"float16"`, `"fp8"` (e4m3 forward, e5m2 back), a float8 alone, or fixed point such as
            `"q4.12"`; `"float32"` changes nothing.
        params: `"float32"`, `"bfloat16"` or `"float16"`.
        output: As `params`.
        reduce: As `params`.
        gradients: Format of gradients that enter products; None for `compute`, or e5m2 with `"fp8"`.

    Returns:
        The policy, for `mixed`, `delayed`, and the wrappers of `modules`.

    Raises:
        ValueError: If a format is unknown, or has no arrays of its own where it is to be stored.

    Example:
        >>> policy("bf16").compute.name, policy("fp8").gradients.name
        ('bfloat16', 'float8_e5m2')

    Source: Micikevicius et al., arXiv:1710.03740 (micikevicius2018); fp8: arXiv:2209.05433 (micikevicius2022).
    """
    eight = isinstance(compute, str) and compute in ("fp8", "float8")
    form = FLOATS["float8_e4m3fn"] if eight else as_format("policy", compute)
    back = (FLOATS["float8_e5m2"] if eight else form) if gradients is None else as_format("policy", gradients)
    if (form.step or form.scaled) != (back.step or back.scaled) and gradients is not None and back.name != "float32":
        raise ValueError(f"policy: gradients={back.name!r} do not fit compute={form.name!r}; leave gradients out")
    stored = {}
    for name, given in (("params", params), ("output", output), ("reduce", reduce)):
        stored[name] = as_format("policy", given)
        if stored[name].scaled or stored[name].step:
            raise ValueError(f"policy: {name}={stored[name].name!r} must be float32, bfloat16 or float16")
    return Policy(form, stored["params"], stored["output"], stored["reduce"], back)


def as_policy(who: str, given: Any) -> Policy:
    """A policy from itself or from the name of its compute format."""
    if isinstance(given, Policy):
        return given
    if isinstance(given, str):
        return policy(given)
    raise ValueError(f"{who}: policy={given!r} is not a policy; pass precision.policy(...), or a name such as 'bf16'")


def cast(tree: Any, format: Any) -> Any:
    """Casts the floating arrays of a tree to a format; fixed point stays in float32.

    Args:
        tree: Any tree; integers, bools and keys stay.
        format: As for `round_to`.

    Returns:
        The tree.

    Raises:
        ValueError: If the format is not known.

    Example:
        >>> cast({"kernel": jnp.ones(2), "step": jnp.zeros((), int)}, "bf16")["kernel"].dtype.name
        'bfloat16'
    """
    form = as_format("cast", format)

    def leaf(x: Any) -> Any:
        if not is_float(x):
            return x
        exact = round_to(x, form) if form.step or form.scaled else x
        return exact.astype(form.dtype)

    return jax.tree.map(leaf, tree)


def is_float(x: Any) -> bool:
    """Whether a leaf is a floating array."""
    return hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jnp.floating)
