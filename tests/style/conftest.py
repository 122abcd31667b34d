"""Syntax trees are parsed once for all checks, and dropped after them: they are many small objects."""

from collections.abc import Iterator

import pytest

from tests.style import source


@pytest.fixture(scope="package", autouse=True)
def trees() -> Iterator[None]:
    """Drops the trees after the last check of a worker."""
    yield
    source.parsed.cache_clear()
    source.imports.cache_clear()
