"""Judges: the oracle answers from judgments; the model judge words, sends, shortens and reads."""

import math

import pytest
from fakes import ScriptedEngine
from hypothesis import given, settings
from hypothesis import strategies as st

from rerank.errors import EngineError, UsageError
from rerank.judges import LLMJudge, Oracle
from rerank.prompts import read_prompt
from rerank.questions import Compare, Order, Pick, Question, Rate
from rerank.records import Doc, Query, Status, Usage
from rerank.scheduler import drive
from rerank.strategies import STRATEGIES
from rerank.wants import Labels, Pair, Reply, Text

QUERY = Query("q", "why?")
A, B, C, D = (Doc(name, f"text {name}") for name in "abcd")
QRELS = {"q": {"a": 1, "b": 2, "c": 0}, "other": {"a": 9}}
EVERY_KIND = [Rate(A), Compare(A, B), Pick((A, B, C)), Order((C, A, B))]


def told(judge, *questions):
    """The answers to questions that are asked together, in their order."""
    for ticket, question in enumerate(questions):
        judge.submit(ticket, QUERY, question)
    answers = {}
    while len(answers) < len(questions):
        answers |= dict(judge.poll())
    return [answers[ticket] for ticket in range(len(questions))]


def values(judge, *questions):
    return [answer.value for answer in told(judge, *questions)]


# ------------------------------------------------------------------------------------ the oracle


def test_the_oracle_answers_each_question_from_the_judgments():
    oracle = Oracle(QRELS)
    assert values(oracle, Rate(B), Rate(C), Rate(D)) == [2, 0, 0]
    assert values(oracle, Compare(A, B), Compare(B, A), Compare(C, D)) == [0.0, 1.0, 0.5]
    assert values(oracle, Pick((C, B, A)), Order((C, D, A, B))) == [[0, 2, 1], [B, A, C, D]]


def test_the_oracle_keeps_the_order_of_equal_documents_and_every_one_of_them():
    twin = Doc("c", "another text")
    assert values(Oracle(QRELS), Order((D, C, twin, C))) == [[D, C, twin, C]]
    assert values(Oracle(QRELS, bias=1), Order((C, C, D))) == [[C, C, D]]


def test_the_oracle_has_an_answer_to_questions_about_nothing():
    assert values(Oracle(QRELS, noise=1, bias=1), Order(()), Pick(())) == [[], []]


def test_a_query_without_judgments_has_no_relevant_documents():
    oracle = Oracle(QRELS)
    oracle.submit(0, Query("unjudged", ""), Order((A, B)))
    oracle.submit(1, Query("other", ""), Compare(B, A))
    assert [(t, answer.value) for t, answer in oracle.poll()] == [(0, [A, B]), (1, 0.0)]


def test_the_oracle_refuses_what_is_no_question():
    class Guess(Question):
        documents = (A,)

    with pytest.raises(TypeError, match="the oracle was asked"):
        Oracle(QRELS).submit(0, QUERY, Guess())


def test_the_oracle_hands_each_answer_over_once():
    oracle = Oracle(QRELS)
    assert len(told(oracle, *EVERY_KIND)) == 4
    assert list(oracle.poll()) == []


@given(st.permutations(EVERY_KIND * 2), st.integers(0, 3))
@settings(deadline=None, max_examples=30)
def test_noise_depends_on_the_seed_and_the_question_alone(questions, seed):
    apart = {q: values(Oracle(QRELS, noise=1, seed=seed), q)[0] for q in EVERY_KIND}
    assert values(Oracle(QRELS, noise=1, seed=seed), *questions) == [apart[q] for q in questions]


def test_noise_is_another_for_another_seed_query_question_or_order():
    def rate(doc=A, query=QUERY, seed=0, question=Rate):
        oracle = Oracle({}, noise=1, seed=seed)
        oracle.submit(0, query, question(doc))
        return next(iter(oracle.poll()))[1].value

    assert len({rate(), rate(B), rate(query=Query("p", "")), rate(seed=1)}) == 4
    oracle = Oracle({}, noise=1)
    one, other, alone, rated = values(oracle, Pick((A, B)), Pick((B, A)), Pick((A,)), Rate(A))
    assert len({*one, *other, *alone, rated}) == 6


