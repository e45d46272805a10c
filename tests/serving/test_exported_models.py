"""An exported model answers in a fresh process, without Textbench, as `predict` does."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from run_specs import make_spec
from small_modules import write_module

from benchmark.data.dataset import MappedTexts
from benchmark.models.hub import build
from benchmark.models.task import Task
from benchmark.serving.mlflow_model import Servable
from benchmark.serving.saved_model import export_model, readme
from benchmark.spec.config import ViewSettings
from benchmark.training.saving import save_servable
from benchmark.training.train import train

ULP = 2.0**-23
"""The last bit of a float32 near 1: for known and unknown batch sizes, TensorFlow may round otherwise."""

ODD = [
    "",
    "...?!",
    "<br />",
    "GOOD.<BR /><br />bad",
    "ÉTÉ ΑΣ İI\u0307 naïve 映画 🎬",
    "zzzz qqqq",
    "so\x00 good",
    "the plot was dull and the cast was superb " * 3,
    "good " * 5000,
]

LAST = {"padding": "pre", "truncation": "pre"}
MIXED = {"padding": "pre", "truncation": "post"}
CASES = {
    "avg-pool": ("sample", {}, {}),
    "avg-pool, masked": ("sample", {"mask": True, "dropout": 0.5}, LAST),
    "avg-pool, three": ("three_classes", {"mask": True}, MIXED),
    "lstm": ("sample", {"units": 3, "embedding_dim": 4}, LAST),
    "cnn, three": ("three_classes", {"filters": 3, "embedding_dim": 4}, {}),
    "transformer": ("sample", {"embedding_dim": 4, "ff_units": 4}, {}),
    "fasttext": ("sample", {"embedding_dim": 4, "buckets": 100}, MIXED),
}


pytestmark = pytest.mark.long


@dataclass
class Case:
    """What an exported model is held against, and its answers in a fresh process."""

    folder: Path
    no_keras: str
    evaluated: np.ndarray | None
    predicted: np.ndarray
    answers: dict[str, np.ndarray]


FRESH = """
import json, os, re, sys
sys.modules["benchmark"] = None  # whoever imports it fails
import numpy as np
for place in sys.argv[1:]:
    os.chdir(place)
    texts = json.loads(open("../texts.json").read())
    names = {}
    blocks = re.findall(r"```python\\n(.*?)```", open("README.md", encoding="utf-8").read(), re.DOTALL)
    exec(blocks[0], names)
    tf, model, found = names["tf"], names["model"], []
    for start in range(0, len(texts), 512):
        found.append(model.signatures["serving_default"](texts=tf.constant(texts[start : start + 512])))
    result = {name: np.concatenate([part[name].numpy() for part in found]) for name in found[0]}
    result["class_names"] = model.class_names()["class_names"].numpy()
    if len(blocks) > 1:
        result["word_ids"] = model.word_ids(tf.constant(texts))["word_ids"].numpy()
        exec(blocks[1], names)
        result["own_ids"] = np.array([names["to_ids"](text) for text in texts])
        result["keras"] = names["model"].predict(result["own_ids"], batch_size=512, verbose=0)
    result = {name: value.astype("S") if value.dtype == object else value for name, value in result.items()}
    np.savez("../answers.npz", **result)
