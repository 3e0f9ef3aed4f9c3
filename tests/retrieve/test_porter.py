"""Expected stems are those that Lucene 9.9.1's PorterStemFilter wrote for the paper's examples."""

import pytest

from rerank.retrieve.porter import stem

STEMS = {
    "step 1a": "caresses:caress ponies:poni ties:ti caress:caress cats:cat skies:ski",
    "step 1b": "feed:feed agreed:agre plastered:plaster bled:bled motoring:motor sing:sing",
    "step 1b, mended": "conflated:conflat troubled:troubl sized:size hopping:hop tanned:tan "
    "falling:fall hissing:hiss fizzed:fizz failing:fail filing:file",
    "step 1c": "happy:happi sky:sky saying:sai toys:toi dying:dy",
    "step 2": "relational:relat conditional:condit rational:ration valenci:valenc digitizer:digit "
    "conformabli:conform radicalli:radic differentli:differ vileli:vile analogousli:analog "
    "vietnamization:vietnam predication:predic operator:oper feudalism:feudal "
    "decisiveness:decis hopefulness:hope callousness:callous formaliti:formal "
    "sensitiviti:sensit sensibiliti:sensibl",
    "step 3": "triplicate:triplic formative:form formalize:formal electriciti:electr "
    "electrical:electr hopeful:hope goodness:good",
    "step 4": "revival:reviv allowance:allow inference:infer airliner:airlin gyroscopic:gyroscop "
    "adjustable:adjust defensible:defens irritant:irrit replacement:replac adjustment:adjust "
    "dependent:depend adoption:adopt homologou:homolog communism:commun activate:activ "
    "angulariti:angular homologous:homolog effective:effect bowdlerize:bowdler onion:onion",
    "step 5": "probate:probat rate:rate cease:ceas controll:control roll:roll achilles:achil",
}


@pytest.mark.parametrize("step", STEMS)
def test_the_papers_examples_have_lucenes_stems(step: str) -> None:
    for pair in STEMS[step].split():
        word, expected = pair.split(":")
        assert stem(word) == expected


def test_words_of_one_or_two_letters_stay() -> None:
    assert [stem(word) for word in ("a", "is", "us", "ss")] == ["a", "is", "us", "ss"]


def test_bli_and_logi_follow_porters_later_programs() -> None:
    assert stem("possibly") == "possibl"  # the paper: possibli
    assert stem("apologies") == stem("apology") == "apolog"  # the paper: apologi


def test_digits_and_other_scripts_pass_through() -> None:
    assert [stem(word) for word in ("1998", "p53", "привет", "h2o")] == [
        "1998",
        "p53",
        "привет",
        "h2o",
    ]
