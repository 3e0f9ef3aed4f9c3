"""What a server is asked, what its engine says, and the order that it answered."""

from rerank.wants import Reply

QUERY, DOCS = "sky", ["fish swim", "the sky is blue", "sky", "sky sky sky"]
ORDER = [3, 1, 2, 0]


def counted(request):
    """Scores a document by how often it says sky."""
    return Reply(scores=(float(request.want.doc.count("sky")),))


def listed(request):
    """Writes the list from the last document to the first."""
    count = request.messages[-1].content.count("\n[")
    return Reply(text=" > ".join(f"[{place}]" for place in range(count, 0, -1)))


def asked(**more):
    return {"query": QUERY, "documents": DOCS, **more}


def indices(answer):
    assert answer.status_code == 200, answer.text
    return [one["index"] for one in answer.json()["results"]]
