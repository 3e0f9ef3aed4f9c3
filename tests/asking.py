"""What a server is asked, and the order that it answered."""

QUERY, DOCS = "sky", ["fish swim", "the sky is blue", "sky", "sky sky sky"]
ORDER = [3, 1, 2, 0]


def asked(**more):
    return {"query": QUERY, "documents": DOCS, **more}


def indices(answer):
    assert answer.status_code == 200, answer.text
    return [one["index"] for one in answer.json()["results"]]
