"""RankLLM's templates (its YAML) as prompt files of ours, so that its users keep theirs.

A template is text with `{fields}`. What cannot be kept is refused by name: a field that no
question of ours holds, a method that no engine of ours serves.
"""

import re
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rerank import files
from rerank.errors import InputError, extra

PSG_IDS = (
    "[{% for doc in docs %}PASSAGE{{ doc.label }}{% if not loop.last %}, {% endif %}{% endfor %}]"
)
FIELDS: dict[str, dict[str, str]] = {
    "prefix": {"query": "query", "num": "docs|length"},
    "body": {"rank": "doc.label", "candidate": "doc.content"},
    "point": {"query": "query", "doc_content": "doc.content", "instruction": "instruction"},
    "pair": {"query": "query", "doc1": "a.content", "doc2": "b.content"},
}
"""Our names for the fields of each kind of text."""

KINDS: dict[str, dict[str, str]] = {
    "singleturn_listwise": {"prefix": "prefix", "body": "body", "suffix": "prefix"},
    "multiturn_listwise": {
        "prefix_user": "prefix",
        "prefix_assistant": "prefix",
        "body_user": "body",
        "body_assistant": "body",
        "suffix_user": "prefix",
    },
    "pointwise": {"body": "point"},
    "pairwise": {"body": "pair"},
}
"""The texts of each method, and whose fields they take."""

PLAIN = ("method", "system_message", "instruction", "output_validation_regex")
READ_BY = ("output_extraction_regex", "output_patterns")
EVERY_DOC, END = "{%+ for doc in docs +%}", "{%+ endfor +%}"


def converted(path: Path) -> dict[str, Any]:
    """The keys that a prompt file of ours would have; InputError names the file and the key."""
    raw = _loaded(path)
    if wrong := _mistake(raw):
        raise InputError.at(path, None, wrong)
    method = raw["method"]
    texts = {key: text for key, text in raw.items() if key in KINDS[method]}
    jinja = {key: _jinja(path, key, text, KINDS[method][key]) for key, text in texts.items()}
    source = {"source": f"RankLLM's template {path.name} ({method})"}
    return {**source, **_FORMS[method](raw, jinja)}


def _mistake(raw: Mapping[str, Any]) -> str:
    """What is wrong with a template's keys; empty if nothing."""
    method = raw.get("method")
    if not isinstance(method, str) or method not in KINDS:
        return f"key 'method' is {method!r}; of RankLLM's, these are read: {', '.join(KINDS)}"
    for key, value in raw.items():
        if key not in (*PLAIN, *READ_BY, *KINDS[method]):
            return f"key {key!r} is not known in RankLLM's {method}"
        kind, name = (list, "list") if key == "output_patterns" else (str, "text")
        if not isinstance(value, kind):
            return f"key {key!r} should be a {name}"
    needed = "body_user" if method == "multiturn_listwise" else "body"
    return "" if needed in raw else f"key {needed!r} is missing"


def _loaded(path: Path) -> dict[str, Any]:
    yaml = extra("yaml", "rankllm")
    try:
        raw = yaml.safe_load(files.read_text(path))
    except yaml.MarkedYAMLError as wrong:
        line = wrong.problem_mark.line + 1 if wrong.problem_mark else None
        raise InputError.at(path, line, f"{wrong.problem or wrong}") from None
    except yaml.YAMLError as wrong:
        raise InputError.at(path, None, " ".join(str(wrong).split())) from None
    if not isinstance(raw, dict):
        raise InputError.at(path, None, "is not a template: it has no keys")
    return raw


def _jinja(path: Path, key: str, text: str, kind: str) -> str:
    """A text of RankLLM's, where `{{` is a brace, as a template of ours; every character stays."""
    ours = FIELDS[kind] | ({"psg_ids": ""} if key == "suffix" else {})
    parts = []
    try:
        for literal, field, form, _ in string.Formatter().parse(text):
            parts.append(_literal(literal))
            if field == "psg_ids" and field in ours:
                parts.append(PSG_IDS)
            elif field is not None:
                if field not in ours or form:
                    raise ValueError(
                        f"field {{{field}}} is not known; there are: {', '.join(ours)}"
                    )
                parts.append(f"{{{{ {ours[field]} }}}}")
    except ValueError as wrong:
        raise InputError.at(path, None, f"key {key!r}: {wrong}") from None
    return "".join(parts)


def _literal(text: str) -> str:
    """Text that Jinja writes as it stands, whatever braces it has."""
    return text.replace("{", "{{ '{' }}")


def _whole(text: str) -> str:
    """Jinja leaves out the line break that a template ends with."""
    return f"{text}\n" if text.endswith("\n") else text


def _listwise(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What lists have in common. A pattern that reads "[A]" and not "[1]" asks for letters."""
    patterns = [raw.get("output_extraction_regex") or "", *(raw.get("output_patterns") or [])]
    letters = any(_finds(p, "[A]") and not _finds(p, "[1]") for p in patterns)
    return {
        "asks": "Order",
        "reads": "permutation",
        "labels": "letters" if letters else "numbers",
        "system": _whole(_literal(raw.get("system_message", ""))),
    }


def _finds(pattern: Any, text: str) -> bool:
    """Whether a pattern finds something; RankLLM spells them as Python does: r"..."."""
    bare = re.sub(r"""^r?(["'])(.*)\1$""", r"\2", str(pattern).strip())
    try:
        return bool(bare) and re.search(bare, text) is not None
    except re.error:
        return False


def _single_turn(raw: Mapping[str, Any], text: Mapping[str, str]) -> dict[str, Any]:
    user = text.get("prefix", "") + EVERY_DOC + text["body"] + END + text.get("suffix", "")
    return {**_listwise(raw), "user": _whole(user)}


def _multi_turn(raw: Mapping[str, Any], text: Mapping[str, str]) -> dict[str, Any]:
    """Each passage is a turn of its own where the assistant answers it."""
    turns = [
        {"role": role, "content": _whole(text[key])}
        for role, key in (("user", "prefix_user"), ("assistant", "prefix_assistant"))
        if key in text
    ]
    suffix = text.get("suffix_user", "")
    if "body_assistant" in text:
        bodies = (("user", "body_user"), ("assistant", "body_assistant"))
        each = [{"role": r, "content": _whole(text[key]), "each": "doc"} for r, key in bodies]
        turns += [*each, {"role": "user", "content": _whole(suffix)}]
    else:
        listed = EVERY_DOC + text["body_user"] + END + suffix
        turns.append({"role": "user", "content": _whole(listed)})
    return {**_listwise(raw), "turns": turns}


def _point(raw: Mapping[str, Any], text: Mapping[str, str]) -> dict[str, Any]:
    """With a system message a chat that answers yes or no, else monoT5's true or false."""
    system = raw.get("system_message", "").strip()
    said = {"labels": ["yes", "no"]} if system else {"labels": ["true", "false"], "chat": False}
    asked = {"asks": "Rate", "reads": "label-odds", "instruction": raw.get("instruction", "")}
    return {**asked, **said, "system": _literal(system), "user": _whole(text["body"])}


def _pair(raw: Mapping[str, Any], text: Mapping[str, str]) -> dict[str, Any]:
    asked = {"asks": "Compare", "reads": "label-preference", "labels": ["true", "false"]}
    return {**asked, "chat": False, "user": _whole(text["body"])}


_FORMS = {
    "singleturn_listwise": _single_turn,
    "multiturn_listwise": _multi_turn,
    "pointwise": _point,
    "pairwise": _pair,
}
