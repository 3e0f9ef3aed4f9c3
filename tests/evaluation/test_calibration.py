"""Probabilities that come true, curves that rise, cuts that keep what was asked for."""

import json
import math

import numpy as np
import pytest
from fakes import ScriptedEngine
from hypothesis import given, settings
from hypothesis import strategies as st

from rerank import InputError, Reranker, UsageError
from rerank.calibration import FITS, Calibration, Judged, fit, judged, kept, read_calibration
from rerank.calibration.mappings import sigmoid
from rerank.calibration.reliability import reliability, without_scores
from rerank.records import Query
from rerank.wants import Reply

KINDS = [*FITS]


def drawn(queries=60, docs=60, seed=0, differ=1.5, slope=3.0):
    """Judged queries whose curves differ by what their vectors say, and the vectors."""
    chance = np.random.default_rng(seed)
    vectors = chance.normal(size=(queries, 12))
    given = []
    for place, vector in enumerate(vectors):
        scores = chance.normal(0.3, 0.5, docs)
        offset = -1.5 + differ * vector[0]
        chances = 1 / (1 + np.exp(-(slope * scores + offset)))
        flags = chance.random(docs) < chances
        given.append(Judged(str(place), scores.tolist(), flags.tolist()))
    return given, lambda texts: vectors[[int(text) for text in texts]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_mapping_is_true_on_queries_that_it_has_not_seen(kind):
    given, encode = drawn(differ=0.0)
    _, measured = fit(given, kind, encode)
    assert measured.error < 0.03
    assert (measured.queries, measured.documents) == (60, 3600)
    assert sum(one.count for one in measured.curve) == 3600
    shares = [one.relevant for one in measured.curve]
    assert shares[0] < 0.1 and shares[-1] > 0.6


def test_platt_finds_the_curve_that_the_data_were_drawn_from():
    given, _ = drawn(queries=200, differ=0.0)
    mapping, _ = fit(given, "platt")
    assert mapping.slope == pytest.approx(3.0, abs=0.15)
    assert mapping.offset == pytest.approx(-1.5, abs=0.1)


@pytest.mark.slow
def test_an_adapter_knows_more_where_queries_differ_and_no_less_where_they_do_not():
    losses = {}
    for differ in (0.0, 1.5):
        given, encode = drawn(differ=differ)
        losses[differ] = [fit(given, kind, encode)[1].log_loss for kind in ("adapter", "platt")]
    adapter, platt = losses[1.5]
    assert adapter < platt - 0.05
    adapter, platt = losses[0.0]
    assert adapter == pytest.approx(platt, abs=0.005)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 50), st.lists(st.floats(-9, 9), min_size=2))
def test_every_mapping_rises_with_the_score_and_stays_a_probability(kind, seed, scores):
    """Also where the data say the opposite: documents fall with their scores there."""
    given, encode = drawn(queries=12, docs=8, seed=seed, slope=-3.0 if seed % 2 else 3.0)
    mapping, _ = fit(given, kind, encode)
    vector = encode(["3"])[0].tolist()
    found = [mapping.probability(score, vector) for score in sorted(scores)]
    assert found == sorted(found) and all(0 <= p <= 1 for p in found)


def test_isotonic_violators_share_a_block():
    """Rates 0, 1, 0, 1, 1 in order: the violators in the middle share a half."""
    given = [Judged("q", [0.1, 0.2, 0.3, 0.4, 0.5], [False, True, False, True, True])] * 10
    mapping, _ = fit(given, "isotonic")
    found = [mapping.probability(score, []) for score in (0.1, 0.25, 0.5)]
    assert found == pytest.approx([0.01, 0.5, 0.99])
    assert mapping.probability(-9, []) == found[0] and mapping.probability(9, []) == found[2]
    assert found[0] < mapping.probability(0.2, []) < found[1]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([Judged("q", [1.0], [True])] * 9, "9 judged queries.*needs 10 queries"),
        ([Judged("q", [1.0, 2.0], [False, False])] * 20, "0 of 40 documents relevant"),
        ([Judged("q", [1.0, 2.0], [True, True])] * 20, "40 of 40 documents relevant"),
    ],
)
def test_too_little_to_learn_from_is_refused(given, says):
    with pytest.raises(InputError, match=says):
        fit(given, "platt")
    with pytest.raises(UsageError, match="no mapping 'plat'; there are: adapter"):
        fit(given, "plat")


