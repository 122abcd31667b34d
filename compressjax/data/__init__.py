"""Reduction of data: reducers that read batches, merge over devices and hosts, and fold into a model."""

from compressjax.data._affine import Affine, fold
from compressjax.data._estimator import Estimator, as_estimator
from compressjax.data._fit import all_merged, fit, gathered
from compressjax.data._reducer import Fitted, Reads, Reducer
from compressjax.data._saved import as_tree, from_tree
from compressjax.data.cleaning._denoise import denoising_pca, median_filter
from compressjax.data.cleaning._duplicates import find_duplicates
from compressjax.data.cleaning._impute import Fill, impute
from compressjax.data.cleaning._isolation import Isolation, isolation_forest
from compressjax.data.cleaning._iterative import Regressions, impute_iterative
from compressjax.data.cleaning._labels import cross_validated, find_label_errors
from compressjax.data.cleaning._missing import find_missing
from compressjax.data.cleaning._near_duplicates import find_near_duplicates
from compressjax.data.cleaning._outliers import find_outliers
from compressjax.data.cleaning._report import Finding, Report, clean
from compressjax.data.condensation._coreset import Coreset, herding, k_center
from compressjax.data.condensation._gradient_matching import Condensed, condense, gradient_distance
from compressjax.data.decomposition._autoencoder import Autoencoder, autoencoder
from compressjax.data.decomposition._cca import Canonical, cca
from compressjax.data.decomposition._components import Components
from compressjax.data.decomposition._factorization_machine import FactorizationMachine, factorization_machine
from compressjax.data.decomposition._frequent_directions import Directions, frequent_directions
from compressjax.data.decomposition._matrices import EVD, SVD, evd, randomized_svd, svd
from compressjax.data.decomposition._nmf import Parts, PoissonParts, nmf, online_nmf
from compressjax.data.decomposition._nmf_of import Factorized, nmf_of
from compressjax.data.decomposition._pca import pca
from compressjax.data.decomposition._random_features import (
    KernelComponents,
    RandomFeatures,
    kernel_pca,
    random_features,
)
from compressjax.data.decomposition._random_projection import Projection, random_projection
from compressjax.data.decomposition._randomized import randomized_pca, truncated_svd
from compressjax.data.decomposition._recommender import Recommender, als
from compressjax.data.decomposition._robust_pca import Separated, robust_pca
from compressjax.data.decomposition._sparse_pca import SparseComponents, sparse_pca
from compressjax.data.decomposition._triangular import incremental_pca, svd_pca
from compressjax.data.decomposition._whitening import Whitening, whitening
from compressjax.data.images._augment import augment
from compressjax.data.images._crop import random_resized_crop
from compressjax.data.images._erase import random_erasing
from compressjax.data.images._gray import to_gray
from compressjax.data.images._mixup import mixup
from compressjax.data.images._resize import resize
from compressjax.data.scaling._min_max import min_max_scaler
from compressjax.data.scaling._quantile import Ranks, quantile_scaler
from compressjax.data.scaling._robust import median_scaler, robust_scaler
from compressjax.data.scaling._scaling import Scaling
from compressjax.data.scaling._standard import standard_scaler
from compressjax.data.selection._anova import select_anova
from compressjax.data.selection._chi2 import select_chi2
from compressjax.data.selection._distance_correlation import select_distance_correlation
from compressjax.data.selection._gradient import select_gradient
from compressjax.data.selection._information import select_information
from compressjax.data.selection._lasso import select_lasso
from compressjax.data.selection._mrmr import select_mrmr
from compressjax.data.selection._mutual_information import select_mutual_information
from compressjax.data.selection._pearson import select_pearson
from compressjax.data.selection._permutation import Importance, permutation_importance
from compressjax.data.selection._recursive import eliminate, select_recursive
from compressjax.data.selection._selected import Selected, select_by
from compressjax.data.selection._spearman import select_spearman
from compressjax.data.selection._stability import select_stable
from compressjax.data.selection._variance import select_variance
from compressjax.data.selection.gates._concrete import concrete_selector
from compressjax.data.selection.gates._gates import Gates
from compressjax.data.selection.gates._hard_concrete import hard_concrete_gates
from compressjax.data.selection.gates._stochastic import stochastic_gates
from compressjax.data.sources._examples import example_batches
from compressjax.data.sources._process import merge_processes, process_part
from compressjax.data.sources._spark import fit_spark
from compressjax.data.sources._tables import Batches, arrow_batches, csv_batches, parquet_batches
from compressjax.data.sparse._convolutional import Filters, convolutional_dictionary
from compressjax.data.sparse._dictionary import Dictionary, dictionary_learning, online_dictionary
from compressjax.data.sparse._fista import fista, ista
from compressjax.data.sparse._ksvd import Pursuit, ksvd
from compressjax.data.sparse._lasso import Linear, LinearPath, lasso, lasso_path
from compressjax.data.sparse._omp import omp

