"""Encoder: tiny presets of several architectures, frozen or trained, from raw texts to a served model."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pretrained import check_session
from processes import of_kind, runs
from tiny_encoders import needs_keras_hub, with_preset, write_hugging_face

from benchmark import export, sweep
from benchmark.data.cache import cache_root
from benchmark.models.source_description import describe
from benchmark.models.task import Task
from benchmark.plan.space import find_space, load_space
from benchmark.spec.config import TRAIN_KEYS, RunSpec, TrainSettings, seed_bundle
from benchmark.support.errors import MissingResource, UserError
from benchmark.tracking import names
from benchmark.vectors import presets

KINDS = ("bert", "distil_bert", "roberta")
TASK = Task(("neg", "pos"), 0, 0)
TEXTS = ["tea tea a great film", "", "coffee unheard-of é", "dull"]


@pytest.fixture(scope="session")
def run(three_classes, tiny_preset, tmp_path_factory):
    """``run(kind, train=…, seed=…)`` gives the result of a final run and its model's folder."""

    def run(kind="bert", *, train="head", seed=0, epochs=4, rate=0.05, **more):
        from benchmark.training.network import release
        from benchmark.training.train import train as train_run

        release()
        hparams = {"preset": tiny_preset(kind), "sequence_length": 16, "train": train, "top_layers": 1}
        spec = RunSpec(
            model="encoder",
            dataset=three_classes.name,
            dataset_digest=three_classes.digest,
            kind="final",
            view=None,
            training=TrainSettings(batch_size=24, learning_rate=rate, epochs=epochs, **more),
            hparams={**hparams, "pooling": "average", "dropout": 0.0},
            seeds=seed_bundle(0, "search", seed),
        )
        folder = tmp_path_factory.mktemp("run")
        result = train_run(spec, three_classes, ledger=folder / "ledger.jsonl", servable=folder / "served")
        assert (result.status, result.error) == ("ok", "")
        return result, folder / "served"

    return run


SERVED = """
import json, sys
from pathlib import Path
from benchmark.serving.mlflow_model import Servable
served = Servable(Path(sys.argv[1]))
texts = json.loads(Path(sys.argv[2]).read_text())
odd = served.predict(["", "no such words", "\\ud800", "caf\\xe9 \\u6620\\u753b"])
assert "keras_hub" not in sys.modules
print(json.dumps([served.predict(texts).tolist(), odd.tolist()]))
"""


@needs_keras_hub
@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("train", ["head", "all"])
def test_served_without_its_preset_and_keras_hub_it_gives_the_same_answers(
    run, three_classes, kind, train, tmp_path, run_python
):
    from benchmark.data.dataset import MappedTexts

    result, folder = run(kind, train=train, rate=0.05 if train == "head" else 0.005, epochs=2)
    texts = MappedTexts(three_classes.folder / "test").texts(np.arange(three_classes.sizes["test"]))
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    served, odd = json.loads(run_python(SERVED, folder, tmp_path / "texts.json").splitlines()[-1])
    np.testing.assert_allclose(np.array(served), result.test_probabilities, atol=1e-5)
    assert np.isfinite(odd).all()


@needs_keras_hub
def test_a_frozen_encoder_is_asked_once_whatever_the_seed_and_the_head(run, monkeypatch):
    from benchmark.training.kept_inputs import Reads

    first, _ = run(seed=0)
    monkeypatch.setattr(Reads, "_compute", lambda *rest: pytest.fail("texts are encoded again"))
    second, _ = run(seed=1)
    assert second.test_accuracy == pytest.approx(first.test_accuracy, abs=0.2)
    assert second.history["loss"] != first.history["loss"]
    again, _ = run(seed=0)
    assert again.history["loss"] == first.history["loss"]
    np.testing.assert_array_equal(again.test_probabilities, first.test_probabilities)