"""


@pytest.fixture(scope="module")
def cases(sample, three_classes, tmp_path_factory):
    """Train and export every case; one fresh process answers for all."""
    datasets = {"sample": sample, "three_classes": three_classes}
    made = {}
    for name, (source, hparams, sides) in CASES.items():
        dataset, place = datasets[source], tmp_path_factory.mktemp("case")
        view = ViewSettings(vocabulary_size=500, sequence_length=12, **sides)
        model = name.partition(",")[0]
        spec = make_spec(dataset, model, kind="final", view=view, hparams=hparams, epochs=1, share=0.1)
        result = train(
            spec, dataset, compile="graph", ledger=place / "ledger.jsonl", servable=place / "servable"
        )
        assert result.status == "ok", result.error
        store = MappedTexts(dataset.folder / "test")
        texts = ODD + [store.text(row) for row in range(dataset.sizes["test"])]
        made[name] = export(place, texts, result.test_probabilities)
    place = tmp_path_factory.mktemp("case")
    module = write_module(place / "module", ["good", "bad", "the"])
    save_servable(place / "servable", build(Task(sample.class_names, 0, 0), handle=str(module)), sample, None)
    shutil.rmtree(module)
    made["hub"] = export(place, ODD, None)
    folders = [str(case.folder) for case in made.values()]
    subprocess.run([sys.executable, "-c", FRESH, *folders], check=True, timeout=300)
    for case in made.values():
        with np.load(case.folder.parent / "answers.npz") as answers:
            case.answers.update(answers)
    return made


def export(place, texts, evaluated):
    (place / "texts.json").write_text(json.dumps(texts))
    served = Servable(place / "servable")
    served.predict(["one"])  # two sizes, so that the size of a batch is unknown, as in a SavedModel
    served.predict(["one", "two"])
    (place / "out").mkdir()
    exported = export_model(place / "servable", served, place / "out")
    (place / "out" / "README.md").write_text(readme(exported, {}, "0"), encoding="utf-8")
    return Case(place / "out", exported.no_keras, evaluated, served.predict(texts), {})


@pytest.mark.parametrize("name", [*CASES, "hub"])
def test_the_saved_model_answers_as_predict_does(cases, name):
    case = cases[name]
    np.testing.assert_array_equal(case.answers["probabilities"], case.predicted)
    assert case.answers["probabilities"].dtype == np.float32
    names = [label.decode() for label in case.answers["class_names"]]
    assert names == (["tea", "coffee", "water"] if "three" in name else ["neg", "pos"])
    assert (case.folder / "classes.txt").read_text().splitlines() == names
    labels = [label.decode() for label in case.answers["label"]]
    assert labels == [names[best] for best in case.predicted.argmax(axis=1)]


@pytest.mark.parametrize("name", CASES)
def test_the_saved_model_answers_as_it_was_evaluated(cases, name):
    case = cases[name]
    found = case.answers["probabilities"][len(ODD) :]
    np.testing.assert_allclose(found, case.evaluated, rtol=0, atol=ULP)
    np.testing.assert_array_equal(found.argmax(axis=1), case.evaluated.argmax(axis=1))
    assert np.ptp(found[:, 0]) > 1e-4  # the network looks at the text


@pytest.mark.parametrize("name", CASES)
def test_the_keras_file_answers_as_predict_does(cases, name):
    case = cases[name]
    assert case.no_keras == ""
    np.testing.assert_array_equal(case.answers["own_ids"], case.answers["word_ids"])
    np.testing.assert_allclose(case.answers["keras"], case.predicted, rtol=0, atol=4 * ULP)


def test_ids_are_lines_of_the_vocabulary(cases, sample):
    case = cases["avg-pool"]
    lines = (case.folder / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
    assert lines[:2] == ["", "[UNK]"]
    assert lines[2:-1] == sample.vocabulary(ViewSettings(vocabulary_size=500))
    assert lines[-1] == ""
    bad, unknown, padding = ODD.index("GOOD.<BR /><br />bad"), ODD.index("zzzz qqqq"), ODD.index("")
    assert [lines[number] for number in case.answers["word_ids"][bad][:3]] == ["good", "bad", ""]
    assert case.answers["word_ids"][unknown].tolist() == [1, 1] + [0] * 10
    assert not case.answers["word_ids"][padding].any()


def test_what_reads_texts_by_itself_has_no_keras_file(cases):
    case = cases["hub"]
    assert "reads raw texts" in case.no_keras
    assert {path.name for path in case.folder.iterdir()} == {"saved_model", "classes.txt", "README.md"}
    assert "There is no Keras file" in (case.folder / "README.md").read_text()


def test_nothing_exported_tells_where_it_was_made(cases):
    for case in cases.values():
        for path in case.folder.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            assert str(case.folder.parent).encode() not in content
            assert b"benchmark" not in content


def test_a_wrong_export_is_found_out(cases, tmp_path):
    servable = cases["avg-pool"].folder.parent / "servable"
    served = Servable(servable)
    other = tmp_path / "other"
    shutil.copytree(servable, other)
    text = json.loads((other / "text.json").read_text())
    (other / "text.json").write_text(json.dumps({**text, "vocabulary": text["vocabulary"][::-1]}))
    (tmp_path / "out").mkdir()
    with pytest.raises(RuntimeError, match="saved_model gives other probabilities"):
        export_model(other, served, tmp_path / "out")
