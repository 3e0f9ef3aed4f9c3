"""A recipe says what it says, or which key does not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rerank.errors import InputError, RerankError, UsageError
from rerank.recipes import Recipe, read_recipe
from rerank.recipes.suites import read_suite

PLAIN = 'suite = "demo"\nmethod = "listwise"\nmodel = "m"\n'


@pytest.fixture
def read(tmp_path):
    def read(text, *changes):
        path = tmp_path / "recipe.toml"
        path.write_text(text)
        return read_recipe(path, changes)

    return read


def test_a_recipe_needs_little_and_has_the_usual_defaults(read):
    recipe = read(PLAIN)
    assert (recipe.first, recipe.bm25.k1, recipe.bm25.b) == ("bm25", 0.9, 0.4)
    assert (recipe.judge, recipe.engine, recipe.on_error) == ("model", "auto", "raise")
    assert (recipe.sampling.temperature, recipe.memo, recipe.limit) == (0.0, True, None)
    assert recipe.row.strategy == "sliding-window" and recipe.needs_model


def test_a_first_stage_may_be_a_file_of_any_name_or_one_that_is_written_later(
    read, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain").touch()
    for name in ("plain", "later.trec", "runs/later", "{dataset}"):
        assert read(f'{PLAIN}first = "{name}"').first == name


def test_a_recipe_cannot_be_changed_after_it_was_read(read):
    with pytest.raises(ValueError, match="frozen"):
        read(PLAIN).method = "first"


def test_a_method_is_changed_in_parts(read):
    row = read(f'{PLAIN}prompt = "p"\noptions.window = 5').row
    assert (row.strategy, row.prompt, row.options) == ("sliding-window", "p", {"window": 5})
    asked = read(PLAIN.replace("listwise", "qwen3-reranker") + 'instruction = "Find code."').row
    assert (asked.prompt, asked.instruction) == ("pointwise/qwen3-reranker", "Find code.")
    row = read(PLAIN.replace("listwise", "prp-sliding-labels") + "options.k = 2").row
    assert row.options == {"debias": "mean", "k": 2}


def test_another_strategy_takes_none_of_the_methods_options(read):
    changed = 'strategy = "setwise-heapsort"\noptions.k = 3'
    row = read(PLAIN.replace("listwise", "prp-sliding-labels") + changed).row
    assert (row.strategy, row.options) == ("setwise-heapsort", {"k": 3})


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        (PLAIN, True),
        (f'{PLAIN}judge = "oracle"', False),
        ('suite = "demo"\nmethod = "first-stage"', False),
        (f'{PLAIN}strategy = "first-stage"', False),
    ],
)
def test_a_model_is_needed_where_one_is_asked(read, text, needed):
    assert read(text).needs_model is needed


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        ("depth=7", "depth", 7),
        ("memo=false", "memo", False),
        ("memo = false", "memo", False),
        ("model=org/name-2", "model", "org/name-2"),
        ("model=a=b", "model", "a=b"),
        ('model="quoted"', "model", "quoted"),
        ("base_url=http://localhost:8000/v1", "base_url", "http://localhost:8000/v1"),
        ("measures=['map', 'mrr@10']", "measures", ("map", "mrr@10")),
        ("options.window=4", "options", {"window": 4}),
        ("engine_options.a.b=1.5", "engine_options", {"a": {"b": 1.5}}),
        ("options={window = 4, stride = 2}", "options", {"window": 4, "stride": 2}),
    ],
)
def test_set_takes_toml_and_where_that_is_none_text(read, change, key, value):
    assert getattr(read(PLAIN, change), key) == value


def test_set_wins_over_the_file_and_a_later_one_over_an_earlier(read):
    changed = read(
        f"{PLAIN}depth = 5\noptions.window = 9", "depth=6", "depth=7", "options.stride=2"
    )
    assert (changed.depth, changed.options) == (7, {"window": 9, "stride": 2})


@pytest.mark.parametrize("change", ["depth", "=3", " =3", "model.x=1", ""])
def test_a_set_that_cannot_be_read_is_usage(read, change):
    with pytest.raises(UsageError, match="--set"):
        read(PLAIN, change)


@pytest.mark.parametrize(
    "wrong",
    [
        "depth = 1.5", 'depth = "x"', "depth = -1", "limit = 0", "at_once = 0", 'memo = "maybe"',
        "measures = 5", "measures = []", "measures = [1]", "options = 5", "first = 3", "nope = 1",
        "bm25.k1 = -1", "bm25.b = 2", "bm25.c = 2", "oracle.noise = -1", "oracle.seed = 0.5",
        "sampling.top_p = 1", "sampling.temperature = -1", "sampling.max_tokens = 0",
        'judge = "human"', 'engine = "tgi"', 'on_error = "skip"', "engine_options = []",
        "base_url = 8000", "strategy = 1", 'depth = "50"', "depth = true", "depth = 5.0",
        'memo = "off"', "memo = 1", "at_once = true", 'bm25.k1 = "1"', "bm25.b = true",
    ],
)  # fmt: skip
def test_every_wrong_value_names_its_file_and_key(read, wrong, tmp_path):
    with pytest.raises(InputError) as caught:
        read(f"{PLAIN}{wrong}")
    key = wrong.split(" = ")[0]
    assert str(caught.value).startswith(f"{tmp_path}/recipe.toml: key '{key}")
    assert "\n" not in str(caught.value)


def test_a_whole_number_may_stand_for_a_real_one(read):
    assert read(f"{PLAIN}bm25.k1 = 1\nsampling.temperature = 1").bm25.k1 == 1.0


def test_a_mistake_is_blamed_on_the_set_that_made_it_else_on_the_file(read):
    """All of them were the file's."""
    with pytest.raises(UsageError, match=r"^--set 'depth=0': .*recipe\.toml: key 'depth'"):
        read(PLAIN, "limit=5", "depth=0", "memo=false")
    with pytest.raises(InputError, match=r"recipe\.toml: key 'depth'"):
        read(f"{PLAIN}depth = 0", "limit=5")
    assert read(f"{PLAIN}depth = 0", "depth=5").depth == 5


