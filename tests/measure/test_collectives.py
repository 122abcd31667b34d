"""Bytes of collectives in the text of a program."""

import pytest

from compressjax.measure import Collective, collective_bytes, collectives, wire_bytes


def test_kinds_types_and_tuples():
    hlo = "%ag = f32[64,16]{1,0} all-gather(%x), channel_id=1\n%r = (s32[], s32[2]) all-reduce-start(%a, %b)"
    assert collective_bytes(hlo) == {"all-gather": 4096, "all-reduce": 12}
    assert collective_bytes("%a = f8e4m3fn[3]{0} all-to-all(%x)\n%b = s4[3]{0} all-to-all(%y)") == {"all-to-all": 5}
    assert collective_bytes("%a = bf16[2]{0} add(%all-reduce, %b)") == {}


def test_the_largest_comes_first():
    hlo = "%a = f32[2]{0} all-reduce(%x)\n%b = s8[9,9]{1,0} all-gather(%y)\n%c = f32[2]{0} add(%a, %a)"
    assert collectives(hlo) == (Collective("all-gather", 81), Collective("all-reduce", 8))


def test_starts_hold_their_arguments_and_ends_nothing_new():
    start = "%s = (f32[2]{0}, f32[8]{0}) all-gather-start(%x), replica_groups=[1,4]<=[4]\n"
    assert collective_bytes(start + "%d = f32[8]{0} all-gather-done(%s)") == {"all-gather": 32}
    assert wire_bytes(start) == 24
    two = "%s = ((f32[2], u8[1]), (f32[8], u8[4])) all-gather-start(%x, %y), replica_groups=[1,4]<=[4]\n"
    assert collective_bytes(two) == {"all-gather": 36}
    permute = "%p = (f32[2]{0}, f32[2]{0}, u32[], u32[]) collective-permute-start(%x), source_target_pairs={{0,1}}"
    assert collective_bytes(permute) == {"collective-permute": 8}


@pytest.mark.parametrize(
    ("kind", "sent"), [("all-reduce", 48), ("all-gather", 24), ("reduce-scatter", 96), ("all-to-all", 24)]
)
def test_rings(kind, sent):
    """Eight numbers on four devices: a ring moves a quarter in each of three steps, and twice for a sum."""
    assert wire_bytes(f"%y = f32[8]{{0}} {kind}(%x), replica_groups={{{{0,1,2,3}}}}, to_apply=%sum") == sent


def test_what_is_unknown_is_named():
    with pytest.raises(ValueError, match="the size of type 'q7x' is unknown"):
        collective_bytes("%y = q7x[8]{0} all-reduce(%x)")
    with pytest.raises(ValueError, match="has no groups of devices"):
        wire_bytes("%y = f32[8]{0} all-reduce(%x), replica_groups={}")