@needs_keras_hub
def test_what_was_done_before_a_kill_and_what_is_damaged_is_noticed(three_classes, tiny_preset, monkeypatch):
    from benchmark.models.encoder import build
    from benchmark.training import kept_inputs

    reads, _ = kept_inputs.cut(build(TASK, preset=tiny_preset("bert"), sequence_length=12, train="head"))
    texts = three_classes.view("train", None).texts()[:40]
    monkeypatch.setattr(kept_inputs, "_PART", 16)
    asked, computed = [], kept_inputs.Reads.forward

    def counting(self):
        forward = computed(self)
        return lambda given: asked.append(len(given)) or forward(given)

    monkeypatch.setattr(kept_inputs.Reads, "forward", counting)
    root = cache_root() / "encoded"
    before = {*root.glob("*")}
    whole = reads.of(three_classes, texts)
    (folder,) = {*root.glob("*")} - before
    assert len(list(folder.glob("[0-9]*"))) == 3
    np.testing.assert_allclose(whole, computed(reads)(texts), atol=1e-5)
    part = folder / "2" / "values.npy"
    part.write_bytes(part.read_bytes()[:-1] + b"\7")
    kept_inputs._opened.clear()
    asked.clear()
    np.testing.assert_allclose(reads.of(three_classes, texts), whole, atol=1e-5)
    assert sum(asked[1:]) == 16


@needs_keras_hub
@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing(tiny_preset, kind):
    import tensorflow as tf

    from benchmark.models.encoder import build

    model = build(TASK, preset=tiny_preset(kind), sequence_length=20, dropout=0.0)
    together = model(tf.constant(TEXTS)).numpy()
    alone = np.concatenate([model(tf.constant([text])).numpy() for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert len(set(together.ravel().round(5))) == len(TEXTS)


@needs_keras_hub
@pytest.mark.parametrize(("train", "changed"), [("head", set()), ("top_n", {1}), ("all", {0, 1})])
def test_what_is_trained(tiny_preset, train, changed):
    import keras

    from benchmark.models.encoder import build
    from benchmark.vectors.presets import layers_of

    model = build(TASK, preset=tiny_preset("bert"), sequence_length=20, train=train, top_layers=1)
    encoder = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    blocks = layers_of(encoder)
    assert {number for number, block in enumerate(blocks) if block.trainable_variables} == changed
    assert bool(encoder.layers[1].trainable_variables) == (train == "all")


@needs_keras_hub
@pytest.mark.parametrize("kind", ["bert", "distil_bert", "roberta", "hugging face"])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["sequence_length=65"], "sequence_length 65: expected 3 to 64, the tokens that preset {} reads"),
        (["sequence_length=2"], "sequence_length 2: expected 3 to 64, the tokens that preset {} reads"),
        (["train=top_n", "top_layers=3"], "top_layers 3: expected 1 to 2, the blocks of preset {}"),
        (["train=top_n", "top_layers=0"], "top_layers 0: expected 1 to 2, the blocks of preset {}"),
    ],
)
def test_what_a_preset_does_not_have_is_found_before_anything_starts(
    tiny_preset, tmp_path, capsys, kind, settings, message
):
    preset = tiny_preset(kind) if kind != "hugging face" else str(write_hugging_face(tmp_path / "hf"))
    options = ["--model", "encoder", "--dataset", "sample", "--budget", "smoke", "--set", f"preset={preset}"]
    given = [word for setting in ["sequence_length=16", *settings] for word in ("--set", setting)]
    assert sweep.main([*options, *given]) == 2
    if kind == "hugging face":
        message = message.replace("64", "32").replace("1 to 2", "1 to 1")
    assert capsys.readouterr().err == f"error: {message.format(repr(preset))}\n"
    assert not Path("mlruns/mlflow.db").exists()


@needs_keras_hub
def test_a_search_may_not_ask_for_more_than_a_preset_has(tiny_preset, tmp_path, capsys):
    space = find_space("encoder").read_text()
    for given, searched in (
        ("sequence_length: {type: int, low: 16, high: 80}", "sequence_length 80: expected 3 to 64"),
        ("top_layers: {type: int, low: 1, high: 3}", "top_layers 3: expected 1 to 2"),
    ):
        (tmp_path / "space.yaml").write_text(
            space.replace("sequence_length: 128", "sequence_length: 16")
            .replace("train: all", "train: top_n")
            .replace("search:\n", f"search:\n  {given}\n")
        )
        options = ["--dataset", "sample", "--space", "space.yaml", "--set", f"preset={tiny_preset('bert')}"]
        assert sweep.main(["--model", "encoder", *options]) == 2
        assert capsys.readouterr().err.startswith(f"error: {searched}")


