"""A run folder that says what its files say is verified, and one that does not is told where."""

import gzip
import hashlib
import json
import sys
from pathlib import Path

import pytest
from small import beir

from rerank import cli, pipeline, runs
from rerank.errors import InputError, installing
from rerank.pipeline import evidence
from rerank.pipeline.verify import verify
from rerank.recipes import read_recipe
from rerank.records import Doc, Query

ORACLE = 'dataset = "small"\njudge = "oracle"\nmethod = "setwise-heapsort"\noracle.noise = 1\n'


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RERANK_CACHE", str(tmp_path / "cache"))
    beir(tmp_path / "small")
    return made("run", ORACLE)


def made(name, text):
    path = Path(name, "recipe.toml")
    path.parent.mkdir()
    path.write_text(text)
    pipeline.run(read_recipe(path), path.parent)
    return path.parent


def edited(folder, change):
    result = json.loads((folder / "result.json").read_text())
    change(result)
    (folder / "result.json").write_text(json.dumps(result))
    return verify(folder)


def test_a_run_as_it_was_made_is_verified(folder):
    assert verify(folder) == []


def test_a_number_that_was_changed_is_named_with_what_it_is(folder):
    def better(result):
        result["mean"]["ndcg@10"] = 0.999
        result["datasets"]["small"]["first_stage"]["recall@100"] = 0.5

    one, two = edited(folder, better)
    assert one == "small.first_stage.recall@100 is said to be 0.5, and is 1.0"
    assert two.startswith("mean.ndcg@10 is said to be 0.999, and is 0.")


def test_a_run_file_that_was_changed_shows_in_hash_scores_and_lost_candidates(folder):
    path = folder / runs.RUN
    lines = gzip.decompress(path.read_bytes()).decode().splitlines(keepends=True)
    path.write_bytes(gzip.compress("".join(lines[1:]).encode()))
    found = verify(folder)
    assert found[-3].startswith("small: 1 candidates of 1 queries are not in the run")
    assert found[-2].startswith("mean.") or found[-1].startswith("mean.")
    assert any(line.startswith("small.run_sha256 is said to be") for line in found)
    assert any("scores.parquet: ndcg@10 of 1 queries; that of 'q0' is" in line for line in found)


def test_packing_a_run_anew_changes_nothing(folder):
    path = folder / runs.RUN
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1))
    assert verify(folder) == []


def test_judgments_that_were_changed_show_in_their_hash_and_in_the_scores(folder):
    path = Path("small/qrels/test.tsv")
    path.write_text(path.read_text().replace("q0\td1\t3", "q0\td1\t0"))
    found = verify(folder)
    assert found[0].startswith("small.first_stage.ndcg@10") or "qrels_sha256" in " ".join(found)
    assert any(line.startswith("small.qrels_sha256") for line in found)
    assert any(line.startswith("small.mean.ndcg@10") for line in found)


def test_the_order_of_judgments_changes_nothing(folder):
    path = Path("small/qrels/test.tsv")
    head, *rows = path.read_text().splitlines(keepends=True)
    path.write_text(head + "".join(reversed(rows)))
    assert verify(folder) == []


def test_a_document_that_was_reworded_shows_in_the_candidates_hash_alone(folder):
    path = Path("small/corpus.jsonl")
    path.write_text(path.read_text().replace("common document3 ", "common document3! "))
    [line] = verify(folder)
    assert line.startswith("small.candidates_sha256 is said to be")


def test_a_recipe_that_was_changed_after_its_run_is_named(folder):
    (folder / "recipe.toml").write_text(ORACLE.replace("noise = 1", "noise = 2"))
    [line] = verify(folder)
    assert "oracle.noise is 1.0 in the run and 2 in it; it was run with --set" in line
    noisier = edited(folder, lambda result: result["recipe"]["oracle"].update(noise=2.0))
    [line] = noisier
    assert line.startswith("recipe_sha256 is said to be")


