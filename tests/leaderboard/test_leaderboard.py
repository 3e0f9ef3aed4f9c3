"""Tables of results: best first, comparable, and the same bytes for the same results."""

from rerank.leaderboard import summary, table
from rerank.markdown import markdown


def result(name="x", suite="s", strategy="pointwise", limit=None, first="bm25", **measures):
    answers = {"ok": 5, "repaired": 1, "unreadable": 2, "failed": 3}
    cost = {"calls": 1234567, "rounds": 1.5, "prompt_tokens": 1000, "completion_tokens": 234,
            "answers": answers, "seconds": 1234.56}  # fmt: skip
    return {
        "name": name, "suite": suite, "strategy": strategy, "limit": limit, "first": first,
        "mean": measures, "first_stage": {"ndcg@10": 0.25}, "cost": cost,
    }  # fmt: skip


def cells(text):
    """The rows of a Markdown table, its head first."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_a_row_says_what_a_run_is_worth_and_what_it_took():
    head, _, row = cells(table({"mine": result(**{"ndcg@10": 0.5, "map": 1 / 3})}))
    assert head == ["run", "ndcg@10", "map", "calls", "rounds", "tokens", "not ok", "seconds"]
    assert row == ["mine", "0.5000", "0.3333", "1,234,567", "1.50", "1,234", "6", "1,234.6"]


def test_rows_are_best_first_by_the_first_measure_and_by_name_where_equal():
    rows = {name: result(a=worth, b=-worth) for name, worth in
            {"c": 0.5, "low": 0.1, "a": 0.5, "high": 0.9, "b": 0.5}.items()}  # fmt: skip
    assert [row[0] for row in cells(table(rows))[2:]] == ["high", "a", "b", "c", "low"]


def test_a_measure_that_a_run_lacks_is_a_dash_and_comes_last():
    rows = {"old": result(b=0.9), "new": result(a=0.1, b=0.2)}
    head, _, *body = cells(table({"new": rows["new"], "old": rows["old"]}))
    assert head[:3] == ["run", "a", "b"]
    assert [row[:3] for row in body] == [["new", "0.1000", "0.2000"], ["old", "-", "0.9000"]]


def test_runs_without_judgments_have_costs_alone():
    head, _, row = cells(table({"mine": result()}))
    assert head[:2] == ["run", "calls"] and row[0] == "mine"


def test_a_limited_run_says_so():
    assert cells(table({"mine": result(limit=5, a=1.0)}))[2][0] == "mine, first 5 queries"


def test_columns_line_up_texts_to_the_left_numbers_to_the_right():
    text = markdown([["name", "on", "n"], ["a", "longer", "1"], ["bb", "x", "10,000"]], texts=2)
    assert text == (
        "| name | on     |      n |\n"
        "| ---- | ------ | -----: |\n"
        "| a    | longer |      1 |\n"
        "| bb   | x      | 10,000 |\n"
    )


def test_a_summary_shows_the_first_stage_once_unless_it_is_a_run():
    mine, plain = result("mine", **{"ndcg@10": 0.5}), result("plain", strategy="first-stage")
    plain["mean"] = plain["first_stage"]
    rows = cells(summary({"f/mine": mine, "f/more": result("more", **{"ndcg@10": 0.1})}))[2:]
    assert [row[0] for row in rows] == ["mine", "bm25 (first stage)", "more"]
    assert rows[1][1:] == ["0.2500", *["-"] * 5]
    rows = cells(summary({"f/mine": mine, "f/plain": plain}))[2:]
    assert [row[0] for row in rows] == ["mine", "plain"]


def test_a_summary_of_two_suites_names_them_and_of_none_is_empty():
    two = summary({"a": result("a", "s1", x=1.0), "b": result("b", "s2", x=1.0)})
    assert two.startswith("s1\n\n| run") and "\n\ns2\n\n| run" in two
    assert summary({}) == ""


def test_a_limit_that_leaves_nothing_out_is_none():
    whole = result(limit=100, a=1.0)
    whole["cost"]["queries"] = 93
    assert cells(table({"mine": whole}))[2][0] == "mine"
