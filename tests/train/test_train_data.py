"""A training reads each query for one purpose, and nothing that it is tested on."""

import pytest
import small
from trainings import candidates, run_of

from rerank.datasets import read_labels
from rerank.errors import InputError
from rerank.train.data import examples, grades, shown
from rerank.train.recipes import DataOptions


def data(tmp_path, **changes):
    given = {"candidates": str(candidates(tmp_path / "candidates.jsonl", 40)), "teacher": "labels"}
    return DataOptions(**(given | changes))


def test_a_query_is_trained_on_or_validated_on_and_never_both(tmp_path):
    training, validation = examples(data(tmp_path, validation=0.3))
    sides = [{example.query.id for example in side} for side in (training, validation)]
    assert not sides[0] & sides[1] and len(sides[0] | sides[1]) == 40
    assert 4 < len(validation) < 20
    assert examples(data(tmp_path, validation=0.3)) == (training, validation)


def test_a_label_is_read_beside_each_candidate_and_must_be_a_whole_number(tmp_path):
    path = candidates(tmp_path / "candidates.jsonl")
    assert read_labels(path)["q1"] == {"d0": 0, "d1": 2, "d2": 1, "d3": 0}
    path.write_text(path.read_text().replace('"label": 2', '"label": "2"'))
    with pytest.raises(InputError, match=r"candidate 1: 'label' must be a whole number, not '2'"):
        read_labels(path)


def test_a_teachers_order_becomes_its_places_and_grades_for_validation(tmp_path):
    run = run_of(tmp_path / "teacher.run", 40)
    training, _ = examples(data(tmp_path, teacher="order", file=str(run)))
    example = next(e for e in training if e.query.id == "q1")
    assert example.targets == pytest.approx((1 / 4, 1, 1 / 3, 1 / 2))
    assert grades(example, False) == {"d0": 7, "d1": 10, "d2": 8, "d3": 9}
    own, _ = examples(data(tmp_path, teacher="scores"))
    assert own[0].targets == (4, 3, 2, 1)


def test_a_list_keeps_the_best_document_and_changes_with_the_epoch_alone(tmp_path):
    training, _ = examples(data(tmp_path))
    lists = [shown(training[0], 2, True, f"0 {epoch}") for epoch in range(20)]
    assert all(max(training[0].targets) in found.targets for found in lists)
    assert len({tuple(doc.id for doc in found.docs) for found in lists}) > 2
    assert shown(training[0], 2, True, "0 3") == lists[3]


def test_the_judgments_of_a_test_split_are_never_trained_on(tmp_path):
    folder = small.beir(tmp_path / "collection", queries=40)
    test = folder / "qrels" / "test.tsv"
    with pytest.raises(InputError, match="judgments of a test split are never trained on"):
        examples(data(tmp_path, teacher="qrels", file=str(test)))
    renamed = test.rename(test.with_name("qrels.test.tsv"))
    with pytest.raises(InputError, match="never trained on"):
        examples(data(tmp_path, teacher="qrels", file=str(renamed)))
    train_split = renamed.rename(test.with_name("train.tsv"))
    assert examples(data(tmp_path, teacher="qrels", file=str(train_split))).training


def test_an_oracles_run_is_refused_as_a_teacher(tmp_path):
    run = run_of(tmp_path / "run.trec")
    (tmp_path / "recipe.toml").write_text('judge = "oracle"\ndataset = "x"\n')
    with pytest.raises(InputError, match="an oracle's run is a test split's judgments"):
        examples(data(tmp_path, teacher="order", file=str(run)))


def test_a_query_of_a_collection_that_is_held_out_is_refused(tmp_path):
    folder = small.beir(tmp_path / "collection")
    given = data(tmp_path, held_out=(str(folder),))
    assert examples(given).training
    path = tmp_path / "candidates.jsonl"
    path.write_text(
        path.read_text().replace("which one is about the sea is blue", "TERM1  common", 1)
    )
    again = given.model_copy(update={"candidates": str(path)})
    path.write_text(path.read_text())
    with pytest.raises(InputError, match=r"query 'q0' is query 'q1' of .*held out"):
        examples(again)
