"""Two languages, one truth: what a pair of cells must share, and which words each may use."""

import csv
import json
import re
import sys
from collections import Counter
from pathlib import Path

import pytest
from sphinx.errors import ExtensionError

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "_ext"))
from bilingual import check_translation  # noqa: E402

CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
GLOSSARY = list(csv.DictReader((ROOT / "chapters" / "glossary.tsv").open(), delimiter="\t"))

DISPLAY_MATH = re.compile(r"\$\$(.+?)\$\$", re.S)
INLINE_MATH = re.compile(r"(?<![\\$])\$([^$\n]+)\$")
FENCED = re.compile(r"```.*?```", re.S)
CODE = re.compile(rf"{FENCED.pattern}|`[^`\n]+`", re.S)
TAG = re.compile(r"<[^>]*>")
ROLE = re.compile(r"\{(\w+)\}`(?:[^`<]*<)?([^`>]+)>?`")
LABEL = re.compile(r"^\(([\w-]+)\)=$|\$\$ *\((eq-[\w-]+)\)", re.M)
NUMBER = re.compile(r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?")


def cells(path: Path) -> list[dict]:
    return json.loads(path.read_text("utf-8"))["cells"]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def languages(cell: dict) -> list[str]:
    return [tag for tag in cell["metadata"].get("tags", []) if tag in ("ko", "en")]


def pairs(path: Path) -> list[tuple[str, str]]:
    prose = [cell for cell in cells(path) if cell["cell_type"] == "markdown"]
    return [(source(ko), source(en)) for ko, en in zip(prose[::2], prose[1::2], strict=True)]


def words_only(text: str) -> str:
    """The prose itself: no formulas, code, markup, roles or labels."""
    text = LABEL.sub(" ", DISPLAY_MATH.sub(" ", text))
    text = ROLE.sub(lambda m: m.group(0).split("`")[1].split("<")[0] if "<" in m[0] else " ", text)
    return TAG.sub(" ", INLINE_MATH.sub(" ", CODE.sub(" ", text)))


def shared(text: str) -> dict[str, Counter]:
    """What must be the same in both languages, however the sentences are built."""
    plain = ROLE.sub(" ", text)
    return {
        "display equations": Counter("".join(m.split()) for m in DISPLAY_MATH.findall(text)),
        "formulas": Counter(INLINE_MATH.findall(DISPLAY_MATH.sub(" ", CODE.sub(" ", plain)))),
        "labels": Counter(a or b for a, b in LABEL.findall(text)),
        "references": Counter(map(one_reference, ROLE.findall(text))),
        "code": Counter(re.findall(r"`([^`\n]+)`", FENCED.sub(" ", plain))),
        "code blocks": Counter(re.sub(r" *#.*", "", m) for m in FENCED.findall(text)),
        "numbers": Counter(n.replace(",", "") for n in NUMBER.findall(words_only(text))),
        "boxes and choices": Counter(re.findall(r'class="([\w ]+)"', text)),
        "headings": Counter(re.findall(r"^(#+) ", CODE.sub(" ", plain), re.M)),
    }


def one_reference(role_and_target: tuple[str, str]) -> tuple[str, str]:
    """A side of a figure is a word of its language; all else is a label."""
    role, target = role_and_target
    sides = {"왼쪽": "left", "오른쪽": "right"}
    return role, sides.get(target, target.lower().split()[-1]) if role == "side" else target


def differences(ko: str, en: str) -> dict[str, tuple]:
    first, second = shared(ko), shared(en)
    return {
        name: (dict(first[name] - second[name]), dict(second[name] - first[name]))
        for name in first
        if first[name] != second[name]
    }


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_every_prose_cell_has_its_partner(path):
    tags = [languages(cell) for cell in cells(path)]
    kinds = [cell["cell_type"] for cell in cells(path)]
    for i, (tag, kind) in enumerate(zip(tags, kinds, strict=True)):
        assert len(tag) == (kind == "markdown"), f"cell {i}: {kind} tagged {tag}"
        if tag == ["ko"]:
            assert tags[i + 1 : i + 2] == [["en"]], f"cell {i} has no English partner after it"
        if tag == ["en"]:
            assert i and tags[i - 1] == ["ko"], f"cell {i} has no Korean partner before it"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_partners_share_what_is_not_language(path):
    wrong = [(ko[:60], found) for ko, en in pairs(path) if (found := differences(ko, en))]
    assert wrong == []


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_figures_have_captions_and_alternative_texts_in_both(path):
    for cell in cells(path):
        mimes = {m for output in cell.get("outputs", []) for m in output.get("data", {})}
        is_drawn = any(
            m.startswith(("image/", "application/vnd.jupyter.widget-view")) for m in mimes
        )
        figure = cell["metadata"].get("figure")
        assert bool(figure) == is_drawn, f"{cell['id']}: a figure and its words go together"
        if figure:
            assert figure["label"].startswith("fig-")
            for kind in ("caption", "alt"):
                ko, en = figure["ko"][kind], figure["en"][kind]
                assert re.search("[가-힣]", ko) and not re.search("[가-힣]", en)
                assert differences(ko, en) == {}, cell["id"]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_cells_are_in_the_language_of_their_tag(path):
    for ko, en in pairs(path):
        assert re.search("[가-힣]", words_only(ko)), f"no Korean in: {ko[:60]}"
        # An English cell may quote a Korean word, as where it explains a term.
        hangul, latin = re.findall("[가-힣]", words_only(en)), re.findall("[a-z]", words_only(en))
        assert len(hangul) < len(latin) / 4, f"Korean in an English cell: {en[:60]}"


# --- terms

FORBIDDEN = [
    (r"정규화\s*\(regulari[sz]ation", "정규화 is normalization; regularization is 규제"),
    (r"(정형화|일반화)\s*\(regulari[sz]ation", "regularization is 규제"),
    (r"L[12] ?정규화", "L1 and L2 regularization are 규제"),
    (r"체중 감소", "weight decay is 가중치 감쇠"),
    (r"공분산\s*\(variance", "variance is 분산"),
    (r"(?<!\()백색화(?!\))", "whitening is 화이트닝, with (백색화) once"),
    (r"파라미터를 수정", "to freeze is 고정하다, never 수정하다"),
    (r"되어진|지게 된다|에 의해서? ", "translated Korean"),
    (r"[가-힣)]!", "no exclamation marks"),
]
FORBIDDEN_EN = [
    (r"\bsimply\b", "nothing is simple for everyone"),
    (r"\bas you can see\b", "show it"),
    (r"\bit is (well )?known\b", "say who measured it"),
    (r"[a-z)]!(?!\[)", "no exclamation marks"),
]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_forbidden_words(path):
    found = [
        (pattern, why, words[:60])
        for ko, en in pairs(path)
        for words, rules in ((words_only(ko), FORBIDDEN), (words_only(en), FORBIDDEN_EN))
        for pattern, why in rules
        if re.search(pattern, words, re.I)
    ]
    assert found == []


def running_text(path: Path, language: int) -> str:
    """The chapter's sentences in reading order, without headings."""
    text = "\n".join(words_only(pair[language]) for pair in pairs(path))
    return re.sub(r"^#+ .*$", "", text, flags=re.M)


def first_uses(text: str, terms: list[str]) -> dict[str, str]:
    """What follows each term where it first stands; a longer term hides the shorter one in it."""
    found = {}
    for term in sorted(terms, key=len, reverse=True):
        # A Korean word may start with the term, as in 분산은, but 공분산 is another word.
        match = re.search(rf"(?<![가-힣]){re.escape(term)}", text)
        if match:
            found[term] = text[match.end() : match.end() + 60]
        text = text.replace(term, "▢" * len(term))
    return found


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_first_use_of_a_term_names_it_in_english(path):
    """표준화(standardization): the Korean reader will meet the English word elsewhere."""
    terms = {row["ko"]: row["en"] for row in GLOSSARY}
    uses = first_uses(running_text(path, 0), list(terms))
    missing = {
        ko: after
        for ko, after in uses.items()
        if not re.match(rf"\s*\({re.escape(terms[ko].split(' (')[0])}", after, re.I)
    }
    assert missing == {}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_english_terms_have_their_korean_partner(path):
    """If the English text uses a term of the glossary, the Korean text uses the glossary's."""
    korean, english = running_text(path, 0), running_text(path, 1).lower()
    uses = first_uses(english, [row["en"].split(" (")[0] for row in GLOSSARY if " " in row["en"]])
    missing = [r["ko"] for r in GLOSSARY if r["en"] in uses and r["ko"] not in korean]
    assert missing == []


def test_glossary_is_the_shared_one():
    common = ROOT.parent / "shared" / "GLOSSARY.tsv"
    if not common.exists():
        pytest.skip("there is no shared glossary beside this copy")
    assert (ROOT / "chapters" / "glossary.tsv").read_text() == common.read_text()


# --- the rules themselves

GOOD = (
    "(sec-a)=\n## 셀\n\n$x$는 3개, {eq}`eq-a`, `std`",
    "(sec-a)=\n## A cell\n\n3 of $x$, {eq}`eq-a`, `std`",
)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (("$x$", "$y$"), "formulas"),
        (("3", "4"), "numbers"),
        (("sec-a", "sec-b"), "labels"),
        (("eq-a", "eq-b"), "references"),
        (("`std`", "`var`"), "code"),
        (("## ", "### "), "headings"),
        (("3 of", '<div class="box paper">3 of'), "boxes and choices"),
        (("3 of", "$$x$$ 3 of"), "display equations"),
    ],
)
def test_a_difference_is_found(change, name):
    ko, en = GOOD
    assert differences(ko, en) == {}
    assert list(differences(ko, en.replace(*change))) == [name]


