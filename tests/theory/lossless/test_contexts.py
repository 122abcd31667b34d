"""Contexts: numbers of the last bytes, words, rows and counters."""

import jax.numpy as jnp
import numpy as np

from compressjax.theory.lossless import _contexts


def after(text: bytes):
    hashes = jnp.zeros(4, jnp.uint32)
    for byte in text:
        hashes = _contexts.roll(hashes, jnp.asarray(byte))
    return hashes


def test_contexts_are_equal_where_the_last_bytes_are():
    one, other = (np.asarray(_contexts.contexts(after(text), 6)) for text in (b"..abcdefg", b"XXXbcdefg"))
    assert (one == other)[:7].all()
    assert not (one == other)[7:].any()  # the words differ
    third = np.asarray(_contexts.contexts(after(b"..abcdeXg"), 6))
    assert (one == third).tolist() == [True, True, *[False] * 7]
    word = np.asarray(_contexts.contexts(after(b"one The"), 6)) == np.asarray(_contexts.contexts(after(b"two the"), 6))
    assert word[7]  # the word so far, in any case
    assert not word[8]


def test_rows_lie_in_their_part_of_the_table():
    found = _contexts.contexts(after(b"words"), 6)
    rows, checks = _contexts.place(found, jnp.asarray(0), 5)
    assert (np.asarray(rows) >> 5).tolist() == list(range(9))
    assert (checks >> 16 == 1).all()  # no check is 0, that of an empty row
    assert not np.array_equal(rows, _contexts.place(found, jnp.asarray(3), 5)[0])


def test_a_row_is_kept_for_its_own_context_alone():
    table = jnp.full((8, 16), _contexts.FRESH, jnp.uint32).at[2].set(jnp.arange(16, dtype=jnp.uint32))
    rows = jnp.array([2, 2])
    found = np.asarray(_contexts.fetch(table, rows, jnp.array([0, 9], jnp.uint32)))
    assert found[0].tolist() == list(range(16))
    assert found[1].tolist() == [9, *[int(_contexts.FRESH)] * 15]


def test_a_node_holds_chance_count_and_history():
    chance, seen, history = (jnp.array([x]) for x in (40000, 126, 0b10000001))
    node = _contexts.written(chance, seen, history, jnp.asarray(1), 127)
    assert [x.tolist() for x in _contexts.read(node)] == [[40000], [127], [0b10000011]]
    again = _contexts.written(chance, seen + 1, jnp.array([0b11]), jnp.asarray(0), 127)
    assert [x.tolist() for x in _contexts.read(again)] == [[40000], [127], [0b110]]
    assert [int(x[0]) for x in _contexts.read(jnp.array([_contexts.FRESH]))] == [32768, 0, 1]
