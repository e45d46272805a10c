"""Which tokens suit texts of different scripts: told at preparation, and taken for data of one's own."""

import json

import numpy as np
import pytest

from benchmark.data import prepare as prepare_module
from benchmark.data.data_profile import describe
from benchmark.data.prepare import choose_folds, prepare
from benchmark.data.source import SourceOptions, get_source
from benchmark.plan.run_specs import make_plan
from benchmark.spec.config import SweepConfig

CHINESE = ["这部电影很好看，演员超出期待", "这部电影不值得看，音乐低于期待"]
JAPANESE = ["この映画はとても面白かったです", "コーヒーマシンはすぐに壊れました"]
THAI = ["หนังเรื่องนี้สนุกมากและน่าดู", "หนังเรื่องนี้แย่มากไม่น่าดูเลย"]
SEGMENTED = ["这 部 电影 很 好看 演员 超出 期待", "这 部 电影 不 值得 看 音乐 低于 期待"]
KOREAN = ["이 영화는 정말 재미있고 좋았어요", "이 영화는 정말 지루하고 나빴어요"]
ENGLISH = ["a warm and witty film that works", "a dull and lifeless film that drags"]
ARABIC = ["هذا الفيلم رائع جدا", "هذا الفيلم سيئ للغاية"]
GERMAN = ["ein Donaudampfschifffahrtskapitän fährt", "die Rindfleischetikettierungsüberwachung fehlt"]
NAMES = ["Meyer", "O'Brien"]
MIXED = [f"{CHINESE[0]} {' '.join(ENGLISH)}", f"{CHINESE[1]} {' '.join(ENGLISH)}"]
QUERIES = ["好看电影", "天气"]
CONFIG = {"budget": "quick", "trials": 1, "seeds": 1, "epochs": 1, "train_share": 1.0}


def made(tmp_path, texts, name="r"):
    rows = [json.dumps({"text": f"{texts[n % 2]}", "label": "ab"[n % 2]}) for n in range(20)]
    (tmp_path / f"{name}.jsonl").write_text("\n".join(rows))
    return get_source(f"csv:{tmp_path / f'{name}.jsonl'}", SourceOptions())


def hints(dataset):
    return [line for line in describe(dataset)["notices"] if "tokens=" in line]


@pytest.mark.parametrize(
    ("texts", "auto", "hint"),
    [
        (
            CHINESE,
            "unicode_words",
            "100% of the letters are of scripts without spaces, and a text has 1.0 words",
        ),
        (JAPANESE, "unicode_words", "tokens are unicode_words unless `set` tokens=… says otherwise"),
        (THAI, "unicode_words", "scripts without spaces"),
        (QUERIES, "unicode_words", "scripts without spaces"),
        (SEGMENTED, "words", None),
        (KOREAN, "words", None),
        (ENGLISH, "words", None),
        (ARABIC, "words", None),
        (MIXED, "words", "% of the letters are of scripts without spaces, and a text has 15.0 words"),
        (GERMAN, "words", "33% of the words have more than 20 letters: try `set` tokens=subwords"),
        (NAMES, "words", "a text has 1.0 words at white space: if these are not words, try `set` tokens="),
        ([" ", "!"], "words", None),
    ],
)
def test_texts_say_which_tokens_suit_them(tmp_path, own_cache, texts, auto, hint):
    dataset = prepare(made(tmp_path, texts))
    assert dataset.auto_tokens == auto
    said = hints(dataset)
    assert len(said) == (hint is not None)
    assert all(hint in line for line in said)


def _without(record, name):
    return {key: value for key, value in record.items() if key != name}


def plan_of(dataset, **overrides):
    return make_plan("avg-pool", dataset, SweepConfig(**CONFIG, overrides=overrides))


def form(plan):
    return plan.trial_spec(plan.default, 0).view.tokens


def test_what_suits_is_taken_where_nothing_is_set(tmp_path, own_cache):
    dataset = prepare(made(tmp_path, CHINESE))
    auto, words = plan_of(dataset), plan_of(dataset, tokens="words")
    assert (form(auto), form(words)) == ("unicode_words", "words")
    assert auto.identity == plan_of(dataset, tokens="auto").identity
    assert auto.identity != words.identity
    assert form(plan_of(dataset, **{"avg-pool.tokens": "characters"})) == "characters"
    pipeline = make_plan("majority", dataset, SweepConfig(**CONFIG))
    assert "tokens" not in pipeline.default


def test_a_file_of_a_space_has_the_last_word(tmp_path, own_cache):
    dataset = prepare(made(tmp_path, CHINESE))
    text = "model: avg-pool\nsource: mine\ndefault:\n  {}\nsearch: {{}}\n"
    for line, expected in (("tokens: words", "words"), ("batch_size: 32", "unicode_words")):
        (tmp_path / "space.yaml").write_text(text.format(line))
        config = SweepConfig(**CONFIG)
        assert form(make_plan("avg-pool", dataset, config, tmp_path / "space.yaml")) == expected


def test_an_entry_of_an_earlier_version_keeps_the_ids_of_its_runs(tmp_path, own_cache, monkeypatch):
    source = made(tmp_path, CHINESE)
    dataset = prepare(source)
    words = plan_of(dataset, tokens="words")
    monkeypatch.setenv("BENCHMARK_CACHE_DIR", str(tmp_path / "of-before"))
    with monkeypatch.context() as patch:
        fill = prepare_module._fill
        patch.setattr(prepare_module, "_fill", lambda *given: _without(fill(*given), "auto_tokens"))
        prepare(source)
    earlier = prepare(source)
    assert (earlier.digest, earlier.auto_tokens) == (dataset.digest, "words")
    assert plan_of(earlier).identity == words.identity
    assert plan_of(earlier).trial_spec({}, 0).spec_id == words.trial_spec({}, 0).spec_id


def test_spaced_scripts_leave_no_trace_in_ids(tmp_path, own_cache):
    dataset = prepare(made(tmp_path, ENGLISH))
    assert (
        plan_of(dataset).identity
        == plan_of(dataset, tokens="words").identity
        == plan_of(dataset, tokens="auto").identity
    )


def test_published_data_are_words_with_a_hint(own_cache, make_source):
    rows = [("test" if n % 5 == 0 else "train", CHINESE[n % 2], n % 2) for n in range(40)]
    dataset = prepare(make_source(rows))
    assert dataset.auto_tokens == "words"
    assert ["try `set` tokens=unicode_words" in line for line in hints(dataset)] == [True]


def test_a_fold_of_own_data_is_cut_as_the_data_are(tmp_path, own_cache):
    made(tmp_path, CHINESE)
    folds = choose_folds(f"csv:{tmp_path / 'r.jsonl'}", SourceOptions(), 2, print, print)
    assert [fold.auto_tokens for fold in folds] == ["unicode_words"] * 2


def test_the_sample_needs_no_hint(sample):
    assert (sample.auto_tokens, hints(sample)) == ("words", [])


def test_a_share_of_many_texts_is_looked_at(tmp_path, own_cache, monkeypatch):
    monkeypatch.setattr("benchmark.data.scripts._TEXTS", 4)
    assert prepare(made(tmp_path, CHINESE)).auto_tokens == "unicode_words"
    assert np.isfinite(prepare(made(tmp_path, ENGLISH, "e")).vocabulary_total)
