"""Find, check and render a wording. A prompt knows text and labels, no model and no ranking.

Whatever a query or a document says, it cannot change the form of a prompt: fields are plain
text to the template, identifiers and control tokens in them are rewritten, line breaks are
spaces.
"""

from rerank.prompts.file import PromptFile, Turn
from rerank.prompts.prompt import Prompt, Wording
from rerank.prompts.reading import forms, question_over, read_prompt, sample

__all__ = [
    "Prompt",
    "PromptFile",
    "Turn",
    "Wording",
    "forms",
    "question_over",
    "read_prompt",
    "sample",
]