def test_a_run_and_its_judgments_become_judged_scores_and_ranks_are_refused():
    run = {"1": {"a": 0.7, "b": 0.1}, "2": {"a": 0.2}, "3": {"z": 1.0}}
    qrels = {"1": {"a": 2, "b": 1}, "2": {}}
    found = judged(run, qrels, {"1": Query("1", "one")}, relevant=2)
    assert found == [Judged("one", [0.7, 0.1], [True, False]), Judged("2", [0.2], [False])]
    with pytest.raises(InputError, match="are ranks"):
        judged({"1": {"a": 3.0, "b": 2.0, "c": 1.0}}, qrels, {})


def test_reliability_is_exact_for_a_case_by_hand():
    found = reliability(2, [(0.2, False)] * 5 + [(0.8, True)] * 4 + [(0.8, False)])
    assert found.brier == pytest.approx((5 * 0.04 + 4 * 0.04 + 0.64) / 10)
    assert found.log_loss == pytest.approx(-(9 * math.log(0.8) + math.log(0.2)) / 10)
    assert without_scores(found) == pytest.approx(-(0.4 * math.log(0.4) + 0.6 * math.log(0.6)))
    assert without_scores(reliability(1, [(0.9, True)])) == 0
    whole = reliability(1, [(0.25, i < 25) for i in range(100)])
    assert {one.probability for one in whole.curve} == {0.25} and len(whole.curve) == 10


def calibration(**changes):
    given, encode = drawn(queries=20)
    mapping, measured = fit(given, changes.pop("kind", "platt"), encode)
    about = {"model": "any", "method": "scorer", "score_kind": "logit"} | changes
    return Calibration(**about, relevant=1, judged="drawn", mapping=mapping, reliability=measured)


@pytest.mark.parametrize("kind", KINDS)
def test_a_calibration_is_read_as_it_was_written(tmp_path, kind):
    made = calibration(kind=kind)
    made.save(tmp_path / "c.json")
    assert read_calibration(tmp_path / "c.json") == made
    assert made.model_dump_json() == calibration(kind=kind).model_dump_json(), "the same bytes"


@pytest.mark.parametrize("text", ["{}", "no json", '{"model": 3}', "\udcff"])
def test_a_file_that_is_no_calibration_is_named(tmp_path, text):
    path = tmp_path / "c.json"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(InputError, match=r"c\.json(:1)?: "):
        read_calibration(path)
    with pytest.raises(InputError, match=r"none\.json: no such file"):
        read_calibration(tmp_path / "none.json")


# In a reranker.


@pytest.fixture
def reranker(monkeypatch):
    """A function that opens one whose scores the documents state themselves."""

    def opened(**options):
        def reply(request):
            if request.messages:
                return Reply(text="[1] > [2]")
            said = request.want.doc
            return Reply(scores=(float(said),))

        monkeypatch.setattr("rerank.library.reranker.open_engine", lambda *_: ScriptedEngine(reply))
        return Reranker("any", **{"method": "scorer", **options})

    return opened


DOCS = ["0.1", "2.0", "-1", "1.2", "nan"]


def test_a_ranking_is_cut_at_a_score_and_what_has_none_is_left_out(reranker):
    with reranker() as opened:
        assert opened.rerank("q", DOCS, keep={"score": 0.1}).documents == ["2.0", "1.2", "0.1"]
        assert opened.rerank("q", DOCS, 1, keep={"score": 0.1}).documents == ["2.0"]
        all_scored = opened.rerank("q", DOCS, keep={"score": -9})
        assert all_scored.documents == ["2.0", "1.2", "0.1", "-1"]
        assert len(opened.rerank("q", DOCS, keep={"score": 5})) == 0
        assert len(opened.rerank("q", [], keep={"score": 5})) == 0


def test_with_a_calibration_hits_have_probabilities_and_precision_cuts(reranker):
    made = calibration()
    with reranker(calibration=made) as opened:
        whole = opened.rerank("q", DOCS)
        chances = [hit.probability for hit in whole]
        assert chances[-1] is None
        curve = made.mapping
        expected = [sigmoid(curve.slope * hit.score + curve.offset) for hit in whole[:4]]
        assert chances[:4] == pytest.approx(expected)
        for precision in (0.3, 0.5, 0.6, 0.7, 0.8, 1.0):
            count = len(opened.rerank("q", DOCS, keep={"precision": precision}))
            means = [sum(chances[:n]) / n for n in range(1, 5)]
            assert count == sum(mean >= precision for mean in means)
        sure = opened.rerank("q", DOCS, keep={"probability": 0.5})
        assert len(sure) == sum(p >= 0.5 for p in chances[:4])


@settings(max_examples=100)
@given(st.lists(st.floats(0, 1)), st.floats(0.01, 1))
def test_precision_keeps_the_most_whose_mean_is_as_much(chances, precision):
    chances = sorted(chances, reverse=True)
    count = kept({"precision": precision}, chances, chances)
    total, longest = 0.0, 0
    for place, chance in enumerate(chances, 1):
        total += chance
        if total / place >= precision:
            longest = place
    assert count == longest or abs(sum(chances[:longest]) / longest - precision) < 1e-9