__all__ = [
    "EVD",
    "SVD",
    "Affine",
    "Autoencoder",
    "Batches",
    "Canonical",
    "Components",
    "Condensed",
    "Coreset",
    "Dictionary",
    "Directions",
    "Estimator",
    "FactorizationMachine",
    "Factorized",
    "Fill",
    "Filters",
    "Finding",
    "Fitted",
    "Gates",
    "Importance",
    "Isolation",
    "KernelComponents",
    "Linear",
    "LinearPath",
    "Parts",
    "PoissonParts",
    "Projection",
    "Pursuit",
    "RandomFeatures",
    "Ranks",
    "Reads",
    "Recommender",
    "Reducer",
    "Regressions",
    "Report",
    "Scaling",
    "Selected",
    "Separated",
    "SparseComponents",
    "Whitening",
    "all_merged",
    "als",
    "arrow_batches",
    "as_estimator",
    "as_tree",
    "augment",
    "autoencoder",
    "cca",
    "clean",
    "concrete_selector",
    "condense",
    "convolutional_dictionary",
    "cross_validated",
    "csv_batches",
    "denoising_pca",
    "dictionary_learning",
    "eliminate",
    "evd",
    "example_batches",
    "factorization_machine",
    "find_duplicates",
    "find_label_errors",
    "find_missing",
    "find_near_duplicates",
    "find_outliers",
    "fista",
    "fit",
    "fit_spark",
    "fold",
    "frequent_directions",
    "from_tree",
    "gathered",
    "gradient_distance",
    "hard_concrete_gates",
    "herding",
    "impute",
    "impute_iterative",
    "incremental_pca",
    "isolation_forest",
    "ista",
    "k_center",
    "kernel_pca",
    "ksvd",
    "lasso",
    "lasso_path",
    "median_filter",
    "median_scaler",
    "merge_processes",
    "min_max_scaler",
    "mixup",
    "nmf",
    "nmf_of",
    "omp",
    "online_dictionary",
    "online_nmf",
    "parquet_batches",
    "pca",
    "permutation_importance",
    "process_part",
    "quantile_scaler",
    "random_erasing",
    "random_features",
    "random_projection",
    "random_resized_crop",
    "randomized_pca",
    "randomized_svd",
    "resize",
    "robust_pca",
    "robust_scaler",
    "select_anova",
    "select_by",
    "select_chi2",
    "select_distance_correlation",
    "select_gradient",
    "select_information",
    "select_lasso",
    "select_mrmr",
    "select_mutual_information",
    "select_pearson",
    "select_recursive",
    "select_spearman",
    "select_stable",
    "select_variance",
    "sparse_pca",
    "standard_scaler",
    "stochastic_gates",
    "svd",
    "svd_pca",
    "to_gray",
    "truncated_svd",
    "whitening",
]  # fmt: skip
