"""Federated averaging: clients train on rows of their own, and a server averages what they send."""

from compressjax.federated._algorithms import Algorithm, fed_adam, fed_avg, fed_prox, scaffold
from compressjax.federated._federation import Federation, federation
from compressjax.federated._messages import MessageBytes, message_bytes
from compressjax.federated._rounds import FederatedState
from compressjax.federated._split import Clients, dirichlet_split, draw_rows, sample_clients
from compressjax.federated._sums import IntegerSum, integer_sum, pairwise_masks

__all__ = [
    "Algorithm", "Clients", "FederatedState", "Federation", "IntegerSum", "MessageBytes", "dirichlet_split",
    "draw_rows", "fed_adam", "fed_avg", "fed_prox", "federation", "integer_sum", "message_bytes", "pairwise_masks",
    "sample_clients", "scaffold",
]  # fmt: skip
