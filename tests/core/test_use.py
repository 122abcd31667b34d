"""The use of a leaf while it is prepared."""

import pytest

from compressjax.core._use import Use, current_use, used


def test_a_use_holds_inside_only():
    assert current_use() == Use(None, False, False)
    with used(Use(3)):
        with used(Use(1, integers=True)):
            assert current_use() == Use(1, False, True)
        assert current_use() == Use(3, False, False)
    with pytest.raises(KeyError), used(Use(2)):
        raise KeyError
    assert current_use() == Use()
