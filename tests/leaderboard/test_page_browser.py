"""The page in a real Chromium without a network: it draws, sorts, opens, and runs nothing."""

import pytest
from boards import HOSTILE, entries, entry, small_board, view
from browser import SHOTS, chromium

from rerank.leaderboard import board, page

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def opened(browser, tmp_path, request):
    """Open a page in a window; whatever it complains of or asks the network for fails the test."""
    said, contexts = [], []

    def opens(boards, views, fragment="", **options):
        path = tmp_path / "leaderboard.html"
        path.write_text(page(boards, views), encoding="utf-8")
        size = {"width": 1280, "height": 900}
        contexts.append(browser.new_context(**{"viewport": size, "offline": True, **options}))
        window = contexts[-1].new_page()
        window.on("console", lambda message: said.append(message.text))
        window.on("pageerror", lambda error: said.append(str(error)))
        window.on("request", lambda asked: asked.url.startswith("file:") or said.append(asked.url))
        window.goto(path.as_uri() + fragment)
        window.shot = lambda name: shot(window, name)
        return window

    yield opens
    for context in contexts:
        context.close()
    assert said == []


def shot(window, name):
    SHOTS.mkdir(exist_ok=True)
    window.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def names(window):
    return window.locator("#table tbody tr").evaluate_all("rows => rows.map(r => r.dataset.run)")


def small(opened, **options):
    return opened([small_board()], {"small": [view()]}, **options)


def test_the_page_loads_from_a_file_without_a_network_and_shows_the_runs(opened):
    window = small(opened)
    assert window.title() == "small · Leaderboard"
    assert names(window) == ["dear", "good", "beaten", "bm25"]
    lead = window.locator("#summary").inner_text()
    assert lead.startswith("small: 4 runs, 30 queries, ranked by ndcg@10. A difference under 0.0")
    assert "proven optimal" in window.locator("#reading").inner_text()
    window.shot("page")


def test_a_click_on_a_head_sorts_and_another_turns_it_round(opened):
    window = small(opened)
    head = window.locator("#table thead").get_by_role("button", name="calls")
    head.click()
    assert names(window) == ["bm25", "good", "beaten", "dear"]
    assert window.locator("#table th[aria-sort]").get_attribute("aria-sort") == "ascending"
    head.click()
    assert names(window) == ["dear", "beaten", "good", "bm25"]
    assert window.locator("#table th[aria-sort]").get_attribute("aria-sort") == "descending"


def test_the_keyboard_sorts_and_keeps_its_place(opened):
    window = small(opened)
    window.locator("#table thead").get_by_role("button", name="Run").focus()
    window.keyboard.press("Enter")
    assert names(window) == ["beaten", "bm25", "dear", "good"]
    window.keyboard.press("Space")
    assert names(window) == ["good", "dear", "bm25", "beaten"]
    assert window.evaluate("document.activeElement.textContent") == "Run"


def test_a_filter_leaves_the_rows_that_have_its_words(opened):
    window = small(opened)
    window.get_by_label("Filter").fill("method GOOD")
    assert names(window) == ["good"]
    assert window.locator("#shown").inner_text() == "1 of 4"
    window.get_by_label("Filter").fill("nothing like it")
    assert names(window) == []


def test_the_plot_shows_every_run_its_interval_and_the_front(opened):
    window = small(opened)
    assert window.locator("#front circle").count() == 4
    assert window.locator("#front circle.best").count() == 3
    assert (
        window.locator("#front .range").count() == 4 and window.locator("#front .step").count() == 1
    )
    assert "bm25, good, dear" in window.locator("#front-note").inner_text()
    window.locator("#currencies").get_by_text("seconds").click()
    assert window.locator("#front circle.best").count() == 1
    assert window.locator("#currencies [aria-pressed=true]").inner_text() == "seconds"


def test_a_query_is_opened_from_the_list_the_arrows_and_the_map(opened):
    window = small(opened)
    window.locator("#asked").select_option(index=3)
    assert window.locator("#question").inner_text() == "query q03 a passage"
    window.get_by_role("button", name="Next query").click()
    assert window.locator("#question").inner_text() == "query q04 a passage"
    assert window.url.endswith("#suite=small&dataset=one&query=q04")
    window.locator("#map .cell").first.click()
    assert window.locator("#question").inner_text() != "query q04 a passage"
    assert window.locator("#map .chosen").count() == 1


def test_an_address_opens_its_query(opened):
    window = opened([small_board()], {"small": [view()]}, "#suite=small&dataset=one&query=q07")
    assert window.locator("#question").inner_text() == "query q07 a passage"


