"""The page is one file under 3 MB whose texts are data: nothing in them can run."""

import base64
import hashlib
import json
import re

import pytest
from boards import HOSTILE, entry, small_board, view

from rerank.errors import InputError
from rerank.leaderboard import board, page
from rerank.leaderboard.view import View

CONTENT = re.compile(r'<script id="content" type="application/json">(.*?)</script>', re.S)


def content(text):
    return json.loads(CONTENT.search(text)[1])


def sha256(text):
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_same_boards_are_the_same_bytes():
    assert page([small_board()], {"small": [view()]}) == page([small_board()], {"small": [view()]})


def test_texts_of_strangers_cannot_end_the_block_that_they_are_in():
    hostile = view(words=HOSTILE + "\u2028\u2029&lt;")
    text = page([small_board()], {"small": [hostile]})
    assert text.count("</script>") == 2 and "<img" not in text
    assert not set("<>&\u2028\u2029") & set(CONTENT.search(text)[1])
    [found] = content(text)
    assert HOSTILE in found["views"][0]["queries"][0]["text"]
    assert found["views"][0]["docs"][0][1].startswith(HOSTILE)


def test_the_policy_lets_run_what_ships_and_nothing_else():
    text = page([small_board()], {})
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    script = re.findall(r"<script>(.*?)</script>", text, re.S)[0]
    style = re.search(r"<style>(.*?)</style>", text, re.S)[1]
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{sha256(script)}';"
        f" style-src 'sha256-{sha256(style)}'; base-uri 'none'; form-action 'none'"
    )
    assert "unsafe" not in policy and "http" not in script.replace("http://www.w3.org/2000/svg", "")


def test_nothing_in_the_script_reads_text_as_markup():
    script = re.findall(r"<script>(.*?)</script>", page([], {}), re.S)[0]
    for way in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Function("):
        assert way not in script


def test_a_view_has_texts_rankings_grades_and_replies():
    [found] = content(page([small_board()], {"small": [view()]}))
    seen = found["views"][0]
    assert seen["all"] == len(seen["queries"]) == 30
    assert seen["queries"][0]["judged"] == [[3, 1], [2, 1], [1, 1], [0, 1]]
    number = {doc: n for n, (doc, _) in enumerate(seen["docs"])}
    assert seen["queries"][0]["grades"] == {
        str(number[doc]): grade for doc, grade in (("d0", 3), ("d1", 0), ("d2", 1))
    }
    assert seen["firsts"][0]["name"] == "bm25 (first stage)"
    dear = next(i for i, run in enumerate(found["runs"]) if run["name"] == "dear")
    first, second = seen["replies"][str(dear)][0]
    assert first[1:] == ["[1] > [2] a passage", [], "ok"]
    assert second[2:] == [[0.25, -1.5], "unreadable"]


@pytest.mark.slow
def test_a_page_that_would_be_too_large_has_shorter_passages_and_then_fewer_queries():
    docs = {f"d{i}": "word " * 2000 for i in range(12000)}
    one = small_board()
    wide = {
        key: {f"q{i:02}": list(docs)[i * 400 : i * 400 + 400] for i in range(30)}
        for key in one.means
    }
    text = page([one], {"small": [View("one", docs=docs, lists=wide)]})
    assert len(text.encode()) < 3_000_000
    lengths = {len(words) for _, words in content(text)[0]["views"][0]["docs"]}
    assert 40 <= max(lengths) <= 160
    huge = board("x", [entry(f"{i} {'x' * 4000}") for i in range(2)], ["ndcg@10"])
    with pytest.raises(InputError, match="the table alone is over 2,900,000 bytes"):
        page([huge] * 400, {})


def test_of_many_queries_those_are_shown_on_which_runs_differ_most():
    names = [f"q{i:03}" for i in range(400)]
    flat = {"one": {"ndcg@10": dict.fromkeys(names, 0.5)}}
    other = {"one": {"ndcg@10": {q: 0.9 if i < 10 else 0.5 for i, q in enumerate(names)}}}
    runs = [entry("a", values=flat), entry("b", values=other)]
    found = board("x", runs, ["ndcg@10"])
    [seen] = content(page([found], {"x": [View("one")]}))[0]["views"]
    ids = [query["id"] for query in seen["queries"]]
    assert (len(ids), seen["all"]) == (250, 400) and ids == sorted(ids) and ids[:10] == names[:10]


def test_a_page_of_no_runs_is_a_page():
    assert content(page([], {})) == []
