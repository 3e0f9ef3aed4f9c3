"""A model that a first stage asks, behind a journal in the cache: other recipes ask the same.

Where every reply is known the model is not loaded.
"""

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from rerank import files
from rerank.engines.journal import Journal, remembering
from rerank.engines.opening import choose, key_of, open_engine, refuse_unserved
from rerank.recipes.stages import ModelOptions
from rerank.wants import Want


def cached(options: ModelOptions, wants: type[Want], what: str, folder: str) -> Journal:
    """The journal of that model in the cache's `folder`; `what` is said where it serves not."""
    name = choose(wants, options.base_url) if options.engine == "auto" else options.engine
    refuse_unserved(name, wants, what)
    server = {"base_url": options.base_url, "api_key": os.environ.get("OPENAI_API_KEY")}
    given: Mapping[str, Any] = {**(server if name == "http" else {}), **options.engine_options}
    key = key_of(name, options.model, given)
    path = files.cache() / folder / f"{key}.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    return remembering(path, key, partial(open_engine, name, options.model, given))
