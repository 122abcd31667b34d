"""Modules of a teacher that are replaced by those of a student, more and more of them."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int
from compressjax.distill._pairs import fraction

Module = Callable[[Any], Any]


def replacements(key: jax.Array, count: int, rate: Any) -> jax.Array:
    """Draws which modules of a teacher the student's take the place of in this step.

    .. math:: r_i \\sim Bernoulli(p)

    Start at `p = 0.5` or so, let it grow to 1 (`optax.linear_schedule(0.5, 1.0, steps)`), and train the student alone
    for the last epochs.

    Args:
        key: Random key of the step.
        count: Number of modules.
        rate: `p`, in [0, 1]; may be traced.

    Returns:
        `[count]`, bool.

    Raises:
        ValueError: If the rate is out of range, or the count below 1.

    Example:
        >>> replacements(jax.random.key(0), 3, 1.0).tolist()
        [True, True, True]

    Source: Xu et al., arXiv:2002.02925 (xu2020).
    """
    who = "replacements"
    if as_int(who, "count", count) < 1:
        raise ValueError(f"{who}: count={count} must be at least 1")
    return jax.random.bernoulli(key, fraction(who, "rate", rate, "1 is the student alone"), (count,))


def run_replaced(replaced: jax.Array, teacher: Sequence[Module], student: Sequence[Module], x: Any) -> Any:
    """Runs a chain of modules, each as the teacher or as the student has it.

    .. math:: h_{i+1} = \\begin{cases} s_i(h_i) & r_i \\\\ t_i(h_i) & \\text{otherwise} \\end{cases}

    The student's modules learn from the loss of the task through frozen modules of the teacher; there is no other loss.
    Only the module that was chosen is run (`jax.lax.cond`).

    Args:
        replaced: `[modules]`, bool, from `replacements`.
        teacher: Functions `hidden -> hidden`, such as several layers each, closed over frozen weights.
        student: As many, such as one layer each, closed over the weights that are trained. Results must have the shapes
            and types of the teacher's.
        x: The input of the first module.

    Returns:
        The output of the last module.

    Raises:
        ValueError: If the numbers differ.

    Example:
        >>> add, double = lambda x: x + 1, lambda x: 2 * x
        >>> run_replaced(jnp.array([False, True]), [add, add], [double, double], jnp.array(3)).item()
        8

    Source: Xu et al., arXiv:2002.02925 (xu2020).
    """
    if not len(teacher) == len(student) == len(replaced):
        raise ValueError(f"run_replaced: {len(teacher)} modules of the teacher, {len(student)} of the student and "
                         f"{len(replaced)} draws; their numbers must agree")  # fmt: skip
    for chosen, its, own in zip(jnp.asarray(replaced), teacher, student, strict=True):
        x = jax.lax.cond(chosen, own, its, x)
    return x
