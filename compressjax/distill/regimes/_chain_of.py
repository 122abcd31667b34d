"""Chains of models, each of which teaches the next."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import jax

from compressjax.core._settings import as_int
from compressjax.distill._pairs import temperature_of
from compressjax.distill.regimes._ensemble_targets import check_mean, ensemble_targets

Train = Callable[[Any, Any], Any]
Predict = Callable[[Any], Any]


def chain_of(
    train: Train,
    models: Iterable[Any],
    *,
    predict: Predict,
    teacher: Any = None,
    together: int = 1,
    mean: str = "probabilities",
    temperature: Any = 1.0,
) -> list[Any]:
    """Trains models one after another, each with the one before as its teacher.

    .. math:: m_i = train(m_i^0, v_{i-1}), \\quad v_i = predict(m_i), \\quad v_0 = \\text{the teacher's logits}

    With a teacher, assistants and a student, this is distillation with teacher assistants.

    Args:
        train: `(model, teacher) -> trained`; `teacher` is what `predict` returned, or None for the first model without
            a teacher.
        models: What `train` starts from, in order; made lazily if it is a generator.
        predict: `trained -> logits`, an array over the transfer set, or a function of inputs.
        teacher: The logits of the first teacher, as `predict` returns them; None if the first model has none.
        together: How many of the latest teachers teach together, through `ensemble_targets`: 1 is the chain; as many
            as there are is dense guidance. Predictions of earlier ones are dropped.
        mean: Of teachers that teach together, as for `ensemble_targets`.
        temperature: At which `"probabilities"` are averaged: that of the loss of `train`.

    Returns:
        What `train` returned, in order.

    Raises:
        ValueError: If there is no model, `together` is below 1, or `mean` or `temperature` does not suit
            `ensemble_targets`.

    Example:
        >>> chain_of(lambda model, teacher: model + (teacher or 0), [1, 10, 100], predict=lambda trained: trained)
        [1, 11, 111]

    Source: Mirzadeh et al., arXiv:1902.03393 (mirzadeh2020); Son et al., arXiv:2009.08825 (son2021).
    """
    together = as_int("chain_of", "together", together)
    if together < 1:
        raise ValueError(f"chain_of: together={together} must be at least 1; 1 is the latest teacher alone")
    check_mean("chain_of", mean)
    temperature = temperature_of("chain_of", temperature)
    teachers: deque[Any] = deque([] if teacher is None else [teacher], maxlen=together)
    trained: list[Any] = []
    for model in models:
        if trained:
            teachers.append(predict(trained[-1]))
        trained.append(train(model, _joined(list(teachers), mean, temperature)))
    if not trained:
        raise ValueError("chain_of: there are no models; give the assistants and the student")
    return trained


def generations(
    train: Train, init: Callable[[jax.Array], Any], key: jax.Array, count: int, *, predict: Predict, teacher: Any = None
) -> list[Any]:
    """Trains one architecture again and again, each time from new weights and with its last self as the teacher.

    .. math:: \\theta_i = train(init(\\kappa_i), v_{i-1}), \\quad v_i = predict(\\theta_i)

    These are born-again networks. `ensemble_targets` of what they predict is their ensemble.

    Args:
        train: As for `chain_of`.
        init: `key -> weights`.
        key: Random key; generation `i` gets `jax.random.fold_in(key, i)`.
        count: Number of generations, at least 1.
        predict: As for `chain_of`.
        teacher: The logits of a teacher of the first generation; None trains it on labels alone.

    Returns:
        What `train` returned, in order.

    Raises:
        ValueError: If `count` is below 1.

    Example:
        >>> found = generations(
        ...     lambda p, t: p if t is None else p + t, lambda key: 1, jax.random.key(0), 3, predict=lambda p: p
        ... )
        >>> found
        [1, 2, 3]

    Source: Furlanello et al., arXiv:1805.04770 (furlanello2018).
    """
    if as_int("generations", "count", count) < 1:
        raise ValueError(f"generations: count={count} must be at least 1")
    starts = (init(jax.random.fold_in(key, i)) for i in range(count))
    return chain_of(train, starts, predict=predict, teacher=teacher)


def _joined(teachers: list[Any], mean: str, temperature: Any) -> Any:
    """One teacher, or several as one: arrays of logits, or functions that return them."""
    if len(teachers) < 2:
        return teachers[0] if teachers else None
    if callable(teachers[0]):
        return lambda *args: ensemble_targets([each(*args) for each in teachers], mean=mean, temperature=temperature)
    return ensemble_targets(teachers, mean=mean, temperature=temperature)
