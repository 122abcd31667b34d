"""Errors are ValueErrors, so that callers need not import it."""

import pytest

from compressjax.coding import ArtifactError, UnknownNode, loads


def test_bad_bytes_raise_a_value_error():
    with pytest.raises(ValueError, match="not a compressjax artifact") as caught:
        loads(b"PK\x03\x04 something else")
    assert type(caught.value) is ArtifactError
    assert issubclass(UnknownNode, ArtifactError)