def test_several_mistakes_are_counted(read):
    with pytest.raises(InputError, match=r"key 'depth'.* \(and 1 more\)"):
        read(f"{PLAIN}depth = 0\nlimit = 0")


def test_a_strategy_that_asks_a_model_needs_a_prompt(read):
    """It was answered from the judgments, as if by a perfect model."""
    text = 'suite = "demo"\nmethod = "first-stage"\nstrategy = "pointwise"\nmodel = "m"\n'
    with pytest.raises(InputError, match="key 'prompt' is missing: strategy pointwise asks"):
        read(text)
    assert read(f'{text}prompt = "pointwise/score"').needs_model
    assert not read(f'{text}judge = "oracle"').needs_model


@pytest.mark.parametrize("engine", ["vllm", "transformers", "scorer"])
def test_a_server_for_an_engine_that_has_none_is_an_error(read, engine):
    """It was left alone, and the model loaded here."""
    with pytest.raises(InputError, match=f"'base_url' is for engine http, not {engine}"):
        read(f'{PLAIN}base_url = "http://x/v1"\nengine = "{engine}"')
    assert read(f'{PLAIN}base_url = "http://x/v1"').base_url


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(
    st.sampled_from([*Recipe.model_fields, "nope"]),
    st.one_of(st.text(max_size=5), st.integers(-2, 2), st.booleans(), st.floats(), st.none(),
              st.lists(st.integers(), max_size=2), st.sampled_from(["demo", "listwise", "oracle"])),
))  # fmt: skip
def test_any_values_make_a_recipe_or_one_clear_line(tmp_path_factory, values):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text('method = "listwise"')
    changes = [f"{key}={_toml(value)}" for key, value in values.items()]
    try:
        assert read_recipe(path, changes).method
    except RerankError as mistake:
        assert str(mistake).strip() and "\n" not in str(mistake)


def _toml(value):
    if isinstance(value, str):
        return "'''" + "".join(c for c in value if c.isprintable() and c != "'") + "'''"
    return str(value).lower()


@pytest.mark.parametrize("text", ["", "=", "[", "a = ", "\x00", 'a = "\x01"', "a = 1\na = 2"])
def test_what_is_no_toml_is_one_line(read, text, tmp_path):
    with pytest.raises(InputError) as caught:
        read(text)
    assert str(caught.value).startswith(f"{tmp_path}/recipe.toml: ")
    assert "\n" not in str(caught.value)


def test_a_recipe_that_is_not_utf8_is_one_line(tmp_path):
    (tmp_path / "recipe.toml").write_bytes(b'method = "caf\xe9"')
    with pytest.raises(InputError, match=r"recipe\.toml:1: not UTF-8: byte 0xe9"):
        read_recipe(tmp_path / "recipe.toml")


def test_a_suite_is_found_by_name_or_by_path_and_checked(tmp_path):
    assert [entry.source for entry in read_suite("demo").datasets] == ["demo"]
    mine = tmp_path / "mine.toml"
    mine.write_text('datasets = ["a", "b"]')
    assert read_suite(str(mine)).measures == ("ndcg@10", "recall@100")
    for wrong in (
        "datasets = []",
        "dataset = 'a'",
        "datasets = 'a'",
        "datasets = ['a']\ndepth = 0",
    ):
        mine.write_text(wrong)
        with pytest.raises(InputError, match=r"mine\.toml: key '"):
            read_suite(str(mine))
    with pytest.raises(InputError, match=r"no suite called 'beir99'; there are: .*demo"):
        read_suite("beir99")


def test_a_hybrid_first_stage_names_its_parts_and_their_options(read):
    recipe = read(
        f'{PLAIN}first = "hybrid"\n[dense]\nindex = "hnsw"\n[fusion]\nof = ["dense", "a.trec"]'
    )
    assert recipe.retrieved == ("hybrid", "dense")
    assert (recipe.stage("dense").index, recipe.stage("hybrid").method) == ("hnsw", "rrf")
    assert read(f'{PLAIN}first = "a.trec"').retrieved == ()


@pytest.mark.parametrize(
    ("fusion", "message"),
    [
        ('of = ["bm25", "hybrid"]', "hybrid cannot be a part of itself"),
        ("weights = [1.0]", "a number for each part"),
        ('weights = [1.0, 2.0]\ntrain = "train"', "not both"),
        ('method = "rff"', "fusion.method"),
        ('of = ["bm25"]', "fusion.of"),
    ],
)
def test_a_fusion_that_cannot_work_is_an_error_before_anything_loads(read, fusion, message):
    with pytest.raises(InputError, match=message):
        read(f'{PLAIN}first = "hybrid"\n[fusion]\n{fusion}')
