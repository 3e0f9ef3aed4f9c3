"""Jinja, kept in a sandbox: a template shows fields and changes nothing."""

import functools
import re
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import jinja2
import jinja2.nodes
import jinja2.sandbox

from rerank import files
from rerank.errors import InputError


class _Sandbox(jinja2.sandbox.SandboxedEnvironment):
    """The sandbox, without its long way round to the fields of a named tuple."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if attribute in getattr(type(obj), "_fields", ()):
            return getattr(obj, attribute)
        return super().getattr(obj, attribute)


_JINJA = _Sandbox(
    undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
)
_compiled = functools.lru_cache(maxsize=1024)(_JINJA.from_string)


_ONE_FIELD = re.compile(r"\{\{ (\w+)(?:\.([a-z]\w*))? \}\}")


def rendered(name: str, key: str, text: str, fields: Mapping[str, Any]) -> str:
    """A template with its fields; InputError names the prompt's file, the key and the line."""
    if "{" not in text:
        return text.removesuffix("\n")  # as Jinja does
    if (shown := _shown_alone(text, fields)) is not None:
        return shown
    try:
        return _compiled(text).render(fields)
    except Exception as wrong:  # a template can do anything
        raise _mistake(name, key, text, wrong, fields) from None


def _shown_alone(text: str, fields: Mapping[str, Any]) -> str | None:
    """What a template shows that is one field, as scoring models' are; None for any other."""
    if not (one := _ONE_FIELD.fullmatch(text)):
        return None
    name, part = one.groups()
    value = fields.get(name)
    if part and part in getattr(type(value), "_fields", ()):
        value = getattr(value, part)
    elif part:
        return None
    return str(value) if isinstance(value, str) else None


def outline(text: str, fields: Mapping[str, Any], write: Callable[[Any], Any]) -> str:
    """A template in which `write` says what is written for each value; what it raises passes."""
    outlining = _JINJA.overlay(finalize=write)
    if next(outlining.parse(text).find_all(jinja2.nodes.Test), None):
        raise jinja2.TemplateError("a test can tell what stands for a field from the field")
    return outlining.from_string(text).render(fields)


def _mistake(
    name: str, key: str, text: str, wrong: Exception, fields: Mapping[str, Any]
) -> InputError:
    """What a template did wrong, and on which line of its file if Jinja says where."""
    path = files.find("prompts", name)
    before, verbatim, _ = path.read_text(encoding="utf-8").partition(text)
    trace = traceback.extract_tb(wrong.__traceback__)
    lines = [step.lineno for step in trace if step.filename == "<template>" and step.lineno]
    inside = getattr(wrong, "lineno", None) or (lines[-1] if lines else None)
    line = before.count("\n") + inside if verbatim and inside else None
    said = " ".join((getattr(wrong, "message", None) or str(wrong)).split())
    said = re.sub(r"'rerank[\w.]* object'", "a document", said)
    if isinstance(wrong, jinja2.UndefinedError):
        said = f"{said}; this prompt has {', '.join(fields)}"
    return InputError.at(path, line, f"key {key!r}: {said}")
