"""What is not installed is named with its extra."""

import pytest

from compressjax.data.sources._optional import optional


def test_the_extra_is_named():
    assert optional("math", "data").pi > 3
    with pytest.raises(ImportError, match=r"nowhere is not installed; .* pip install 'compressjax\[spark\]'"):
        optional("nowhere.at.all", "spark")
