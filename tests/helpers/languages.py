"""Texts in twelve languages and others that are hard to cut."""

from unicodedata import normalize

from benchmark.data.source import Row

TEXTS = {
    "english": "It wasn't GOOD: 3.14 stars!<br /><br />A dull, lifeless film.",
    "german": "Größe und Übermut — das war ein Straßenfest!",
    "turkish": "İstanbul'da IŞIK güzel değil mi?",
    "greek": "Ο Σίσυφος ΠΟΛΎΣ",
    "russian": "Ужасный фильм, не смотрите: 2/10.",
    "arabic": "هذا الفيلم رائع، أَنصَحُ بِهِ!",
    "hebrew": "הסרט הזה נהדר, צה\"ל וג'ירפה.",
    "hindi": "यह फ़िल्म बहुत अच्छी है।",
    "thai": "หนังเรื่องนี้ดีมาก",
    "chinese": "味道让人失望，服务让人失望。",
    "japanese": "この映画はとても良かったです。テレビ",
    "korean": "이 영화는 정말 재미있었다!",
    "emoji": "good 👍🏽👩‍👩‍👧‍👦 🇩🇪🇫🇷 ❤️ :-)",
    "marks": "e\u0301 n\u0303o a\u0300\u0323 각 \u1112\u1161\u11ab \U0001d538",
    "spaces": "a\u00a0b\u2028c\u3000d\u200be\tf\r\ng\x0bh",
    "directions": "\u200fשלום\u200e (hello) \u202bعربي\u202c!",
    "nothing": " \t ",
}
FORMS_OF_UNICODE = {
    f"{name}, {form}": normalize(form, text) for name, text in TEXTS.items() for form in ("NFC", "NFD")
}


class Languages:
    """A data set of these texts, each with a second one; those of the test split are other pairs."""

    name = "languages"
    class_names = ("odd", "even")
    validation_share = 0.2
    home = "made for the tests"

    def key(self):
        return "languages"

    def rows(self):
        texts = list(FORMS_OF_UNICODE.values())
        for number, text in enumerate(texts * 4):
            yield Row("train", f"{text} {texts[number % 7]}", number % 2)
        for number, text in enumerate(texts):
            yield Row("test", f"{text} {texts[(number * 5 + 3) % len(texts)]}", number % 2)
