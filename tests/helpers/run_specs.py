"""Small run specs for tests of training."""

from benchmark.spec.config import RunSpec, TrainSettings, ViewSettings, seed_bundle


def make_spec(
    dataset, model="avg-pool", *, kind="trial", seed=0, share=1.0, view=None, hparams=None, **training
):
    return RunSpec(
        model=model,
        dataset=dataset.name,
        dataset_digest=dataset.digest,
        kind=kind,
        view=view or ViewSettings(vocabulary_size=2000, sequence_length=32),
        training=TrainSettings(**{"batch_size": 128, "epochs": 3, "learning_rate": 0.01, **training}),
        hparams=hparams or {},
        seeds=seed_bundle(0, "search", seed),
        train_share=share,
    )


def pipeline_spec(dataset, model, *, kind="final", seed=0, examples=None, **hparams):
    return RunSpec(
        model=model,
        dataset=dataset.name,
        dataset_digest=dataset.digest,
        kind=kind,
        view=None,
        training=None,
        hparams=hparams,
        seeds=seed_bundle(0, "final", seed),
        train_examples=examples,
    )
