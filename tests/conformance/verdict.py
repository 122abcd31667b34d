"""What a law says when it does not hold."""

from typing import Any


class Broken(AssertionError):  # noqa: N818 - a law is broken
    """A law does not hold."""


def require(held: Any, law: str, why: str) -> None:
    """Raises `Broken` with the law's name unless `held`."""
    if not held:
        raise Broken(f"{law}: {why}")
