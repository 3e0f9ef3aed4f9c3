/* What is open, and what follows from it. The address after # says it, so that a link can. */

const BOARDS = JSON.parse(at("content").textContent);
const state = {};

function show(number) {
  const board = BOARDS[number];
  Object.assign(state, { number, board, column: 1, up: false, filter: "", currency: paidIn(board), map: "", view: 0, query: 0, before: "", after: "" });
  at("filter").value = "";
  pressed("suites", BOARDS.length > 1 ? BOARDS.map((one, i) => [i, one.title]) : [], number, (i) => { show(i); address(); });
  document.title = `${board.title} · Leaderboard`;
  at("summary").replaceChildren(...summary(board));
  fill("reading", reading(board));
  fill("left-out", board.runs.filter((run) => !run.means).map((run) => el("p", { class: "note" }, el("strong", {}, run.name), ` is left out: it lacks ${run.lacks.join(", ")} under these judgments. It is not scored 0.`)));
  fill("foot", foot(board).map((line) => el("p", {}, line)), remarks(board));
  for (const draw of [drawTable, drawFront, drawQuery, drawMap]) draw(state);
}

function summary(board) {
  const runs = board.runs.filter((run) => run.means), sizes = board.datasets.map((d) => `${plural(d.queries, "query")}${board.datasets.length > 1 ? ` of ${d.name}` : ""}`);
  const first = [el("strong", {}, board.title), `: ${plural(runs.length, "run")}, ${sizes.slice(0, 4).join(", ")}${sizes.length > 4 ? ` and ${sizes.length - 4} more datasets` : ""}, ranked by ${board.measure}.`];
  const [only] = board.datasets, seen = board.datasets.length === 1 && only.detectable;
  return seen ? [...first, " A difference under ", el("strong", {}, fixed(seen, 3)), " is likely noise: mind the groups."] : first;
}

function reading(board) {
  const { proven, unique } = board.kemeny;
  return `Runs that share no group letter differ (randomised Tukey HSD of all pairs, 5 %). Small numbers beside a rank: where it falls in 95 % of the cases when queries are drawn anew. Kemeny’s order is ${proven ? "proven optimal" : "not proven optimal"}${unique ? " and the only one" : "; others are as good"}.`;
}

function foot(board) {
  return [
    `Intervals: bootstrap over queries, ${whole(board.samples)} samples, seed ${board.seed}. Every query of the judgments counts, whatever a run lacks.`,
    ...board.datasets.map((d) => `Judgments of ${d.name}: sha256 ${d.sha256}`),
    "Made by rerank leaderboard. This page is one file: it loads nothing and sends nothing.",
  ];
}

function remarks(board) {
  const lines = board.runs.flatMap((run) => run.remarks.map((line) => `${run.name}: ${line}`));
  return lines.length ? [el("details", {}, el("summary", {}, `${plural(lines.length, "remark")} on ties and missing queries`), lines.map((line) => el("p", {}, line)))] : [];
}

function open(at_, view, query, jump) {
  Object.assign(at_, { view, query });
  drawQuery(at_);
  if (jump !== false) address();
  if (jump) at("query").scrollIntoView();
}

/* The query that shows most: where what is after is furthest above what is before. */
function telling(from) {
  const view = from.board.views[0], of = (side) => view.values[from[side].slice(4)];
  const after = of("after"), before = from.before.startsWith("run") ? of("before") : view.values[from.board.baseline];
  const gains = view.queries.map((_, q) => (after && before ? after[q] - before[q] : 0));
  return gains.indexOf(Math.max(...gains));
}

function step(by) {
  const view = state.board.views[state.view], count = view.queries.length;
  open(state, state.view, (state.query + by + count) % count, null);
}

function address() {
  const view = state.board.views[state.view], query = view && view.queries[state.query];
  const said = new URLSearchParams({ suite: state.board.title, ...(query ? { dataset: view.dataset, query: query.id } : {}) });
  history.replaceState(null, "", `#${said}`);
}

function fromAddress() {
  const said = new URLSearchParams(location.hash.slice(1)), number = BOARDS.findIndex((one) => one.title === said.get("suite"));
  show(Math.max(0, number));
  const view = state.board.views.findIndex((one) => one.dataset === said.get("dataset"));
  const query = view < 0 ? -1 : state.board.views[view].queries.findIndex((one) => one.id === said.get("query"));
  if (query >= 0) open(state, view, query, true);
  else if (state.board.views.length) open(state, 0, telling(state), false);
}

at("filter").addEventListener("input", (event) => { state.filter = event.target.value; drawTable(state); });
at("asked").addEventListener("change", (event) => open(state, ...event.target.value.split(" ").map(Number), null));
for (const side of ["before", "after"]) at(side).addEventListener("change", (event) => { state[side] = event.target.value; drawQuery(state); });
at("previous").addEventListener("click", () => step(-1));
at("next").addEventListener("click", () => step(1));
addEventListener("resize", () => state.redraw && state.redraw());
addEventListener("hashchange", () => { if (location.hash.includes("suite=")) fromAddress(); });
if (BOARDS.length) fromAddress();
else fill("summary", "There are no runs yet.");