def test_a_query_shows_the_lists_before_and_after_with_grades_and_what_was_replied(opened):
    window = small(opened)
    before, after = window.locator("#lists ol").all()
    assert window.locator("#lists h3").first.inner_text().startswith("bm25 (first stage)")
    assert before.locator("li").first.inner_text().split() == [
        "1",
        "3",
        "d0",
        "a",
        "passage",
        "number",
        "0",
    ]
    assert after.locator("li").first.inner_text().split()[:3] == ["1", "·", "d3"]
    assert window.locator("#lists svg path").count() == 8
    assert "2 of 3 relevant here" in window.locator("#lists h3").first.inner_text()
    window.locator("#replies summary").click()
    first, second = window.locator("#replies .reply").all()
    assert first.inner_text().split("\n") == ["ok", "d0, d1", "[1] > [2] a passage"]
    assert "unreadable" in second.inner_text() and "-1.5000" in second.inner_text()
    after.locator(".passage").first.click()
    assert after.locator("li.open").count() == 1
    window.get_by_label("After").select_option(label="good")
    assert window.locator("#replies").inner_text() == ""
    window.shot("query")


def test_a_document_that_contains_a_script_stays_text(opened):
    hostile = [entry(HOSTILE, 0.5, about=HOSTILE, notes=(HOSTILE,)), entry("plain", 0.3)]
    found = board(HOSTILE, hostile, ["ndcg@10"])
    seen = view(words=HOSTILE)
    lists = {HOSTILE: seen.lists["dear"], "plain": seen.lists["bm25"]}
    replies = {HOSTILE: seen.replies["dear"]}
    seen = type(seen)(
        "one", seen.queries, seen.docs, seen.qrels, lists, {HOSTILE: lists["plain"]}, replies
    )
    window = opened([found], {HOSTILE: [seen]})
    assert window.title() == f"{HOSTILE} · Leaderboard"
    assert window.locator("img").count() == 0 and window.locator("script").count() == 2
    assert HOSTILE in window.locator("#lists li").first.inner_text()
    assert HOSTILE in window.locator("#question").inner_text()
    window.locator("#replies summary").click()
    assert HOSTILE in window.locator("#replies pre").first.inner_text()
    window.shot("hostile")


SMUGGLED = """() => {
  const script = document.createElement("script");
  script.textContent = "document.title = 'hacked'";
  document.body.append(script);
  return fetch("data:,x").then(() => "sent", () => "refused");
}"""


def test_what_got_into_the_page_all_the_same_could_not_run_or_call_home(browser, tmp_path):
    """The policy stops what our own script would have to let in first."""
    path = tmp_path / "leaderboard.html"
    path.write_text(page([small_board()], {}), encoding="utf-8")
    window = browser.new_page()
    window.goto(path.as_uri())
    assert window.evaluate(SMUGGLED) == "refused"
    assert window.title() == "small · Leaderboard"
    window.close()


def test_several_suites_and_datasets_have_tabs_and_a_map_with_gaps(opened):
    two = ("one", "two")
    runs = [entry("a", 0.5, two), entry("b", 0.4, two), entry("c", 0.9)]
    many = board("many", runs, ["ndcg@10", "map"])
    window = opened([many, small_board()], {"small": [view()]})
    assert window.locator("#map rect").count() == 5
    assert window.locator("#map .value, #map text.on-dark, #map text.on-bright").count() == 5
    assert "c is left out: it lacks two" in window.locator("#left-out").inner_text()
    assert not window.locator("#query").is_visible()
    window.shot("datasets")
    window.locator("#suites").get_by_text("small").click()
    assert (
        names(window) == ["dear", "good", "beaten", "bm25"]
        and window.locator("#query").is_visible()
    )


def test_on_a_phone_nothing_but_tables_and_plots_scrolls_sideways(opened):
    window = small(opened, viewport={"width": 390, "height": 844}, device_scale_factor=2)
    assert window.evaluate("document.documentElement.scrollWidth") == 390
    assert not window.locator("#lists > svg").is_visible()
    window.shot("phone")


def test_in_the_dark_the_page_is_dark(opened):
    window = small(opened, color_scheme="dark")
    assert window.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    window.shot("dark")


def test_runs_of_which_nobody_counted_the_cost_have_no_plot(opened):
    plain = [entry(e.key, 0.4 + i / 10, cost=None) for i, e in enumerate(entries())]
    window = opened([board("x", plain, ["ndcg@10"])], {})
    assert not window.locator("#cost").is_visible() and not window.locator("#query").is_visible()
    assert window.locator("#table tbody tr").count() == 4


def test_a_page_of_no_runs_says_so(opened):
    assert opened([], {}).locator("#summary").inner_text() == "There are no runs yet."