def test_a_caption_names_the_same_sides_in_both():
    ko = "{side}`왼쪽`은 하나, {side}`오른쪽`은 둘"
    assert differences(ko, "{side}`Left`, one; {side}`on the right`, two") == {}
    assert list(differences(ko, "{side}`Left`, one; {side}`on the left`, two")) == ["references"]


def test_a_forbidden_word_is_found():
    for text in (
        "정규화(regularization)는",
        "L2 정규화를",
        "체중 감소를",
        "공분산(variance)",
        "좋다!",
    ):
        assert any(re.search(pattern, text) for pattern, _ in FORBIDDEN), text
    for text in ("정규화(normalization)는", "화이트닝(백색화)", "가중치 감쇠"):
        assert not any(re.search(pattern, text) for pattern, _ in FORBIDDEN), text


# --- a missing translation is not built


def removed(id: str) -> dict:
    notebook = json.loads(CHAPTERS[0].read_text("utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["id"] != id]
    assert len(cells) < len(notebook["cells"])
    return {**notebook, "cells": cells}


def test_a_chapter_with_a_missing_translation_is_refused():
    check_translation(json.loads(CHAPTERS[0].read_text("utf-8")), "chapters/00_welcome")
    with pytest.raises(ExtensionError, match="00_welcome, cell 'promises-ko' has no English"):
        check_translation(removed("promises-en"), "chapters/00_welcome")
    with pytest.raises(ExtensionError, match="00_welcome, cell 'promises-en' has no Korean"):
        check_translation(removed("promises-ko"), "chapters/00_welcome")
    last = removed("run-it-en")
    with pytest.raises(ExtensionError, match="cell 'run-it-ko' has no English"):
        check_translation(last, "chapters/00_welcome")


def test_a_figure_without_a_caption_in_one_language_is_refused():
    notebook = removed("run-it-en")
    del notebook["cells"][-1]
    cell = next(cell for cell in notebook["cells"] if "figure" in cell["metadata"])
    del cell["metadata"]["figure"]["en"]["caption"]
    with pytest.raises(
        ExtensionError, match=f"cell '{cell['id']}' has a figure without .* in 'en'"
    ):
        check_translation(notebook, "chapters/00_welcome")
