"""What each operation is to a policy: a product, one that keeps the type of its operands, or one that stays wide."""

PRODUCTS = frozenset(("dot_general", "conv_general_dilated", "ragged_dot", "ragged_dot_general"))

# Operations that move, choose or combine entries one by one: they run in the widest type of their operands.
FLOWS = frozenset((
    "abs", "add", "add_any", "and", "argmax", "argmin", "broadcast_in_dim", "clamp", "concatenate", "copy", "copy_p",
    "div", "dynamic_slice", "dynamic_update_slice", "eq", "expand_dims", "floor", "ceil", "gather", "ge", "gt",
    "is_finite", "le", "logistic", "lt", "max", "min", "mul", "name", "ne", "neg", "optimization_barrier", "pad",
    "pvary", "pcast", "reduce_max", "reduce_min", "reduce_window_max", "reduce_window_min", "reshape", "reshard", "rev",
    "round", "scatter", "select_n", "sharding_constraint", "sign", "slice", "sort", "split", "squeeze", "stop_gradient",
    "sub", "tanh", "top_k", "transpose",
))  # fmt: skip

# Operations that run in the type of the policy for reductions. What is in none of these sets runs in float32.
REDUCTIONS = frozenset((
    "cbrt", "cos", "cumlogsumexp", "cumprod", "cumsum", "erf", "exp", "exp2", "expm1", "integer_pow", "log", "log1p",
    "pow", "reduce_prod", "reduce_sum", "reduce_window_sum", "rsqrt", "scatter-add", "sin", "sqrt", "square",
))  # fmt: skip

# Operations that repeat operands along axes of length 1, and scalars.
REPEATS = frozenset(("add", "sub", "mul", "div", "max", "min"))
