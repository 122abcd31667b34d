"""Distillation: losses and regimes of a student and a teacher, for any training loop."""

import importlib
from typing import TYPE_CHECKING, Any

from compressjax.data.images._augment import augment
from compressjax.data.images._mixup import mixup
from compressjax.distill.features._attention_transfer_loss import attention_transfer_loss
from compressjax.distill.features._contrastive import contrastive_features, crd_loss, info_nce_loss, init_contrastive
from compressjax.distill.features._factor import factor_loss, init_factor, paraphraser_loss
from compressjax.distill.features._hint_loss import hint_loss, init_hint
from compressjax.distill.features._pkt_loss import pkt_loss
from compressjax.distill.features._rkd import rkd_angle_loss, rkd_distance_loss
from compressjax.distill.features._similarity_loss import similarity_loss
from compressjax.distill.features._vid_loss import init_vid, vid_loss
from compressjax.distill.heads._from_flax import from_flax
from compressjax.distill.heads._project import init_project, project
from compressjax.distill.language._jsd_loss import jsd_loss
from compressjax.distill.language._minilm_loss import minilm_loss
from compressjax.distill.language._sample import Samples, sample, sample_steps
from compressjax.distill.language._sequence_loss import sequence_loss
from compressjax.distill.language._spans import Spans, align_spans, span_loss
from compressjax.distill.language._token_loss import token_loss
from compressjax.distill.language._transformer_layer_loss import attention_map_loss, transformer_layer_loss
from compressjax.distill.language._uld_loss import uld_loss
from compressjax.distill.logits._correct_teacher import correct_teacher
from compressjax.distill.logits._dist_loss import dist_loss
from compressjax.distill.logits._dkd_loss import dkd_loss
from compressjax.distill.logits._multilabel_loss import multilabel_loss
from compressjax.distill.logits._regression import bounded_regression_loss, regression_loss
from compressjax.distill.logits._soft_target_loss import soft_target_loss, soft_targets
from compressjax.distill.logits._teacher_free_loss import teacher_free_loss
from compressjax.distill.matching._cka import cka
from compressjax.distill.matching._layer_attention import init_layer_attention, layer_attention_loss
from compressjax.distill.matching._match_layers import even_layers, match_layers
from compressjax.distill.regimes._assistants import assistants, fit_sizes
from compressjax.distill.regimes._assistants_from import Assistant, assistants_from
from compressjax.distill.regimes._chain_of import chain_of, generations
from compressjax.distill.regimes._ensemble_targets import ensemble_targets
from compressjax.distill.regimes._mutual_losses import mutual_losses
from compressjax.distill.regimes._nt_xent_loss import nt_xent_loss
from compressjax.distill.regimes._pseudo_labels import PseudoLabels, balanced_rows, pseudo_label_loss, pseudo_labels
from compressjax.distill.regimes._replacements import replacements, run_replaced
from compressjax.distill.regimes._stochastic_depth import layer_gates, survival_rates
from compressjax.distill.regimes._take_layers import take_layers
from compressjax.distill.store._sparse_target_loss import sparse_target_loss
from compressjax.distill.store._teacher_store import Targets, TeacherStore, open_teacher
from compressjax.distill.store._write_teacher import write_teacher
from compressjax.distill.weighing._balance import Balance, balance, init_balance, init_uncertainty, uncertainty_loss
from compressjax.distill.weighing._cosine_schedule import cosine_schedule
from compressjax.interpret import taps

if TYPE_CHECKING:
    from compressjax.distill.heads._nnx_with_heads import NNXWithHeads
    from compressjax.distill.heads._with_heads import WithHeads

__all__ = [
    "Assistant", "Balance", "NNXWithHeads", "PseudoLabels", "Samples", "Spans", "Targets", "TeacherStore", "WithHeads",
    "align_spans", "assistants", "assistants_from", "attention_map_loss", "attention_transfer_loss", "augment",
    "balance", "balanced_rows", "bounded_regression_loss", "chain_of", "cka", "contrastive_features", "correct_teacher",
    "cosine_schedule", "crd_loss", "dist_loss", "dkd_loss", "ensemble_targets", "even_layers", "factor_loss",
    "fit_sizes", "from_flax", "generations", "hint_loss", "info_nce_loss", "init_balance", "init_contrastive",
    "init_factor", "init_hint", "init_layer_attention", "init_project", "init_uncertainty", "init_vid", "jsd_loss",
    "layer_attention_loss", "layer_gates", "match_layers", "minilm_loss", "mixup", "multilabel_loss", "mutual_losses",
    "nt_xent_loss", "open_teacher", "paraphraser_loss", "pkt_loss", "project", "pseudo_label_loss", "pseudo_labels",
    "regression_loss", "replacements", "rkd_angle_loss", "rkd_distance_loss", "run_replaced", "sample", "sample_steps",
    "sequence_loss", "similarity_loss", "soft_target_loss", "soft_targets", "span_loss", "sparse_target_loss",
    "survival_rates", "take_layers", "taps", "teacher_free_loss", "token_loss", "transformer_layer_loss", "uld_loss",
    "uncertainty_loss", "vid_loss", "write_teacher",
]  # fmt: skip

_FLAX = {"NNXWithHeads": "_nnx_with_heads", "WithHeads": "_with_heads"}  # imported on first use: Flax takes a second


def __getattr__(name: str) -> Any:
    if name in _FLAX:
        return getattr(importlib.import_module(f"compressjax.distill.heads.{_FLAX[name]}"), name)
    raise AttributeError(f"compressjax.distill has no {name!r}")
