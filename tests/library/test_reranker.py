"""The library face: what goes in comes back in order, as the object that it was."""

from types import SimpleNamespace

import pytest
from fakes import anything, counted, order, reversed_list

from rerank import EngineError, InputError, Reranker, UsageError
from rerank.methods import METHODS
from rerank.wants import Labels, Likelihood, Logits, Pair, Reply, Text

DOCS = ["fish swim", "the sky is blue", "sky", "sky sky sky"]


def test_texts_come_back_best_first_with_the_models_scores(opened):
    opened(counted)
    with Reranker("any", method="scorer") as reranker:
        ranking = reranker.rerank("sky", DOCS)
    assert [(h.rank, h.index, h.score, h.document) for h in ranking] == [
        (1, 3, 3.0, "sky sky sky"),
        (2, 1, 1.0, "the sky is blue"),
        (3, 2, 1.0, "sky"),
        (4, 0, 0.0, "fish swim"),
    ]
    assert (ranking.calls, ranking.rounds, ranking.error) == (4, 1, "")
    assert ranking.answers == {"ok": 4, "repaired": 0, "unreadable": 0, "failed": 0}
    assert len(ranking) == 4 and ranking[0].index == 3


def test_mappings_come_back_as_the_objects_that_they_were(opened):
    opened(counted)
    docs = [{"text": "sea", "id": 7}, {"text": "so blue", "title": "sky", "url": "x"}, "sky sky"]
    ranking = Reranker("any", method="scorer").rerank("sky", docs)
    assert order(ranking) == [2, 1, 0]
    assert all(hit.document is docs[hit.index] for hit in ranking)


def test_a_title_is_read_and_an_id_is_not(opened):
    engines = opened(counted)
    docs = [{"id": "sky", "text": "a", "title": None}, {"text": "b", "title": "sky"}]
    ranking = Reranker("any", method="scorer").rerank("q", docs)
    assert order(ranking) == [1, 0]
    assert [request.want.doc for request in engines[0][-1].requests] == ["a", "sky b"]


def test_equal_texts_are_two_documents_and_equal_scores_keep_their_order(opened):
    opened(lambda request: Reply(scores=(1.0,)))
    ranking = Reranker("any", method="scorer").rerank("q", ["same", "other", "same", "same"])
    assert order(ranking) == [0, 1, 2, 3]
    assert [hit.document for hit in ranking] == ["same", "other", "same", "same"]


@pytest.mark.parametrize("method", [name for name in METHODS if name != "first-stage"])
def test_every_method_gives_a_permutation_of_any_number_of_documents(opened, method):
    kinds = (Text, Labels, Logits, Likelihood, Pair)
    opened(anything, wants=kinds)
    with Reranker("any", method=method) as reranker:
        for count in (0, 1, 2, 3, 11, 25):
            ranking = reranker.rerank("q", [f"text {i % 3}" for i in range(count)])
            assert sorted(order(ranking)) == list(range(count))
            assert [hit.rank for hit in ranking] == list(range(1, count + 1))


def test_no_documents_ask_nothing_and_come_back_empty(opened):
    engines = opened(counted)
    with Reranker("any", method="scorer") as reranker:
        ranking = reranker.rerank("sky", [])
    [(_, _, _, engine)] = engines
    assert len(ranking) == 0 and ranking.calls == 0
    assert engine.requests == engine.checked == []


def test_top_n_gives_the_best_and_no_more_than_there_are(opened):
    opened(counted)
    reranker = Reranker("any", method="scorer")
    assert order(reranker.rerank("sky", DOCS, top_n=2)) == [3, 1]
    assert order(reranker.rerank("sky", DOCS, top_n=99)) == [3, 1, 2, 0]
    assert len(reranker.rerank("sky", [], top_n=5)) == 0
    for wrong in (0, -1):
        with pytest.raises(UsageError, match="top_n is"):
            reranker.rerank("sky", DOCS, top_n=wrong)


def last_is_best(request):
    """Prefers what was last in the first stage; documents are called by their places."""
    shown = [int(w) for w in request.messages[-1].content.replace('"', " ").split() if w.isdigit()]
    return Reply(scores=tuple(float(place) for place in shown))


def test_top_n_is_how_many_places_are_sorted(opened):
    """Of the 14 that were wanted, 4 were the first stage's: heapsort sorted its default 10."""
    opened(last_is_best, wants=(Labels,))
    docs = [str(place) for place in range(30)]
    reranker = Reranker("any", method="setwise-heapsort-labels")
    assert order(reranker.rerank("q", docs, top_n=14)) == list(range(29, 15, -1))
    assert order(reranker.rerank("q", docs))[:11] == [*range(29, 19, -1), 0]
    few = reranker.rerank("q", docs, top_n=1)
    assert few.calls < reranker.rerank("q", docs).calls
    asked = Reranker("any", method="setwise-heapsort-labels", options={"k": 3})
    assert order(asked.rerank("q", docs, top_n=5)) == [29, 28, 27, 0, 1]


def test_a_list_has_no_scores_and_none_is_made_up(opened):
    opened(reversed_list)
    ranking = Reranker("any", method="full-ranking").rerank("q", DOCS)
    assert order(ranking) == [3, 2, 1, 0]
    assert [hit.score for hit in ranking] == [None] * 4


