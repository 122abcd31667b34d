"""The stages of the main job, one file each, in the order in which they run."""

from experiments.stages.distil import make_distil
from experiments.stages.encode import make_encode
from experiments.stages.factorise import make_factorise
from experiments.stages.prune import make_prune
from experiments.stages.qat import make_qat
from experiments.stages.share import make_share
from experiments.stages.teacher import make_teacher

STAGES = {
    "teacher": make_teacher,
    "prune": make_prune,
    "factorise": make_factorise,
    "qat": make_qat,
    "share": make_share,
    "distil": make_distil,
    "encode": make_encode,
}
