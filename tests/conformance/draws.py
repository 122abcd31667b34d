"""Drawn examples of parameter trees."""

from hypothesis import strategies as st

from compressjax.testing import Example
from compressjax.testing._method import KINDS

# Pairs of a set of shapes and a dtype: every dtype, every rank, and few programs to compile.
VARIANTS = ((1, "float32"), (0, "bfloat16"), (0, "float16"))


def specs(variants: tuple[tuple[int, str], ...] = VARIANTS) -> st.SearchStrategy[Example]:
    """Strategy of examples, which print as the call that makes them.

    Args:
        variants: Set of shapes and dtype, to draw from.

    Returns:
        The strategy.
    """
    return st.builds(
        lambda variant, kind, seed: Example(*variant, kind, seed),
        st.sampled_from(variants), st.sampled_from(KINDS), st.integers(0, 1000),
    )  # fmt: skip
