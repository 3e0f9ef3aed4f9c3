"""What there is: methods, prompts, and the leaderboard of all runs."""

import json
from pathlib import Path

import pytest
from typed import ORACLE, recipe

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("here")


def test_methods_are_listed_each_with_what_it_costs_and_whose_it_is(rerank):
    from rerank.methods import METHODS

    code, out, _ = rerank("methods")
    assert code == 0 and all(f"{m.paper}\n" in out and name in out for name, m in METHODS.items())
    _, out, _ = rerank("methods", "--json")
    assert list(json.loads(out)) == list(METHODS)


def test_prompts_are_listed_in_columns(rerank):
    code, out, _ = rerank("prompts", "list")
    listed = [line.split() for line in out.splitlines()]
    assert code == 0 and ["pairwise/prp", "Compare", "preferred-passage"] in [p[:3] for p in listed]
    starts = {line.index(words[1]) for line, words in zip(out.splitlines(), listed, strict=True)}
    assert len(starts) == 1
    _, out, _ = rerank("prompts", "list", "--json")
    assert json.loads(out)["pairwise/prp"]["asks"] == "Compare"


def test_a_prompt_is_shown_as_its_file_is(rerank, fails):
    _, out, _ = rerank("prompts", "show", "pairwise/prp")
    assert out == (ROOT / "prompts/pairwise/prp.toml").read_text()
    code, err = fails("prompts", "show", "nope")
    assert code == 4 and "no prompt called 'nope'; there are: " in err
    Path("latin.toml").write_bytes(b'user = "caf\xe9"\n')
    code, err = fails("prompts", "show", "./latin.toml")
    assert code == 4 and "latin.toml:1: not UTF-8: byte 0xe9" in err


def test_a_prompt_is_rendered_with_what_is_given(rerank):
    asked = ("--query", "why {{ x }}?", "--doc", "one", "--doc", "two", "--doc", "three")
    _, out, _ = rerank("prompts", "render", "listwise/rank-zephyr", *asked)
    assert "why {{ x }}?" in out and "[3] three" in out and "--- user" in out
    _, out, _ = rerank("prompts", "render", "listwise/first", *asked, "--json")
    rendered = json.loads(out)
    assert rendered["messages"][-1]["role"] == "user" and rendered["prefill"] == "["
    _, out, _ = rerank("prompts", "render", "pairwise/prp", "--doc", "one")
    assert '"one"' in out and '"a passage"' in out


def test_every_prompt_renders(rerank):
    _, out, _ = rerank("prompts", "list", "--json")
    for name in json.loads(out):
        code, out, err = rerank("prompts", "render", name)
        assert (code, err) == (0, "") and out


def test_the_leaderboard_is_written_checked_and_found_stale(rerank, fails, small):
    runs = ("--out", "runs/small")
    rerank("run", recipe(ORACLE), *runs)
    code, err = fails("leaderboard", "--check")
    assert code == 4 and "eval/LEADERBOARD.md: is not what the runs say; run: rerank leade" in err
    code, out, err = rerank("leaderboard")
    assert (code, out) == (0, "") and "rerank: wrote eval/LEADERBOARD.md\n" in err
    written = Path("eval/LEADERBOARD.md").read_bytes()
    assert b"[mine](../runs/small/mine)" in written
    assert rerank("leaderboard", "--check")[0] == 0
    assert rerank("leaderboard")[0] == 0 and Path("eval/LEADERBOARD.md").read_bytes() == written
    rerank("run", recipe(ORACLE, "more"), *runs)
    assert fails("leaderboard", "--check")[0] == 4
    assert Path("eval/LEADERBOARD.md").read_bytes() == written
    assert fails("leaderboard", "--runs", "nowhere")[0] == 4
    written = Path("eval/LEADERBOARD.md").read_bytes()
    code, err = fails("leaderboard", "--runs", "small")
    assert (code, err) == (4, "rerank: small: no run folder in it; `rerank run` makes one\n")
    assert Path("eval/LEADERBOARD.md").read_bytes() == written, "it was replaced by nothing"
