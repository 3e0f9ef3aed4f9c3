"""PyLate makes a ColBERT of MiniLM, saves it and scores pairs; run by the Python that has it."""

import json
import sys

import torch
from pylate import models

from rerank.engines.models.checkpoints import Files

folder, texts = sys.argv[1], json.loads(sys.stdin.read())
torch.manual_seed(0)
base = Files("all-MiniLM-L6-v2").place
made = models.ColBERT(base, embedding_size=32, query_length=16, document_length=40, device="cpu")
made.save_pretrained(folder)
model = models.ColBERT(folder, device="cpu")
queries, docs = (
    model.encode(texts[side], is_query=side == "queries", convert_to_tensor=True)
    for side in ("queries", "docs")
)
scores = [[float((q @ d.T).max(1).values.sum()) for d in docs] for q in queries]
print(json.dumps(scores))
