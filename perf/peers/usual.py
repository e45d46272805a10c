"""The usual script: Optuna, and in each trial `TextVectorization`, `fit` and MLflow's Keras callback."""

from __future__ import annotations

import mlflow
import optuna
from task import Configuration, Work, train


def main() -> None:
    """Try every configuration in one process."""
    work = Work()
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment("peers")

    def objective(trial: optuna.Trial) -> float:
        drawn = {name: trial.suggest_float(name, low, high) for name, (low, high) in work.ranges.items()}
        configuration = Configuration.of(drawn)
        with mlflow.start_run():
            mlflow.log_params(drawn)
            curve = train(configuration, work, [mlflow.keras.MlflowCallback()])
            mlflow.log_metric("best_val_accuracy", max(curve))
        work.done(trial.number, curve)
        return max(curve)

    study = optuna.create_study(direction="maximize", storage="sqlite:///optuna.db")
    for configuration in work.configurations:
        study.enqueue_trial(configuration)
    study.optimize(objective, n_trials=len(work.configurations))


if __name__ == "__main__":
    main()
