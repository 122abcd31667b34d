"""A fitted reducer lies in a file beside the model, jits with it, and runs in its exported program."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import artifact, data
from tests.data import laws


def test_reducer_and_model_share_a_file_and_a_program(tmp_path):
    rows = laws.digits()[:60]
    reducer = data.fit(data.pca(5), rows)
    params = {"kernel": jax.random.normal(jax.random.key(0), (5, 3))}

    def predict(tree, x):
        return data.from_tree(tree["reducer"]).transform(x) @ tree["params"]["kernel"]

    tree = {"params": params, "reducer": data.as_tree(reducer)}
    file = tmp_path / "model.cjx"
    artifact.save(file, tree, program=artifact.export(predict, tree, rows[:2]))
    loaded = artifact.load(file).tree
    back = data.from_tree(loaded)["reducer"]
    assert type(back) is data.Components
    laws.assert_close(back, reducer, 0.0)
    want = reducer.transform(rows) @ params["kernel"]
    laws.assert_close(jax.jit(predict)(loaded, rows), want)
    laws.assert_close(artifact.run(file, rows), want)


class Mine(NamedTuple):
    shift: jax.Array
    inner: data.Selected


def test_classes_of_a_user_nest_and_strangers_are_named():
    fitted = Mine(jnp.ones(2), data.Selected(jnp.array([1]), jnp.ones(2)))
    tree = [data.as_tree(fitted), {"other": np.ones(1)}]
    back = data.from_tree(tree, classes=[Mine])
    assert type(back[0]) is Mine
    assert back[0].inner.places.tolist() == [1]
    assert back[1]["other"].tolist() == [1]
    with pytest.raises(ValueError, match="'Mine' is no fitted reducer of this version; pass its class"):
        data.from_tree(tree)
    with pytest.raises(ValueError, match=r"a Selected with \['places'\] is not what this version knows"):
        data.from_tree({"fitted:Selected": {"places": 1}})
    with pytest.raises(ValueError, match="dict is no named tuple"):
        data.as_tree({})
