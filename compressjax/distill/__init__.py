"""Distillation: losses of a student and a teacher, for any training loop."""

from compressjax.distill.logits._correct_teacher import correct_teacher
from compressjax.distill.logits._dist_loss import dist_loss
from compressjax.distill.logits._dkd_loss import dkd_loss
from compressjax.distill.logits._multilabel_loss import multilabel_loss
from compressjax.distill.logits._regression import bounded_regression_loss, regression_loss
from compressjax.distill.logits._soft_target_loss import soft_target_loss, soft_targets
from compressjax.distill.logits._teacher_free_loss import teacher_free_loss

__all__ = [
    "bounded_regression_loss", "correct_teacher", "dist_loss", "dkd_loss", "multilabel_loss", "regression_loss",
    "soft_target_loss", "soft_targets", "teacher_free_loss",
]  # fmt: skip