def test_noise_has_the_size_that_was_asked_for():
    docs = [Doc(str(i), "") for i in range(2000)]
    noise = values(Oracle({}, noise=0.5), *map(Rate, docs))
    assert abs(sum(noise) / len(noise)) < 0.05
    assert math.sqrt(sum(n * n for n in noise) / len(noise)) == pytest.approx(0.5, abs=0.03)


def test_bias_is_a_bonus_in_grades_for_the_document_that_is_shown_first():
    oracle = Oracle(QRELS, bias=1.5)
    assert values(oracle, Compare(A, B), Compare(B, A), Compare(C, B)) == [1.0, 1.0, 0.0]
    assert values(oracle, Pick((A, B, C)), Order((A, B, C))) == [[2.5, 2, 0], [A, B, C]]
    assert values(oracle, Order((C, B, A))) == [[B, C, A]]
    assert values(oracle, Rate(A)) == [1]


# ------------------------------------------------------------------------------- the model judge


def scripted_judge(prompt="listwise/rank-zephyr", reply=None, **options):
    """A judge over a scripted engine, and the engine."""
    engine = ScriptedEngine(reply or (lambda request: Reply("[2] > [1]")), **options)
    return LLMJudge(read_prompt(prompt), engine), engine


def long(doc_id, words, word="wordy"):
    return Doc(doc_id, " ".join([word] * words))


@pytest.mark.parametrize(
    ("prompt", "question", "reply", "value", "status"),
    [
        ("listwise/rank-zephyr", Order((A, B)), Reply("[2] > [1]"), [B, A], Status.OK),
        ("listwise/rank-zephyr", Order((A, B)), Reply("[2]"), [B, A], Status.REPAIRED),
        ("listwise/rank-zephyr", Order((A, B)), Reply("hm"), [A, B], Status.UNREADABLE),
        ("listwise/first", Order((A, B)), Reply(scores=(-2.0, -1.0)), [B, A], Status.OK),
        ("setwise/setwise", Pick((A, B)), Reply("Passage B"), [0.0, 1.0], Status.OK),
        ("setwise/setwise-labels", Pick((A, B)), Reply(scores=(0.0, 0.0)), [0.5, 0.5], Status.OK),
        ("pairwise/prp", Compare(A, B), Reply("Passage A"), 1.0, Status.OK),
        ("pairwise/prp-labels", Compare(A, B), Reply(scores=(0.0, 0.0)), 0.5, Status.OK),
        ("pointwise/yes-no", Rate(A), Reply(scores=(-1.0, -3.0)), 2.0, Status.OK),
        ("pointwise/score", Rate(A), Reply(scores=(7.5,)), 7.5, Status.OK),
        ("pointwise/score", Rate(A), Reply(scores=()), -math.inf, Status.UNREADABLE),
    ],
)
def test_a_reply_becomes_an_answer_with_its_status_and_cost(prompt, question, reply, value, status):
    spent = Usage(11, 7, 3)
    paid = Reply(reply.text, reply.scores, spent)
    judge, engine = scripted_judge(prompt, lambda request: paid)
    [answer] = told(judge, question)
    assert (answer.value, answer.status, answer.usage) == (value, status, spent)
    assert len(engine.requests) == 1


def test_many_questions_are_out_at_once_and_each_gets_its_own_answer():
    def reply(request):
        scores = [-float(label == " B") for label in request.want.labels]
        backwards = "text b" in request.messages[0].content.split("Passage B")[0]
        return Reply(scores=tuple(scores[::-1] if backwards else scores))

    judge, engine = scripted_judge("pairwise/prp-labels", reply, at_once=2, seed=4)
    first, second = values(judge, *[Compare(A, B)] * 20, *[Compare(B, A)] * 20)[::39]
    assert first > 0.7 > 0.3 > second
    assert len(engine.requests) == 40