def test_a_run_made_in_place_with_set_is_verified_with_the_same_set(folder):
    """It said that the recipe is not the run's, and nothing else, whatever was set."""
    pipeline.run(read_recipe(folder / "recipe.toml", ["limit=2", "options.k=3"]), folder)
    [line] = verify(folder)
    assert line.startswith(f"{folder}/recipe.toml is not the recipe that this run was made from: ")
    assert "options.k is 3 in the run and not set in it, limit is 2 in the run and not" in line
    [line] = verify(folder, ["limit=2"])
    assert "limit" not in line and "options.k is 3 in the run and not set in it" in line
    assert verify(folder, ["limit=2", "options.k=3"]) == []
    found = verify(folder, ["limit=1", "options.k=3"])
    assert "limit is 2 in the run and not set in it" in found[0] and len(found) > 1


def test_a_key_that_is_as_usual_on_one_side_is_named_with_what_each_side_says(folder):
    (folder / "recipe.toml").write_text(f"{ORACLE}bm25.k1 = 0.9\nbm25.b = 0.5\n")
    pipeline.run(read_recipe(folder / "recipe.toml", ["bm25.k1=1.2", "bm25.b=0.4"]), folder)
    [line] = verify(folder)
    assert "bm25.b is 0.4 in the run and 0.5 in it, bm25.k1 is 1.2 in the run and 0.9 in" in line


def test_data_that_moved_are_named_and_can_be_pointed_at(folder):
    Path("small").rename("elsewhere")
    [line] = verify(folder)
    assert line.startswith("cannot be checked: no collection 'small'")
    Path("there").mkdir()
    Path("elsewhere").rename("there/small")
    assert verify(folder, ["dataset=there/small"]) == []


@pytest.mark.parametrize("name", [runs.RUN, runs.SCORES])
def test_a_file_that_is_missing_or_damaged_cannot_be_checked(folder, name):
    (folder / name).write_bytes((folder / name).read_bytes()[:100])
    [line] = verify(folder)
    assert line.startswith(f"cannot be checked: {folder}/{name}")
    (folder / name).unlink()
    [line] = verify(folder)
    assert line.startswith(f"cannot be checked: {folder}/{name}")


def test_scores_that_were_changed_are_named_by_measure_and_query(folder):
    scores = runs.read_scores(folder)
    scores["small"]["recall@100"]["q2"] = 0.25
    runs.write_scores(folder, scores)
    [line] = verify(folder)
    assert (
        line == "small in scores.parquet: recall@100 of 1 queries; that of 'q2' is 0.25, and is 1.0"
    )


def test_costs_that_do_not_add_up_are_named(folder):
    [line] = edited(folder, lambda result: result["cost"].update(calls=1))
    assert line.startswith("cost.calls is said to be 1, and is ")


@pytest.mark.parametrize("key", ["recipe", "recipe_sha256", "datasets", "scores", "cost"])
def test_a_result_of_another_shape_is_an_error_in_one_line(folder, key):
    with pytest.raises(InputError, match=r"result\.json: .*; repeat the run"):
        edited(folder, lambda result: result.pop(key))


def test_a_folder_without_a_result_is_named():
    with pytest.raises(InputError, match=r"small/result\.json: not there"):
        verify(Path("small"))


def test_runs_without_judgments_and_of_several_datasets_are_verified_too(tmp_path):
    beir(tmp_path / "large", queries=6, docs=20)
    Path("both.toml").write_text('datasets = ["small", "large"]\nmeasures = ["ndcg@10", "p@1"]\n')
    assert (
        verify(made("both", 'suite = "./both.toml"\nmethod = "listwise"\njudge = "oracle"\n')) == []
    )
    candidates = '"candidates": [{"docid": "x", "score": 1, "doc": "t"}]'
    listed = f'{{"query": {{"qid": "a", "text": "one"}}, {candidates}}}'
    Path("mine.jsonl").write_text(listed)
    assert verify(made("mine", 'first = "mine.jsonl"\nmethod = "first-stage"\n')) == []


