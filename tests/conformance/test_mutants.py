"""Every law rejects its mutants, for the reason that they are wrong; and accepts what they were made from."""

import pathlib
import re

import pytest

from compressjax import core, testing
from tests import toys
from tests.conformance import draws, laws, mutants
from tests.conformance.methods import MethodRow


@pytest.mark.mutant
@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda m: f"law {m.law}: {m.name}")
def test_mutant_is_rejected(mutant: mutants.Mutant, tmp_path: pathlib.Path) -> None:
    with pytest.raises(testing.Broken, match=re.escape(mutant.says)):
        mutant.judge(tmp_path)


def test_every_law_has_a_mutant() -> None:
    assert {mutant.law for mutant in mutants.MUTANTS} == set(range(1, 11))


@pytest.mark.parametrize("make", [toys.mask, toys.grid, toys.factor], ids=lambda make: make.__name__)
def test_what_mutants_were_made_from_is_accepted(make, tmp_path: pathlib.Path) -> None:
    row = MethodRow("original", make)
    for law in (
        laws.assert_shape,
        laws.assert_view,
        laws.assert_projection,
        laws.assert_selection,
        laws.assert_stability,
    ):
        law(row, mutants.SPEC)
    tree = list(laws.runs(row, mutants.SPEC))[-1].tree
    testing.assert_size(tree, tmp_path)
    testing.assert_lossless(tree, tmp_path)
    assert laws.composition(MethodRow("factor", toys.factor), row, draws.Spec(), core.sequence)