def test_an_error_of_the_engine_is_a_failed_answer_and_no_digit_of_it_is_read():
    error = "maximum context length is 8192 tokens: [2] > [1]"
    judge, _ = scripted_judge(reply=lambda request: Reply(usage=Usage(5), error=error))
    [answer] = told(judge, Order((A, B)))
    assert (answer.value, answer.status, answer.error) == (None, Status.FAILED, error)
    assert answer.usage == Usage(5)


def test_statuses_are_counted_by_the_scheduler():
    replies = iter([Reply("[2] > [1]"), Reply("[2]"), Reply("?"), Reply("[1] > [2]")])
    judge, _ = scripted_judge(reply=lambda request: next(replies), at_once=1)
    jobs = list(
        drive(((Query(str(q), ""), STRATEGIES["full-ranking"]([A, B])) for q in range(4)), judge)
    )
    counted = sum((job.statuses for job in jobs), start=jobs[0].statuses.__class__())
    assert counted == {Status.OK: 2, Status.REPAIRED: 1, Status.UNREADABLE: 1}


def test_passages_longer_than_the_prompt_shows_are_counted():
    judge, _ = scripted_judge()
    [answer] = told(judge, Order((long("1", 310), long("2", 300), long("3", 400))))
    assert (answer.truncated, answer.cut) == (2, 110)


def test_what_a_scoring_model_cuts_is_counted_once():
    judge, engine = scripted_judge(
        "pointwise/score", lambda request: Reply(scores=(1.0,), truncated=40)
    )
    [answer] = told(judge, Rate(long("1", 1000)))
    assert (answer.truncated, answer.cut) == (1, 0)  # tokens are no words
    assert len(engine.requests[0].want.doc.split()) == 1000


# ----------------------------------------------------------------------------- prompts too long


def words_shown(request, count, word="wordy"):
    lines = request.messages[-1].content.splitlines()[2 : 2 + count]
    return [line.count(word) for line in lines]


def test_a_prompt_that_is_too_long_is_sent_again_with_shorter_passages():
    judge, engine = scripted_judge(limit=600)
    docs = tuple(long(str(i), 100) for i in range(5))
    [answer] = told(judge, Order(docs))
    assert answer.status is Status.REPAIRED  # the script names two of five
    sizes = words_shown(engine.requests[-1], 5)
    assert len(set(sizes)) == 1
    assert 540 < engine.tokens(engine.requests[-1]) <= 600
    assert (answer.truncated, answer.cut) == (5, 500 - sum(sizes))
    assert len(engine.requests) <= 3


@pytest.mark.parametrize("word", ["a", "wordy", "x" * 40, "検索", "ไทย" * 13])
@pytest.mark.parametrize("bytes_a_token", [1.5, 3.0, 4.0, 4.6, 6.0])
@pytest.mark.parametrize("count", [1, 2, 20, 100])
def test_one_huge_passage_among_small_ones_fits_after_a_few_tries(word, bytes_a_token, count):
    """Half of what fits is shown at least; where the guess is good, the small ones stay whole."""
    judge, engine = scripted_judge(bytes_a_token=bytes_a_token)
    small = tuple(long(str(i), 3, word) for i in range(count - 1))
    told(judge, Order((*small, long("huge", 40, word))))
    engine.limit = engine.tokens(engine.requests.pop())
    [answer] = told(judge, Order((*small, long("huge", 300, word))))
    assert answer.status is not Status.FAILED
    assert len(engine.requests) <= 4
    *others, huge = words_shown(engine.requests[-1], count, word)
    assert huge + sum(others) >= (40 + 3 * len(others)) // 2 - count
    if bytes_a_token >= 4:
        assert others == [3] * (count - 1)
        assert answer.truncated == 1