def test_the_command_says_a_line_for_each_run_and_leaves_with_4(folder, capsys, monkeypatch):
    other = made("other", ORACLE)
    assert edited(other, lambda result: result["cost"].update(calls=1))

    def rerank(*arguments):
        monkeypatch.setattr(sys, "argv", ["rerank", "verify", *arguments])
        with pytest.raises(SystemExit) as exit:
            cli.main()
        return exit.value.code, capsys.readouterr().out

    assert rerank("run") == (0, "run: verified\n")
    code, out = rerank("run", "other")
    assert code == 4 and out.startswith("run: verified\nother: cost.calls is said to be 1")
    code, out = rerank("run", "other", "--json")
    assert code == 4 and json.loads(out)["run"] == []


# ---- what a result says


def test_a_result_names_what_it_was_made_from(folder):
    result = json.loads((folder / "result.json").read_text())
    part = result["datasets"]["small"]
    text = gzip.decompress((folder / "run.trec.gz").read_bytes())
    assert part["run_sha256"] == hashlib.sha256(text).hexdigest()
    assert {len(part[key]) for key in ("qrels_sha256", "candidates_sha256")} == {64}
    assert len(result["prompt_sha256"]) == 64
    assert (result["engine"], result["revision"], result["sampling"]) == (None, None, None)
    assert result["seeds"] == {"oracle": 0}
    assert "bm25s" in result["versions"] and "torch" not in result["versions"]


def test_a_result_has_the_fields_of_ir_metadata(folder):
    result = json.loads((folder / "result.json").read_text())
    found = result["ir_metadata"]
    assert (found["schema-version"], found["tag"]) == (0.1, "run")
    assert found["platform"]["hardware"]["cpu"]["number of cores"] >= 1
    assert found["research goal"]["evaluation"]["reported measures"] == ["ndcg@10", "recall@100"]
    first, second = found["method"]["retrieval"]
    assert first == {"name": "bm25", "method": "BM25", "params": {"k1": 0.9, "b": 0.4}}
    assert (second["method"], second["reranks"]) == ("setwise-heapsort", "bm25")
    assert found["data"]["test collection"]["name"] == "small"


@pytest.mark.parametrize(
    ("engine", "commit"),
    [
        ('scorer owner/m@abc {"dtype": "float32"}', "abc"),
        ('vllm owner/m {"commit": "def", "dtype": "bfloat16"}', "def"),
        ('vllm m {"commit": null}', None),
        ('http m {"extra_body": {}}', None),
        ("scripted", None),
        ("", None),
    ],
)
def test_the_revision_is_read_from_the_engines_name(engine, commit):
    assert evidence.revision(engine) == commit


def test_hashes_tell_apart_what_is_not_the_same():
    query, docs = Query("q", "words"), [Doc("a", "x"), Doc("b", "y")]
    one = evidence.candidates_sha256({query: docs})
    assert evidence.candidates_sha256({query: docs[::-1]}) != one
    assert evidence.candidates_sha256({Query("q", "other"): docs}) != one
    assert evidence.qrels_sha256({"q": {"a": 1}}) != evidence.qrels_sha256({"q": {"a": 2}})
    assert evidence.candidates_sha256({query: [Doc("a", "\ud800")]})


def test_scores_are_the_same_bytes_for_the_same_values(tmp_path):
    scores = {"d": {"ndcg@10": {"q1": 1 / 3, "q2": 0.0}, "map": {"q1": 0.1, "q2": 1.0}}}
    files = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        assert runs.write_scores(tmp_path / name, scores)
        files.append((tmp_path / name / runs.SCORES).read_bytes())
    assert files[0] == files[1]
    assert runs.read_scores(tmp_path / "a") == scores


def test_without_pyarrow_a_run_is_made_all_the_same_and_says_what_it_lacks(monkeypatch, caplog):
    monkeypatch.setattr(runs, "find_spec", lambda name: None)
    folder = made("plain", ORACLE)
    assert not (folder / runs.SCORES).exists()
    assert json.loads((folder / "result.json").read_text())["scores"] is None
    assert f"no scores.parquet; {installing('eval')}" in caplog.text
    assert verify(folder) == []


def test_a_recipe_is_the_same_in_whatever_order_its_options_stand(folder):
    assert verify(made("other", ORACLE + "options = { k = 3, children = 4 }\n")) == []