@needs_keras_hub
def test_positions_of_roberta_in_hugging_faces_layout(tmp_path):
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "roberta", "max_position_embeddings": 514, "num_hidden_layers": 12})
    )
    asked = {"preset": [str(tmp_path)], "sequence_length": {512}, "train": {"all"}, "top_layers": {20}}
    presets.check_sizes(asked)
    with pytest.raises(UserError, match="sequence_length 513: expected 3 to 512"):
        presets.check_sizes({**asked, "sequence_length": {512, 513}})


@needs_keras_hub
@pytest.mark.parametrize("name", ["sentencepiece.bpe.model", "assets/tokenizer/vocabulary.spm"])
def test_tokens_of_sentence_piece_are_refused_before_anything_starts(tmp_path, capsys, name):
    folder = write_hugging_face(tmp_path / "hf")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"pieces")
    presets.identify(str(folder))  # its vocabulary is WordPiece's
    (folder / "vocab.txt").unlink()
    options = ["--dataset", "sample", "--budget", "smoke", "--set", f"preset={folder}"]
    assert sweep.main(["--model", "encoder-head", *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: encoder-head: preset '{folder}': its tokens are SentencePiece's ({name})")
    assert said.count("\n") == 1
    assert not Path("mlruns/mlflow.db").exists()


@needs_keras_hub
def test_hugging_faces_layout(tmp_path):
    import tensorflow as tf

    from benchmark.models.encoder import build

    folder = write_hugging_face(tmp_path / "hf")
    model = build(TASK, preset=str(folder), sequence_length=16, pooling="average")
    assert np.isfinite(model(tf.constant(TEXTS)).numpy()).all()


@needs_keras_hub
def test_the_digest_is_of_what_makes_the_preset(tmp_path):
    folder = write_hugging_face(tmp_path / "hf")
    digest = presets.identify(str(folder)).digest
    (folder / "README.md").write_text("about")
    assert presets.identify(str(folder)).digest == digest
    (folder / "vocab.txt").write_text((folder / "vocab.txt").read_text() + "more\n")
    assert presets.identify(str(folder)).digest != digest


@needs_keras_hub
@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "gpt2"}, "is a 'gpt2', which is not supported in this layout"),
        ({"registered_name": "keras_hub>GPT2Backbone"}, "is a 'GPT2'"),
        ([], "cannot be read"),
    ],
)
def test_what_is_not_an_encoder(tmp_path, config, message):
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=message):
        presets.identify(str(tmp_path))


@needs_keras_hub
@pytest.mark.parametrize("name", ["tokenizer_config.json", "vocab.txt", "model.safetensors"])
@pytest.mark.parametrize("content", [None, b"{damaged"])
def test_a_file_of_a_preset_that_is_missing_or_damaged(tmp_path, name, content):
    folder = tmp_path / "tiny"
    write_hugging_face(folder)
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)

    def load():
        presets.load_preprocessor(str(folder), 8)
        presets.load_backbone(str(folder))

    with pytest.raises(UserError, match=r"^preset '.*' cannot be loaded [(][^`]*[)]$"):
        load()


