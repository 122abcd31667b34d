"""Atoms against the definition: a position of a merged axis is removed if either factor is."""

import itertools

import numpy as np

from compressjax.interpret.coupling._atoms import Atoms


def cut(atoms, vector, gone):
    """Positions of an axis that are removed with some atoms."""
    return [not gone.isdisjoint(atoms.resolve(a)) for a in vector]


def test_a_split_axis_is_cut_in_rectangles():
    atoms = Atoms()
    flat = atoms.fresh(6)
    heads, inner = atoms.split(flat, 2)
    for h, d in itertools.product(range(3), range(4)):
        gone = {atoms.resolve(heads[i])[0] for i in range(h) if i < 2} | {atoms.resolve(inner[j])[0] for j in range(d)}
        table = np.logical_or.outer(cut(atoms, heads, gone), cut(atoms, inner, gone))
        assert cut(atoms, flat, gone) == table.reshape(-1).tolist()


def test_a_merged_axis_splits_back_into_its_factors():
    atoms = Atoms()
    a, b = atoms.fresh(2), atoms.fresh(3)
    left, right = atoms.split(atoms.merge([a, b]), 2)
    assert [atoms.resolve(x) for x in left] == [atoms.resolve(x) for x in a]
    assert [atoms.resolve(x) for x in right] == [atoms.resolve(x) for x in b]


def test_void_axes_vanish_in_products_and_freeze_what_they_meet():
    atoms = Atoms()
    a, stay = atoms.fresh(3), atoms.void("data", 2)
    assert [atoms.resolve(x) for x in atoms.merge([stay, a])] == [atoms.resolve(x) for x in a] * 2
    b = atoms.fresh(2)
    atoms.unify(b, stay)
    assert atoms.reason(b[0]) == "data"
    assert atoms.reason(a[0]) is None


def test_reasons_follow_joins_in_both_orders():
    for first, second in ((0, 1), (1, 0)):
        atoms = Atoms()
        axes = atoms.fresh(2), atoms.fresh(2)
        atoms.freeze(axes[0], "why")
        atoms.unify(axes[first], axes[second])
        assert atoms.reason(axes[1][1]) == "why"


def test_a_frozen_axis_that_splits_freezes_its_factors():
    atoms = Atoms()
    flat = atoms.fresh(6)
    atoms.freeze(flat, "why")
    heads, inner = atoms.split(flat, 2)
    assert {atoms.reason(x) for x in (*heads, *inner)} == {"why"}


def test_grouped_heads_bind_to_group_and_repeat():
    atoms = Atoms()
    group, repeat, heads = atoms.fresh(2), atoms.fresh(2), atoms.fresh(4)
    atoms.unify(heads, atoms.merge([group, repeat]))
    assert cut(atoms, heads, {atoms.resolve(group[0])[0]}) == [True, True, False, False]
    assert cut(atoms, heads, {atoms.resolve(repeat[0])[0]}) == [True, False, True, False]


def test_axes_split_across_each_other_go_whole_or_not_at_all():
    atoms = Atoms()
    a, b = atoms.fresh(2), atoms.fresh(6)
    left, right = atoms.split(atoms.merge([a, b]), 3)
    for axis in (a, left):
        assert len({atoms.resolve(x) for x in axis}) == 1
    assert len({atoms.resolve(x) for x in right}) < 4


def test_families_follow_joins():
    atoms = Atoms()
    a, b, c = atoms.fresh(2), atoms.fresh(2), atoms.fresh(2)
    atoms.unify(a, b)
    assert atoms.family(a[1]) == atoms.family(b[0]) != atoms.family(c[0])


def test_copies_of_one_axis_split_into_it():
    atoms = Atoms()
    a = atoms.fresh(3)
    left, right = atoms.split(np.repeat(a, 2), 3)
    assert [atoms.resolve(x) for x in left] == [atoms.resolve(x) for x in a]
    assert atoms.stays(right)
    assert not atoms.stays(left)
