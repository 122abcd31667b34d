"""The stages of the main job, one file each, in the order in which they run."""

from experiments.stages.distill import make_distill
from experiments.stages.encode import make_encode
from experiments.stages.factorize import make_factorize
from experiments.stages.prune import make_prune
from experiments.stages.qat import make_qat
from experiments.stages.share import make_share
from experiments.stages.teacher import make_teacher

STAGES = {
    "teacher": make_teacher,
    "prune": make_prune,
    "factorize": make_factorize,
    "qat": make_qat,
    "share": make_share,
    "distill": make_distill,
    "encode": make_encode,
}