@pytest.mark.parametrize(
    ("keep", "says"),
    [
        ({"precision": 0.8}, "needs a calibration, since a logit is no probability"),
        ({"probability": 0.8}, "needs a calibration"),
        ({"score": "high"}, "keep score is 'high'; give a number"),
        ({"score": True}, "keep score is True"),
        ({"precision": 1.2}, "keep precision is 1.2; give a number above 0 and up to 1"),
        ({"recall": 0.9}, "give one of: score, probability, precision"),
        ({}, "give one of"),
        ({"score": 1, "precision": 0.5}, "give one of"),
    ],
)
def test_a_cut_that_cannot_be_made_is_refused_with_the_reason(reranker, keep, says):
    with reranker() as opened, pytest.raises(UsageError, match=says):
        opened.rerank("q", DOCS, keep=keep)


@pytest.mark.parametrize("keep", [{"score": 0.5}, {"precision": 0.5}])
@pytest.mark.parametrize("method", ["listwise", "full-ranking", "setwise-heapsort", "prp-sliding"])
def test_a_list_has_no_scores_and_cannot_be_cut(reranker, method, keep):
    with (
        reranker(method=method) as opened,
        pytest.raises(UsageError, match=f"method {method} gives an order and no scores"),
    ):
        opened.rerank("q", DOCS, keep=keep)


def test_a_calibration_of_other_scores_is_refused(reranker, tmp_path):
    for change in ({"model": "other"}, {"method": "yes-no"}, {"score_kind": "cosine"}):
        with pytest.raises(UsageError, match=r"this calibration is for the .*: fit one for it"):
            reranker(calibration=calibration(**change))
    calibration().save(tmp_path / "c.json")
    with reranker(calibration=tmp_path / "c.json") as opened:
        assert opened.rerank("q", ["1"])[0].probability is not None


def test_a_file_that_is_no_calibration_is_refused_before_a_model_is_opened(monkeypatch):
    """It was after eight seconds of loading."""
    opened = []
    monkeypatch.setattr("rerank.library.reranker.open_engine", lambda *of: opened.append(of))
    with pytest.raises(InputError, match=r"none\.json: no such file"):
        Reranker("any", method="scorer", calibration="none.json")
    assert opened == []


def test_a_query_that_failed_is_not_cut(monkeypatch):
    failing = ScriptedEngine(lambda _: Reply(error="HTTP 500"))
    monkeypatch.setattr("rerank.library.reranker.open_engine", lambda *_: failing)
    with Reranker("any", method="scorer", on_error="keep") as opened:
        ranking = opened.rerank("q", ["a", "b"], keep={"score": 0.5})
    assert ranking.status == "fallback" and len(ranking) == 2


@pytest.mark.slow
def test_the_command_fits_a_real_model_and_its_file_cuts_where_relevance_ends(tmp_path, capsys):
    from rerank import cli

    out = tmp_path / "demo.json"
    with pytest.raises(SystemExit):
        cli.app(["calibrate", "demo", "-o", str(out), "--json"])
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert found["model"] == "boxed" and found["score_kind"] == "logit"
    assert found["reliability"]["error"] < 0.1
    with Reranker("boxed", calibration=out) as opened:
        hits = opened.rerank(
            "how to keep bread from going stale",
            ["Store bread in a paper bag so that it does not go stale.", "A chain needs oil."],
        )
    assert hits[0].probability > hits[1].probability
    assert "hardly tell" in printed.err  # only near misses were judged
    first = ["--first", "runs/demo/bm25/run.trec.gz", "--depth", "20"]
    with pytest.raises(SystemExit):
        cli.app(["calibrate", "demo", "-o", str(out), *first])
    printed = capsys.readouterr()
    assert "without the scores" in printed.out and "hardly tell" not in printed.err


def test_an_adapter_takes_no_direction_that_queries_do_not_have():
    """Ten queries have fewer than eight where one is held out; of the rest it took rounding."""
    draw = np.random.default_rng(0)
    vectors, judgments = draw.normal(0, 1 / 8, (7, 64)), []
    for query in range(14):
        scores = draw.normal(0, 2, 50)
        flags = draw.random(50) < 1 / (1 + np.exp(-scores))
        judgments.append(Judged(str(query), scores.tolist(), flags.tolist()))
    mapping, _ = fit(judgments, "adapter", lambda names: vectors[[int(n) // 2 for n in names]], "e")
    assert np.abs(mapping.offsets).max() < 100
