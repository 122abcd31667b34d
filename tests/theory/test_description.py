"""Description lengths against the size on disk and Kraft's inequality."""

import math

import numpy as np
import pytest

from compressjax import coding
from compressjax.theory import description_length


def test_a_file_is_charged_whole(tmp_path, draw):
    path = tmp_path / "model.cjx"
    coding.write(path, {"w": draw.normal(size=(5, 3)).astype(np.float32)}, metadata={"note": "counted too"})
    found = description_length(path, tried=5)
    assert found.code == 8 * path.stat().st_size
    assert found.prefix == pytest.approx(2 * math.log2(found.code))
    assert found.choice == 3
    assert found.bits == found.code + found.prefix + found.choice
    assert description_length(str(path), self_delimiting=True).bits == found.code
    # One digest for the manifest, one for the section of the leaf, and one for the whole file.
    assert description_length(path, checksums=False).code == found.code - 8 * 3 * 32
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(coding.ArtifactError):
        description_length(path)


def test_bits_have_no_checksums():
    with pytest.raises(ValueError, match="checksums=False goes with a file"):
        description_length(100.0, checksums=False)


def test_the_prior_sums_to_at_most_one():
    """All codes of n bits have 2^n names; what is left to pay is the length itself."""
    assert sum(2 ** (n - description_length(n).bits) for n in range(1, 5000)) < math.pi**2 / 6
    assert sum(2 ** (n - description_length(n).bits) for n in range(2, 5000)) < 1


@pytest.mark.parametrize(
    ("code", "tried", "message"),
    [(0, 1, "a code of 0 bits"), (math.inf, 1, "of inf bits"), (8, 0, "tried=0 must be at least 1")],
)
def test_bad_arguments(code, tried, message):
    with pytest.raises(ValueError, match=message):
        description_length(code, tried=tried)
