"""What the frameworks are given, what a model says of it, and calls that may be awaited."""

import asyncio

from fakes import counted as by_sky
from fakes import reversed_list

TEXTS = ["fish swim", "the sky is blue", "sky", "sky sky sky"]


def counted(request):
    """Scores a document by how often it says sky; lists the last document first."""
    return reversed_list(request) if request.messages else by_sky(request)


def both(sync, awaited):
    """What the two give, which must be the same."""
    found = sync()
    assert asyncio.run(awaited()) == found
    return found
