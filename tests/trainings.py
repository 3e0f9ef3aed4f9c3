"""Small trainings: a file of candidates, a teacher's run, a recipe."""

import json

from rerank.train import read_training

TOPICS = ("the sea is blue", "a dry hill", "cats sleep", "dogs bark")


def candidates(path, queries=8, docs=4):
    """The document that has the query's words is the best."""
    rows = []
    for q in range(queries):
        topic = TOPICS[q % len(TOPICS)]
        listed = [
            {
                "docid": f"d{d}",
                "score": float(docs - d),
                "label": int(d == q % docs) * 2 + int(d == (q + 1) % docs),
                "doc": TOPICS[d],
            }
            for d in range(docs)
        ]
        asked = {"qid": f"q{q}", "text": f"which one is about {topic} {'and salt ' * q}".strip()}
        rows.append(json.dumps({"query": asked, "candidates": listed}))
    path.write_text("\n".join(rows))
    return path


def run_of(path, queries=8, docs=4):
    lines = [
        f"q{q} Q0 d{d} 1 {3.0 * (d == q % docs) + 0.5 * d:.2f} teacher"
        for q in range(queries)
        for d in range(docs)
    ]
    path.write_text("\n".join(lines))
    return path


def recipe(folder, model, objective, prompt="pointwise/score", /, **changes):
    teacher = changes.pop("teacher", "labels")
    file = f'file = "{run_of(folder / "teacher.run")}"' if teacher in ("order", "scores") else ""
    path = folder / "train.toml"
    path.write_text(f"""
        model = "{model}"
        prompt = "{prompt}"
        objective = "{objective}"
        steps = 20
        batch = 4
        at_once = 2
        rate = 0.003
        save_every = 5
        measure_every = 10
        device = "cpu"
        [data]
        candidates = "{candidates(folder / "candidates.jsonl")}"
        teacher = "{teacher}"
        {file}
        docs = 4
        validation = 0.3
    """)
    return read_training(path, [f"{key}={value}" for key, value in changes.items()])