@given(st.lists(st.integers(0, 320), min_size=1, max_size=20), st.integers(0, 900), st.floats(2, 8))
@settings(deadline=None, max_examples=30)
def test_shrinking_always_ends_and_counts_what_was_cut(sizes, room, bytes_a_token):
    judge, engine = scripted_judge(bytes_a_token=bytes_a_token)
    docs = [long(str(i), words) for i, words in enumerate(sizes)]
    told(judge, Order(tuple(Doc(doc.id, "") for doc in docs)))
    engine.limit = engine.tokens(engine.requests.pop()) + room
    [answer] = told(judge, Order(tuple(docs)))
    assert answer.status is not Status.FAILED
    assert len(engine.requests) <= 12
    shown = sum(words_shown(engine.requests[-1], len(docs)))
    assert (answer.cut, bool(answer.truncated)) == (sum(sizes) - shown, shown < sum(sizes))


def test_a_prompt_that_does_not_fit_even_without_passages_fails():
    judge, engine = scripted_judge(limit=50)
    [answer] = told(judge, Order((long("1", 300), long("2", 10))))
    assert (answer.value, answer.status) == (None, Status.FAILED)
    assert answer.error == "the prompt does not fit the model, even without its passages"
    assert words_shown(engine.requests[-1], 2) == [0, 0]
    assert (answer.truncated, answer.cut) == (2, 310)
    assert len(engine.requests) <= 12


def test_what_every_try_cost_is_added_up():
    """A server may compute a prompt before it is found to have been cut."""
    replies = iter([Reply(overflow=9, usage=Usage(90)), Reply("[1] > [2]", usage=Usage(80, 4, 3))])
    judge, _ = scripted_judge(reply=lambda request: next(replies))
    [answer] = told(judge, Order((long("1", 50), long("2", 50))))
    assert answer.usage == Usage(170, 4, 3)


def test_a_pair_that_overflows_fails_at_once():
    judge, engine = scripted_judge("pointwise/score", lambda request: Reply(overflow=3))
    [answer] = told(judge, Rate(long("1", 300)))
    assert answer.status is Status.FAILED
    assert len(engine.requests) == 1


def test_while_one_prompt_shrinks_the_others_are_answered():
    judge, _ = scripted_judge(limit=200)
    judge.submit("long", QUERY, Order((long("1", 300), B)))
    judge.submit("short", QUERY, Order((A, B)))
    assert [ticket for ticket, _ in judge.poll()] == ["short"]
    found = []
    while not found:
        found = list(judge.poll())
    assert found[0][0] == "long"


# ---------------------------------------------------------------- passages cut at tokens


def fives(text, limit):
    """A tokenizer whose tokens are five characters each."""
    count = math.ceil(len(text) / 5)
    return text[: 5 * limit], min(count, limit), max(0, count - limit)


@pytest.fixture
def by_tokens(tmp_path):
    """A judge whose prompt cuts at four tokens, and its engine."""
    path = tmp_path / "mine.toml"
    path.write_text(
        'asks = "Order"\nsource = "s"\nreads = "permutation"\nlabels = "numbers"\ntokens = 4\n'
        "system = '{{ query }}'\nuser = '{% for doc in docs %}{{ doc.content }} {% endfor %}'"
    )

    def judge(cut, **options):
        judge, engine = scripted_judge(str(path), **options)
        engine.cut = cut
        return LLMJudge(judge.prompt, engine), engine

    return judge


def test_passages_are_cut_at_the_models_own_tokens_and_counted_in_them(by_tokens):
    judge, engine = by_tokens(fives)
    judge.check(2)
    [answer] = told(judge, Order((Doc("1", "x" * 33), Doc("2", "y" * 20), Doc("3", "z"))))
    assert engine.requests[0].messages[-1].content.split() == ["x" * 20, "y" * 20, "z"]
    assert (answer.truncated, answer.cut) == (1, 3)