def test_a_rating_that_cannot_be_read_is_none_and_last(opened):
    """It was minus infinity, which is no score of a model's and no JSON."""
    opened(lambda r: Reply(scores=(float("nan") if "blue" in r.want.doc else 1.0,)))
    ranking = Reranker("any", method="scorer").rerank("q", DOCS)
    assert order(ranking) == [0, 2, 3, 1] and ranking[3].score is None
    assert ranking.answers["unreadable"] == 1


def test_many_queries_come_back_in_the_order_given_equal_ones_too(opened):
    opened(counted, at_once=1, seed=3)
    batch = [("a", ["sky", "x"]), ("b", []), ("a", ["x", "sky"]), ("a", ["sky", "x"])]
    rankings = Reranker("any", method="scorer").rerank_many(iter(batch))
    assert [order(ranking) for ranking in rankings] == [[0, 1], [], [1, 0], [0, 1]]
    assert Reranker("any", method="scorer").rerank_many([]) == []


def broken(request):
    return Reply(error="HTTP 500") if "blue" in request.want.doc else counted(request)


def test_an_error_is_raised_with_what_went_wrong(opened):
    opened(broken)
    reranker = Reranker("any", method="scorer")
    with pytest.raises(EngineError, match="HTTP 500"):
        reranker.rerank("sky", DOCS)
    assert order(reranker.rerank("sky", ["a", "sky"])) == [1, 0]


def test_with_keep_a_failed_query_is_marked_and_as_it_was_and_others_are_reranked(opened):
    opened(broken)
    reranker = Reranker("any", method="scorer", on_error="keep")
    failed, fine = reranker.rerank_many([("sky", DOCS), ("sky", ["a", "sky"])], top_n=3)
    assert order(failed) == [0, 1, 2] and failed.error == "HTTP 500"
    assert failed.answers["failed"] == 1
    assert order(fine) == [1, 0] and fine.error == ""


def test_a_ranking_says_what_its_scores_are_and_that_all_went_well(opened):
    opened(counted)
    ranking = Reranker("any", method="scorer").rerank("sky", DOCS)
    assert (ranking.query, ranking.method, ranking.score_kind) == ("sky", "scorer", "logit")
    assert (ranking.status, ranking.issues) == ("ok", ())
    opened(reversed_list)
    assert Reranker("any", method="full-ranking").rerank("q", DOCS).score_kind == "none"


def test_what_went_wrong_stands_in_the_status_and_the_issues(opened):
    opened(lambda r: Reply(scores=(float("nan") if "blue" in r.want.doc else 1.0,)))
    partial = Reranker("any", method="scorer").rerank("q", DOCS)
    assert partial.status == "partial"
    assert [(i.kind, i.count, i.text) for i in partial.issues] == [
        ("unreadable", 1, "1 of 4 replies say nothing")
    ]
    opened(broken)
    failed = Reranker("any", method="scorer", on_error="keep").rerank("sky", DOCS)
    assert failed.status == "fallback" and failed.issues[0].kind == "failed"
    spent = Reranker("any", method="scorer", budget={"calls": 2}, on_error="keep")
    stopped = spent.rerank("sky", ["a", "sky", "c"])
    assert stopped.status == "partial" and stopped.issues[0].kind == "unasked"


@pytest.mark.parametrize("budget", [{"calls": 1}, {"tokens": 5}])
def test_a_failure_within_a_budget_keeps_the_old_order_too(opened, budget):
    opened(broken)
    reranker = Reranker("any", method="scorer", budget=budget, on_error="keep")
    failed = reranker.rerank("sky", ["blue", "sky", "c"])
    assert failed.status == "fallback" and order(failed) == [0, 1, 2]
    assert [hit.score for hit in failed] == [None] * 3


def test_ids_are_kept_and_never_made_up(opened):
    opened(counted)
    docs = [{"text": "sky sky", "id": 7}, {"text": "sky", "id": "x"}, {"text": "a"}, "b"]
    assert Reranker("any", method="scorer").rerank("sky", docs).ids == ["7", "x", None, None]


def test_objects_of_other_libraries_are_read_and_come_back(opened):
    opened(counted)
    docs = [
        SimpleNamespace(page_content="sea", id="a"),
        SimpleNamespace(content="sky sky", id="b"),
        SimpleNamespace(text="sky", id=None),
    ]
    ranking = Reranker("any", method="scorer").rerank("sky", docs)
    assert ranking.ids == ["b", None, "a"]
    assert all(hit.document is docs[hit.index] for hit in ranking)


def test_a_callers_own_documents_are_read_with_his_own_function(opened):
    opened(counted)
    reranker = Reranker("any", method="scorer", text=lambda pair: pair[1])
    assert order(reranker.rerank("sky", [("a", "sea"), ("b", "sky")])) == [1, 0]
    with pytest.raises(InputError, match="document 0 is a tuple; its `text` gives no text"):
        Reranker("any", method="scorer", text=lambda pair: None).rerank("sky", [("a", "sea")])


def test_the_example_of_the_package_is_what_it_exports():
    import rerank

    assert rerank.Reranker is Reranker
    with pytest.raises(AttributeError, match="no attribute 'Rerankr'"):
        _ = rerank.Rerankr
