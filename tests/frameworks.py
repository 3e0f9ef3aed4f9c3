"""What the frameworks are given, what a model says of it, and calls that may be awaited."""

import asyncio

from rerank.wants import Reply

TEXTS = ["fish swim", "the sky is blue", "sky", "sky sky sky"]


def counted(request):
    """Scores a document by how often it says sky; lists the last document first."""
    if request.messages:
        count = request.messages[-1].content.count("\n[")
        return Reply(text=" > ".join(f"[{place}]" for place in range(count, 0, -1)))
    return Reply(scores=(float(request.want.doc.count("sky")),))


def both(sync, awaited):
    """What the two give, which must be the same."""
    found = sync()
    assert asyncio.run(awaited()) == found
    return found