def test_a_passage_is_cut_once_however_often_it_is_shown(by_tokens):
    cuts = []

    def counting(text, limit):
        cuts.append(text)
        return fives(text, limit)

    judge, _ = by_tokens(counting)
    docs = [Doc(str(i), f"{i} is shown") for i in range(3)]
    told(judge, *(Order((docs[i], docs[j])) for i in range(3) for j in range(3)))
    assert sorted(cuts) == sorted(doc.text for doc in docs)


def test_too_long_a_prompt_gives_up_tokens_as_it_would_give_up_words(by_tokens):
    judge, engine = by_tokens(fives, limit=8)
    [answer] = told(judge, Order((Doc("1", "x" * 20), Doc("2", "y" * 20))))
    assert engine.tokens(engine.requests[-1]) <= 8
    assert answer.cut > 0 and answer.truncated == 2


def test_an_engine_without_a_tokenizer_cannot_cut_at_tokens(by_tokens):
    judge, _ = by_tokens(None)
    with pytest.raises(EngineError, match="cuts passages at 4 tokens, but this engine has no"):
        judge.check(2)


# ------------------------------------------------------------------ a thought, then its scores


THOUGHT = Reply("It says so.", usage=Usage(50, 0, 9))


def reasoning(reply=THOUGHT, **options):
    """A judge with Rank1's prompt over an engine that reasons, then scores, and the engine."""

    def answer(request):
        scored = Reply(scores=(-1.0, -3.5), usage=Usage(60, 48, 1))
        return scored if isinstance(request.want, Labels) else reply

    return scripted_judge("pointwise/rank1", answer, **options)


def test_labels_are_scored_behind_the_thought_that_was_written_for_them():
    judge, engine = reasoning(at_once=1)
    answers = told(judge, Rate(A), Rate(B))
    assert [(a.value, a.status, a.usage) for a in answers] == [
        (2.5, Status.OK, Usage(110, 48, 10))
    ] * 2
    thoughts, scores = engine.requests[:2], engine.requests[2:]
    assert [type(request.want) for request in thoughts + scores] == [Text, Text, Labels, Labels]
    assert [request.prefill for request in scores] == ["\n<think>It says so.</think>"] * 2
    assert {r.messages for r in scores} == {r.messages for r in thoughts}


def test_a_thought_that_was_cut_off_is_not_scored():
    """The published code ends it at its last full stop and forces a verdict."""
    judge, engine = reasoning(Reply("It says", finished=False))
    [answer] = told(judge, Rate(A))
    assert (answer.value, answer.status) == (-math.inf, Status.UNREADABLE)
    assert len(engine.requests) == 1


def test_a_thought_that_leaves_no_room_for_its_scores_is_thought_again_over_less():
    lengths = iter([Reply("It says so."), Reply(overflow=40), Reply("So.")])

    def answer(request):
        return next(lengths, Reply(scores=(-1.0, -2.0)))

    judge, engine = scripted_judge("pointwise/rank1", answer)
    [answer] = told(judge, Rate(long("1", 100)))
    assert (answer.value, answer.truncated) == (1.0, 1)
    kinds = [type(request.want) for request in engine.requests]
    assert kinds == [Text, Labels, Text, Labels]
    assert engine.requests[-1].prefill == "\n<think>So.</think>"


def test_both_forms_of_a_prompt_are_checked_before_anything_is_asked():
    judge, engine = reasoning()
    judge.check(1)
    assert [type(request.want) for request in engine.checked] == [Text, Labels]
    judge, _ = reasoning(wants=(Text,))
    with pytest.raises(EngineError, match="wants Labels, but this engine serves Text"):
        judge.check(1)


# -------------------------------------------------------------------------- checks and guarding


def test_an_engine_that_cannot_serve_a_prompt_is_refused_in_one_line():
    judge, engine = scripted_judge("listwise/first", wants=(Text, Pair))
    with pytest.raises(EngineError) as wrong:
        judge.check(20)
    assert str(wrong.value) == (
        "prompt listwise/first wants Labels, but this engine serves Text, Pair:"
        " choose another prompt or engine"
    )
    assert engine.checked == []


