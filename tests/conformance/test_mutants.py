"""Every law rejects its mutants, for the reason that they are wrong; and accepts what they were made from."""

import pathlib
import re

import pytest

from compressjax import core, testing
from tests import toys
from tests.conformance import mutants


@pytest.mark.mutant
@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda m: f"law {m.law}: {m.name}")
def test_mutant_is_rejected(mutant: mutants.Mutant, tmp_path: pathlib.Path) -> None:
    with pytest.raises(testing.Broken, match=re.escape(mutant.says)):
        mutant.judge(tmp_path)


def test_every_law_has_a_mutant() -> None:
    assert {mutant.law for mutant in mutants.MUTANTS} == set(range(1, 11))


@pytest.mark.turns(3)
@pytest.mark.parametrize("make", [toys.mask, toys.grid, toys.factor], ids=lambda make: make.__name__)
def test_what_mutants_were_made_from_is_accepted(make) -> None:
    assert "stability" in testing.check_method(make, examples=(mutants.SPEC,))
    factor, original = testing.Method("factor", toys.factor), testing.Method("original", make)
    assert testing.assert_composition(factor, original, mutants.SPEC, core.sequence)
