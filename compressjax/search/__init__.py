"""Search: choices for every leaf under budgets, whatever is chosen."""

from compressjax.search._choose import Choice, choose
from compressjax.search._front import front

__all__ = ["Choice", "choose", "front"]