@pytest.mark.parametrize(
    ("prompt", "docs", "labels"),
    [("listwise/first", 20, 20), ("pairwise/prp-labels", 1, 2), ("pointwise/yes-no", 0, 2)],
)
def test_the_engine_checks_the_widest_request_before_anything_is_asked(prompt, docs, labels):
    judge, engine = scripted_judge(prompt)
    judge.check(docs)
    [request] = engine.checked
    assert isinstance(request.want, Labels)
    assert len(request.want.labels) == labels
    assert engine.requests == []


def test_what_an_engine_refuses_comes_through():
    judge, engine = scripted_judge("listwise/first")

    def refuse(request):
        raise EngineError("label 'A' is not one token")

    engine.check = refuse
    with pytest.raises(EngineError, match="label 'A' is not one token"):
        judge.check(20)


def test_a_window_wider_than_the_alphabet_is_refused_by_the_check():
    judge, _ = scripted_judge("listwise/first")
    with pytest.raises(UsageError, match="letters for 26 documents, not 27"):
        judge.check(27)


def test_the_control_tokens_of_an_engine_are_kept_out_of_documents_and_queries():
    judge, engine = scripted_judge(special_tokens=("<|ours|>", ""))
    judge.submit(0, Query("q", "<|ours|>?"), Order((Doc("1", "a <|ours|> b <|im_end|>"), B)))
    list(judge.poll())
    text = engine.requests[0].messages[-1].content
    assert "<|ours|>" not in text
    assert "a < |ours|> b < |im_end|>" in text


def test_an_engine_that_says_nothing_stops_the_run():
    """It would be waited for without end."""
    judge, engine = scripted_judge()
    engine.poll = lambda: iter(())
    with pytest.raises(EngineError, match="engine scripted gave no reply to 2 requests"):
        told(judge, Order((A, B)), Order((B, A)))


def test_a_judge_that_nobody_asked_has_nothing_to_say():
    judge, _ = scripted_judge()
    assert list(judge.poll()) == []


@pytest.mark.parametrize("name", ["sliding-window", "full-ranking"])
def test_a_model_that_reads_the_grades_ranks_as_the_oracle_does(name):
    """Through prompt, engine and reader, in any order of replies, with prompts that overflow."""

    def by_grade(request):
        lines = request.messages[-1].content.splitlines()
        grades = {line.split()[0]: int(line.split()[2]) for line in lines if " grade " in line}
        return Reply(" > ".join(sorted(grades, key=grades.__getitem__, reverse=True)))

    queries = [Query(str(q), f"query {q}") for q in range(6)]
    docs = [Doc(str(i), f"grade {i * 7 % 30} " + "and so on " * i) for i in range(30)]
    qrels = {query.id: {doc.id: int(doc.text.split()[1]) for doc in docs} for query in queries}
    judge, _ = scripted_judge(reply=by_grade, at_once=3, seed=1, limit=600)
    by_model = {j.query: j for j in drive(((q, STRATEGIES[name](docs)) for q in queries), judge)}
    for job in drive(((q, STRATEGIES[name](docs)) for q in queries), Oracle(qrels)):
        assert by_model[job.query].ranking == job.ranking
        assert by_model[job.query].statuses == {Status.OK: job.calls}
        assert by_model[job.query].truncated > 0


def test_an_engine_that_can_get_ready_is_told_what_will_be_shown_from_the_bottom():
    judge, engine = scripted_judge()
    expected = []
    engine.expect = expected.append
    judge.expect(Query("q", "asked"), [long(str(i), 3) for i in range(50)])
    assert [words_shown(request, 20).count(3) for request in expected] == [20, 20, 10]
    judge.expect(Query("q", "asked"), [long(str(i), 3) for i in range(20)])
    assert len(expected) == 3
    assert not engine.requests