@needs_keras_hub
def test_places_where_a_preset_is_looked_for(tmp_path, monkeypatch):
    write_hugging_face(tmp_path / "vectors" / "tiny")
    monkeypatch.setenv("BENCHMARK_DATA_DIR", str(tmp_path))
    assert presets.find("tiny") == tmp_path / "vectors" / "tiny"
    with pytest.raises(UserError, match="did you mean"):
        presets.find(str(tmp_path / "vectors" / "tinny"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nobody listens
    for name, host in (("hf://somebody/something", "huggingface.co"), ("bert_tiny_en", "www.kaggle.com")):
        with pytest.raises(MissingResource, match=f"cannot be fetched \\({host} cannot be reached from here"):
            presets.find(name)


def test_without_the_extra_one_line_says_what_to_install(monkeypatch, tmp_path, capsys):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "keras_hub" else found(name, *rest)
    )
    assert sweep.main(["--model", "encoder", "--dataset", "sample", "--budget", "smoke"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: encoder: keras-hub")
    assert "cannot be found here; pip install 'textbench[encoders]'" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "mlruns" / "mlflow.db").exists()


@needs_keras_hub
@pytest.mark.long
def test_a_session(tiny_preset, capsys):
    options = ["--dataset", "sample", "--budget", "smoke", "--trials", "2", "--seeds", "1", "--epochs", "2"]
    options += with_preset(tiny_preset())
    assert sweep.main(["--model", "encoder-head", *options]) == 0
    check_session(capsys)
    assert export.main(["--best", "sample", "--output", "exported"]) == 0
    said = capsys.readouterr().out
    assert "with TensorFlow and tensorflow_text" in said
    assert "no model.keras: the network reads raw texts" in said
    readme = Path("exported/README.md").read_text()
    code = readme.split("```python\n")[1].split("```")[0]
    done = subprocess.run([sys.executable, "-c", code], cwd="exported", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@needs_keras_hub
@pytest.mark.long
def test_folds_share_what_is_encoded(tiny_preset, three_classes, monkeypatch):
    from benchmark.training.kept_inputs import Reads

    texts = three_classes.view("train", None).texts()[:150]
    labels = [next(word for word in text.split() if word in three_classes.class_names) for text in texts]
    rows = [f"{text},{label}" for text, label in zip(texts, labels, strict=True)]
    Path("mine.csv").write_text("\n".join(["text,label", *rows]))
    encoded, compute = [], Reads._compute

    def counting(self, folder, given, say):
        encoded.extend(given)
        compute(self, folder, given, say)

    monkeypatch.setattr(Reads, "_compute", counting)
    options = ["--dataset", "csv:mine.csv", "--folds", "5", "--trials", "2", "--seeds", "1", "--workers", "1"]
    options += [*with_preset(tiny_preset()), "--epochs", "5"]
    assert sweep.main(["--model", "encoder-head", *options]) == 0
    assert sorted(encoded) == sorted({*texts})
    finals = of_kind(runs(dataset="csv-mine--5-folds"), names.FINAL_RUN, "ok")
    assert {run.data.tags[names.FOLD] for run in finals} == {f"{fold} of 5" for fold in range(1, 6)}


ALL = ["--model", "all", "--dataset", "sample", "--budget", "smoke", "--trials", "1", "--seeds", "1"]
ALL += ["--epochs", "1", "--train-examples", "64"]


@needs_keras_hub
@pytest.mark.long
def test_all_has_the_encoders_whose_preset_is_there(tiny_preset, capsys):
    given = [*with_preset(tiny_preset(), "encoder"), *with_preset("none", "encoder-head")]
    assert sweep.main([*ALL, *given]) == 0
    said = capsys.readouterr().out
    (left_out,) = (line for line in said.splitlines() if "left out of 'all': encoder" in line)
    assert "encoder-head: preset 'none'" in left_out
    swept = {run.data.tags[names.MODEL] for run in of_kind(runs(), names.FINAL_RUN, "ok")}
    assert {"majority", "lstm", "encoder"} < swept
    assert "encoder-head" not in swept


@needs_keras_hub
def test_texts_of_another_language_are_noticed(tiny_preset, tmp_path, capsys):
    rows = "".join(
        f"{text},{label}\n" for label, text in enumerate(["味道很好", "让人失望"] * 1) for _ in range(30)
    )
    (tmp_path / "zh.csv").write_text("text,label\n" + rows, encoding="utf-8")
    options = ["--budget", "smoke", "--trials", "1", "--seeds", "1", "--epochs", "1"]
    options += with_preset(tiny_preset())
    assert sweep.main(["--model", "encoder-head", "--dataset", "csv:zh.csv", *options]) == 0
    said = capsys.readouterr()
    assert "encoder-head: 100% of the tokens of 'csv-zh' are not in the vocabulary" in said.out + said.err


@pytest.mark.parametrize("name", ["encoder", "encoder-head"])
def test_space_and_builder_have_the_same_hyper_parameters(name):
    described = describe(name)
    assert described.input == "strings"
    space = load_space(find_space(name), described.parameters)
    own = {key: value for key, value in space.default.items() if key not in TRAIN_KEYS}
    assert own.keys() == described.parameters.keys()
    if name == "encoder":
        assert own == described.parameters
    assert {"preset", "sequence_length", "train", "top_layers"} <= space.default.keys() - space.search.keys()
