"""Mixed precision: narrow products, wide sums, loss scaling, and small states of optimizers."""

from compressjax.precision._delayed import Delayed, delayed
from compressjax.precision._eight_bit import Adam8State, Trace8State, scale_by_adam_8bit, trace_8bit
from compressjax.precision._formats import Format, fixed_point, round_to
from compressjax.precision._loss_scale import (
    LossScaleState,
    loss_scale_state,
    loss_scaled,
    scale_of,
    scaled_value_and_grad,
)
from compressjax.precision._mixed import mixed
from compressjax.precision._policy import Policy, cast, policy
from compressjax.precision._rounding import RoundedState, stochastic_params, stochastic_state
from compressjax.precision._scaling import Scaling

__all__ = [
    "Adam8State", "Delayed", "Format", "LossScaleState", "Policy", "RoundedState", "Scaling", "Trace8State", "cast",
    "delayed", "fixed_point", "loss_scale_state", "loss_scaled", "mixed", "policy", "round_to", "scale_by_adam_8bit",
    "scale_of", "scaled_value_and_grad", "stochastic_params", "stochastic_state", "trace_8bit",
]  # fmt: skip
