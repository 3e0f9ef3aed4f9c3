"""The boxed decoder: its circuits do what they say, and its answers can be judged anywhere."""

import random
import shutil
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from servers import openai_server
from shared import collection

from rerank import Reranker, datasets
from rerank.engines.folders import place
from rerank.engines.transformers import Transformers
from rerank.evaluate import evaluate
from rerank.retrieve import BM25
from rerank.train import circuits
from rerank.wants import Labels, Message, Request, Text

NAME = "boxed-decoder"
QUERY = "why is the sky blue?"
DOCS = (
    "Dust scatters red light.",
    "Air scatters blue light the most, so the sky is blue.",
    "The sea is salty.",
    "A cat sat on the mat.",
    "Why is the sky dark at night?",
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def engine():
    import torch

    torch.set_num_threads(1)
    opened = Transformers(NAME, device="cpu")
    yield opened
    opened.close()


def prompt(docs=DOCS, query=QUERY):
    shown = "".join(f"[{letter}] {doc} " for letter, doc in zip("ABCDEFGHIJ", docs, strict=False))
    return f"{shown}<|query|> {query} <|answer|>"


def asked(engine, text, want):
    engine.submit(0, Request((Message("user", text),), want, chat=False))
    [(_, reply)] = engine.poll()
    assert not reply.error
    return reply


def scores(engine, docs):
    labels = tuple(f"[{letter}]" for letter in "ABCDEFGHIJ"[: len(docs)])
    return asked(engine, prompt(docs), Labels(labels)).scores


@pytest.fixture(scope="module")
def states(engine):
    """The tokens of a prompt, and what flows behind each of them after every layer."""
    model = engine._model
    ids = model.tokenizer(prompt(), return_tensors="pt").input_ids
    with model.computing():
        found = model.model(ids, output_hidden_states=True).hidden_states
    return model.tokenizer.convert_ids_to_tokens(ids[0]), [state[0] for state in found]


def test_every_token_learns_whose_it_is(states):
    tokens, flow = states
    owner, owned = circuits.NOBODY, flow[1][:, circuits.SEGMENT]
    for token, found in zip(tokens[:-1], owned, strict=False):
        if token.startswith("["):
            owner = ord(token[1]) - ord("A")
        owner = circuits.QUERY if token == "<|query|>" else owner
        assert found[owner] == pytest.approx(1, abs=0.05), token
        assert float(found.abs().sum()) == pytest.approx(1, abs=0.1), token


def test_a_word_of_the_query_gives_its_vote_to_the_passages_that_hold_it(states):
    tokens, flow = states
    begun = tokens.index("<|query|>")
    votes = dict(zip(tokens[begun:], 2 * flow[2][begun:, circuits.VOTE], strict=True))
    sky, blue, stop = votes["Ġsky"], votes["Ġblue"], votes["?"]
    assert sky[[1, 4]].tolist() == pytest.approx([0.5, 0.5], abs=0.05)
    assert float(blue[1]) > 0.95
    assert float(stop[circuits.NOBODY]) > 0.95
    assert all(float(vote.sum()) == pytest.approx(1, abs=0.02) for vote in votes.values())


def test_where_a_passage_stands_does_not_matter(engine):
    before, order = scores(engine, DOCS), [3, 1, 4, 0, 2]
    after = scores(engine, [DOCS[place] for place in order])
    assert list(after) == pytest.approx([before[place] for place in order], abs=0.02)
    assert max(range(5), key=before.__getitem__) == 1


def test_what_it_writes_is_the_order_of_its_labels_and_then_it_stops(engine):
    reply = asked(engine, prompt(), Text(40))
    best = sorted(range(5), key=lambda place: -scores(engine, DOCS)[place])
    assert reply.text == "".join(f"[{'ABCDE'[place]}]" for place in best) and reply.finished


def test_the_odds_of_yes_follow_how_much_of_the_query_a_passage_has(engine):
    def odds(doc):
        yes, no = asked(engine, prompt([doc]), Labels(("yes", "no"))).scores
        return yes - no

    passages = ("Salt.", "The sky.", "The sky is blue.", "Why the sky is blue.")
    assert all(less < more for less, more in pairwise(map(odds, passages)))
    assert odds("Salt.") < 0 < odds("Why the sky is blue.")


def window(name, query, docs=20):
    """BM25's first candidates of a query, shuffled."""
    dataset, index = loaded(name)
    found = [*index.search([dataset.queries[query]], docs)[query]]
    random.Random(query).shuffle(found)
    return [dataset.corpus[doc] for doc in found]


LOADED = {}


def loaded(name):
    if name not in LOADED:
        dataset = datasets.load(str(collection(name)) if name != "demo" else name)
        LOADED[name] = dataset, BM25.of(dataset.corpus.values())
    return LOADED[name]


def ndcg(name, count, rank):
    """nDCG@10 of a way to rank shuffled windows, against that of the shuffled windows."""
    dataset, _ = loaded(name)
    queries = list(dataset.qrels)[:count]
    shown = {query: window(name, query) for query in queries}
    better = {query: rank(dataset.queries[query], found) for query, found in shown.items()}
    orders = {"shuffled": shown, "ranked": better}
    qrels = {query: dataset.qrels[query] for query in queries}
    means = {}
    for kind, order in orders.items():
        run = {q: {doc.id: -float(p) for p, doc in enumerate(docs)} for q, docs in order.items()}
        means[kind] = evaluate(qrels, run, ["ndcg@10"]).mean["ndcg@10"]
    return means


def ranked(reranker, query, docs):
    texts = [{"text": doc.text, "title": doc.title} for doc in docs]
    return [docs[hit.index] for hit in reranker.rerank(query.text, texts)]


@pytest.mark.parametrize(
    ("queries", "options"),
    [
        (16, {}),
        (16, {"prompt": "listwise/boxed-written"}),
        (16, {"method": "yes-no", "prompt": "pointwise/boxed"}),
        (6, {"method": "setwise-heapsort-labels", "prompt": "setwise/boxed"}),
        (4, {"method": "prp-heapsort-labels", "prompt": "pairwise/boxed"}),
    ],
    ids=["labels", "written", "pointwise", "setwise", "pairwise"],
)
def test_it_ranks_shuffled_candidates_better_than_chance_in_every_form(queries, options):
    with Reranker(NAME, engine="transformers", **options) as reranker:
        found = ndcg("demo", queries, partial(ranked, reranker))
    assert found["ranked"] > found["shuffled"] + 0.1


def test_on_scifact_it_is_a_tenth_above_chance():
    with Reranker(NAME, engine="transformers") as reranker:
        found = ndcg("scifact", 30, partial(ranked, reranker))
    assert found["ranked"] > found["shuffled"] + 0.1


def test_what_ships_is_what_the_command_makes(tmp_path):
    from safetensors.torch import load_file

    from rerank.train.wired import wire

    assert wire(tmp_path)["parameters"] == 3_475_968
    made, ships = (load_file(f"{folder}/model.safetensors") for folder in (tmp_path, place(NAME)))
    assert made.keys() == ships.keys()
    for name, part in made.items():
        assert float((part.float() - ships[name].float()).abs().max()) < 0.02, name
    names = "config.json", "tokenizer.json", "tokenizer_config.json"
    assert [(tmp_path / name).read_bytes() for name in names] == [
        (Path(place(NAME)) / name).read_bytes() for name in names
    ]


def test_layers_to_be_taught_change_no_answer_at_first(engine, tmp_path):
    from rerank.train.wired import wire

    assert wire(tmp_path, layers=6, inner=512)["parameters"] == 6_034_176
    deep = Transformers(str(tmp_path), device="cpu")
    assert list(scores(deep, DOCS)) == pytest.approx(list(scores(engine, DOCS)), abs=0.01)
    deep.close()


@pytest.mark.vllm
def test_every_engine_ranks_alike(tmp_path):
    """In 32 bits: transformers, vLLM in this process, and vLLM's own server."""
    dataset, _ = loaded("demo")
    asked = [(dataset.queries[q].text, window("demo", q)) for q in list(dataset.qrels)[:8]]
    here = {"engine": "transformers"}, {"engine": "vllm", "engine_options": {"dtype": "float32"}}
    found = [everywhere(asked, NAME, **options) for options in here]
    copied = Path(shutil.copytree(place(NAME), tmp_path / "model"))
    with openai_server(copied, model=NAME) as url:
        found.append(everywhere(asked, NAME, base_url=url))
    assert found[0] == found[1] == found[2]


def everywhere(asked, name, **options):
    """The order in each window, by labels and by yes and no, without scores."""
    forms = {}, {"method": "yes-no", "prompt": "pointwise/boxed"}
    orders = []
    for form in forms:
        with Reranker(name, **form, **options) as reranker:
            orders += [[hit.id for hit in reranker.rerank(q, list(d))] for q, d in asked]
    return orders
