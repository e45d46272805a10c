"""Every name that Textbench gives to something in MLflow, defined once."""

from __future__ import annotations

PREFIX = "benchmark."

KIND = PREFIX + "kind"
MODEL = PREFIX + "model"
DATASET = PREFIX + "dataset"
DATASET_DIGEST = PREFIX + "dataset_digest"
FOLD = PREFIX + "fold"
"""Which fold its data are, as ``3 of 10``; absent where a data set is not divided into folds."""
FOLDS_DIGEST = PREFIX + "folds_digest"
"""Digest of the data of all folds together."""
TEST_DUPLICATES = PREFIX + "test_duplicates"
"""Of a sweep: test texts that also stand in train or validation, as ``123 of 25000``."""
MADE_FOR = PREFIX + "made_for"
"""Of a sweep on data far smaller than what its published default was made for: ``2413 of 25000`` texts."""
TIER = PREFIX + "tier"
PHASE = PREFIX + "phase"
STUDY = PREFIX + "study"
TRIAL = PREFIX + "trial"
SEED = PREFIX + "seed"
BUDGET = PREFIX + "budget"
STATUS = PREFIX + "status"
SPEC_ID = PREFIX + "spec_id"
METRIC = PREFIX + "metric"
"""What search and early stopping follow; accuracy where it is absent."""
CONFIG_ID = PREFIX + "config_id"
PROTOCOL = PREFIX + "protocol"
DEVICE = PREFIX + "device"
COMPILE = PREFIX + "compile"
COMPILE_FAILURES = PREFIX + "compile_failures"
"""Ways to run epochs that failed when they were measured, with their errors; absent where none did."""
DETERMINISTIC = PREFIX + "deterministic"
"""Of a network: ``on`` or ``off``; runs from before it was recorded were trained with ``on``."""
WORKERS = PREFIX + "workers"
THREADS = PREFIX + "threads"
VERSIONS = PREFIX + "versions"
SEEDS_EXPECTED = PREFIX + "seeds_expected"
SEARCH_ENDED = PREFIX + "search_ended"
"""Of a sweep: why its search has fewer trials than were asked for, as ``after 1 of 8 trials: 120 s of
training were used up``; absent or empty where it is complete."""
GIT_COMMIT = PREFIX + "git_commit"
GIT_DIRTY = PREFIX + "git_dirty"
MODEL_DIGEST = PREFIX + "model_digest"
RUN_KEY = PREFIX + "run_key"
OWNER = PREFIX + "owner"
PARENT = "mlflow.parentRunId"
USER = "mlflow.user"
SOURCE = "mlflow.source.name"
NOTE = "mlflow.note.content"
EXPERIMENT_KIND, MODEL_DEVELOPMENT = "mlflow.experimentKind", "custom_model_development"
"""Tag of an experiment, and the value with which MLflow's UI opens it on its runs, not on its traces."""

SWEEP, TRIAL_RUN, FINAL_RUN = "sweep", "trial", "final"
REPRODUCTION, PUBLISHED_RUN = "reproduction", "published"
KINDS = (SWEEP, TRIAL_RUN, FINAL_RUN, REPRODUCTION, PUBLISHED_RUN)
"""Values of `KIND`. The last two are of the command ``reproduce``; no board counts them."""

# Summaries: MLflow's table shows the last value of a metric, which for a curve is not the best one.
BEST_VAL_ACCURACY = "best_val_accuracy"
BEST_VAL_LOSS = "best_val_loss"
BEST_EPOCH = "best_epoch"
EPOCHS_RUN = "epochs_run"
TRAIN_SECONDS = "train_seconds"
EXAMPLES_PER_SECOND = "examples_per_second"
PARAMETERS = "parameters"
TEST_ACCURACY = "test_accuracy"
TEST_LOSS = "test_loss"
SUMMARIES = (
    *(BEST_VAL_ACCURACY, BEST_VAL_LOSS, BEST_EPOCH, EPOCHS_RUN, TRAIN_SECONDS),
    *(EXAMPLES_PER_SECOND, PARAMETERS, TEST_ACCURACY, TEST_LOSS),
)
"""All of these; each has the name of an attribute of `benchmark.spec.result.Result`."""
RISING = "rising"
"""1 where a run was still improving at its last epoch, and no further one was allowed."""
REFIT_TEXTS = "refit_texts"
"""On how many training and validation texts a pipeline was fitted again; absent where it was not."""
# Of the sweep.
SEARCH_TRIALS = "search_trials"
SEARCH_SECONDS = "search_seconds"

BOTH_TIERS = "default+tuned"
"""Tier of a final run when the search's winner is the published default: one run, two rows."""
NO_TIER = "superseded"
"""Tier of a final run whose configuration is no longer the winner, after a search went on."""

IMPORTED = "imported"
"""Tier, budget and protocol of a row of predictions that were made elsewhere."""
LABELS_ONLY = PREFIX + "labels_only"
"""Of such a run: ``true`` where classes were given, and no probabilities."""

PUBLISHED_TIER = "published"
"""Tier of a published configuration, which is run as it is."""

CURVES = ("loss", "accuracy", "val_loss", "val_accuracy")
"""Metrics by epoch that are drawn."""

CURVES_PNG, CONFUSION_PNG, SPEC_JSON = "curves.png", "confusion.png", "spec.json"
CLASSES_CSV = "classes.csv"
PREDICTIONS, TRACEBACK, SERVABLE = "predictions.npz", "traceback.txt", "model"
TRIALS_CSV, SEARCH_PNG, BOARD_HTML = "trials.csv", "search.png", "board.html"
"""Artifacts."""
