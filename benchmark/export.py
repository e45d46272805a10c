"""Export a trained model for use without Textbench. Run as ``python -m benchmark.export``."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark import __version__, cli
from benchmark.serving.stored_models import StoredModel, find_model
from benchmark.support.errors import UserError

if TYPE_CHECKING:
    from benchmark.serving.saved_model import Exported


@cli.command(
    "export",
    *cli.MODEL_OPTIONS,
    cli.option("--output DIR", "new folder for the model", required=True),
)
def main(options: Namespace) -> int:
    """Write a trained model for use without Textbench: a TensorFlow SavedModel from raw texts to
    probabilities, a plain Keras file from word ids, and a README that shows how to use both.

    examples:
      python -m benchmark.export --best imdb --output my-model
      python -m benchmark.export --model-uri runs:/RUN_ID/model --output my-model
    """
    cli.check_model_options(options)
    target = Path(options.output)
    with cli.new_folder(target) as folder:
        exported = _write(find_model(options), folder)
    libraries = " and ".join(["TensorFlow", *exported.text.libraries])
    alone = "alone" if not exported.text.libraries else "(imported before it is loaded)"
    cli.say(f"{target / 'saved_model'}: raw texts to probabilities, with {libraries} {alone}")
    if exported.no_keras:
        cli.say(f"no model.keras: {exported.no_keras}")
    else:
        cli.say(
            f"{target / 'model.keras'}: word ids to probabilities, with Keras alone (raw texts cannot be: "
            "TextVectorization knows neither '<br />' nor the capitals beyond A to Z)"
        )
    cli.say(f"{target / 'README.md'}: how to use them")
    return cli.DONE


def _write(stored: StoredModel, folder: Path) -> Exported:
    """Write all files of an export into a folder."""
    from benchmark.serving.mlflow_model import NoAnswer, is_pipeline

    if is_pipeline(stored.folder):
        raise UserError(
            f"{stored.asked}: a scikit-learn pipeline cannot be a TensorFlow or Keras model; use it with "
            "python -m benchmark.predict or as MLflow's pyfunc model, or name a different one by `model` M "
            "or `model_uri` URI"
        )
    servable = stored.load()
    from benchmark.serving.saved_model import export_model, readme

    try:
        exported = export_model(stored.folder, servable, folder)
    except NoAnswer as error:
        raise UserError(f"{stored.asked}: {error}") from error
    (folder / "README.md").write_text(readme(exported, stored.facts, __version__), encoding="utf-8")
    return exported


if __name__ == "__main__":
    sys.exit(main())
