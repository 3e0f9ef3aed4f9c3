"""Porter's stemmer, as Lucene's PorterStemFilter runs it.

The rules are those of M. F. Porter, "An algorithm for suffix stripping", Program
14(3), 1980, with the three departures of his own later programs: words of one or
two letters stay, -bli becomes -ble (not -abli -able), and -logi becomes -log. It
takes a word in lower case; anything but a, e, i, o, u and y counts as a consonant,
so that digits and letters of other scripts pass through.
"""

# Each table in the order in which its suffixes are tried: the first that fits ends the step.
_STEP_2 = {
    "ational": "ate",
    "tional": "tion",
    "enci": "ence",
    "anci": "ance",
    "izer": "ize",
    "bli": "ble",
    "alli": "al",
    "entli": "ent",
    "eli": "e",
    "ousli": "ous",
    "ization": "ize",
    "ation": "ate",
    "ator": "ate",
    "alism": "al",
    "iveness": "ive",
    "fulness": "ful",
    "ousness": "ous",
    "aliti": "al",
    "iviti": "ive",
    "biliti": "ble",
    "logi": "log",
}
_STEP_3 = {
    "icate": "ic",
    "ative": "",
    "alize": "al",
    "iciti": "ic",
    "ical": "ic",
    "ful": "",
    "ness": "",
}
_STEP_4 = (
    *("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent"),
    *("sion", "tion", "ou", "ism", "ate", "iti", "ous", "ive", "ize"),
)


def stem(word: str) -> str:
    """What is left of a word when its English endings are off."""
    if len(word) <= 2:
        return word
    word = _past(_plural(word))
    if word.endswith("y") and "v" in _shape(word[:-1]):
        word = word[:-1] + "i"
    word = _replace(_replace(word, _STEP_2), _STEP_3)
    return _last_letters(_strip(word))


def _shape(letters: str) -> str:
    """A `v` for each vowel and a `c` for each consonant; y is a vowel after a consonant."""
    shape = ""
    for letter in letters:
        vowel = letter in "aeiou" or (letter == "y" and shape.endswith("c"))
        shape += "v" if vowel else "c"
    return shape


def _measure(letters: str) -> int:
    """Porter's m: how many times a consonant follows a vowel."""
    return _shape(letters).count("vc")


def _short(letters: str) -> bool:
    """Porter's *o: the end is consonant, vowel, consonant, and the last is not w, x or y."""
    return _shape(letters).endswith("cvc") and letters[-1] not in "wxy"


def _doubled(letters: str) -> bool:
    """Porter's *d: the end is twice the same consonant."""
    return letters[-1:] == letters[-2:-1] != "" and _shape(letters).endswith("c")


def _plural(word: str) -> str:
    if word.endswith(("sses", "ies")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _past(word: str) -> str:
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    left = next((word[: -len(end)] for end in ("ed", "ing") if word.endswith(end)), "")
    return _mended(left) if "v" in _shape(left) else word


def _mended(left: str) -> str:
    """What -ed or -ing left behind, made to look like a verb again: conflat, hopp, fil."""
    if left.endswith(("at", "bl", "iz")):
        return left + "e"
    if _doubled(left):
        return left if left[-1] in "lsz" else left[:-1]
    return left + "e" if _measure(left) == 1 and _short(left) else left


def _replace(word: str, endings: dict[str, str]) -> str:
    for end, other in endings.items():
        if word.endswith(end):
            left = word[: -len(end)]
            return left + other if _measure(left) > 0 else word
    return word


def _strip(word: str) -> str:
    for end in _STEP_4:
        if word.endswith(end):
            left = word[: -len(end.removeprefix("s").removeprefix("t"))]
            return left if _measure(left) > 1 else word
    return word


def _last_letters(word: str) -> str:
    if word.endswith("e"):
        left = word[:-1]
        if _measure(left) > 1 or (_measure(left) == 1 and not _short(left)):
            word = left
    return word[:-1] if word.endswith("ll") and _measure(word) > 1 else word
