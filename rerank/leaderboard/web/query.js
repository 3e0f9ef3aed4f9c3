/* One query: its judgments, the top of two rankings side by side, and what the model replied. */

function drawQuery(state) {
  const { board } = state, view = board.views[state.view];
  at("query").hidden = !view || !view.queries.length;
  if (at("query").hidden) return;
  state.query = Math.min(state.query, view.queries.length - 1);
  const asked = board.views.flatMap((one, v) => one.queries.map((query, q) => ({ v, q, label: [board.views.length > 1 ? one.dataset : "", query.id, query.text].filter(Boolean).join(" · ") })));
  fill("asked", asked.map(({ v, q, label }) => el("option", { value: `${v} ${q}`, selected: v === state.view && q === state.query }, label.slice(0, 110))));
  const sides = listed(board, view);
  for (const side of ["before", "after"]) {
    if (!sides.some((one) => one.key === state[side])) state[side] = usual(board, sides, side);
    fill(side, sides.map((one) => el("option", { value: one.key, selected: one.key === state[side] }, one.name)));
  }
  const query = view.queries[state.query];
  fill("question", query.text || query.id);
  fill("judged", judgments(query), ...view.lacks.map((line) => el("span", {}, ` ${line}`)));
  const chosen = ["before", "after"].map((side) => sides.find((one) => one.key === state[side]));
  state.redraw = drawLists(board, view, query, chosen, state.query);
  drawReplies(board, view, chosen[1], state.query);
  mark(state);
}

function listed(board, view) {
  return [
    ...view.firsts.map((first, i) => ({ key: `first ${i}`, name: first.name, tops: first.tops, run: null })),
    ...view.lists.map((list) => ({ key: `run ${list.run}`, name: board.runs[list.run].name, tops: list.tops, run: list.run })),
  ];
}

function usual(board, sides, side) {
  if (side === "before" && sides.some((one) => one.run === null)) return sides[0].key;
  const best = board.runs.findIndex((run) => run.means && !run.ceiling);
  const wanted = side === "before" ? board.baseline : best === board.baseline ? board.runs.findIndex((run, i) => i !== best) : best;
  return (sides.find((one) => one.run === wanted) || sides[0]).key;
}

function judgments(query) {
  if (!query.judged.length) return "Nobody judged this query.";
  const known = query.judged.map(([grade, count]) => `${whole(count)} of grade ${grade}`);
  return `Query ${query.id}. Judged: ${known.join(", ")}.`;
}

const kind = (grade) => (grade === undefined || grade < 1 ? "" : `g${Math.min(3, grade)}`);

function drawLists(board, view, query, chosen, q) {
  const tops = chosen.map((one) => one.tops[q] || []);
  const heads = chosen.map((one) => {
    const value = one.run === null ? "" : ` · ${board.measure} ${fixed(view.values[one.run][q], 4)}`;
    return el("h3", {}, one.name, el("span", {}, value + good(query, one.tops[q] || [])));
  });
  const columns = tops.map((top, side) => el("div", {}, heads[side],
    top.length ? el("ol", {}, top.map((doc, place) => passage(view, query, doc, place))) : el("p", { class: "note" }, "This run has no document for this query.")));
  const between = svg("svg", { "aria-hidden": "true" });
  fill("lists", columns[0], between, columns[1]);
  const redraw = () => slopes(between, columns, query, tops);
  at("lists").onclick = () => requestAnimationFrame(redraw);
  redraw();
  return redraw;
}

/* How many of the relevant documents are in the list. */
function good(query, top) {
  const all = query.judged.reduce((sum, [grade, count]) => sum + (grade > 0 ? count : 0), 0);
  return all ? ` · ${top.filter((doc) => query.grades[doc] > 0).length} of ${all} relevant here` : "";
}

function passage(view, query, doc, place) {
  const [id, text] = view.docs[doc], grade = query.grades[doc];
  const said = grade === undefined ? "not judged" : `grade ${grade}`;
  const button = el("button", { type: "button", class: "passage", "aria-expanded": "false", onclick: (event) => {
    const open = event.currentTarget.closest("li").classList.toggle("open");
    event.currentTarget.setAttribute("aria-expanded", String(open));
  } }, el("small", {}, `${id} `), text || "no text here");
  return el("li", { "data-doc": doc }, el("i", {}, String(place + 1)), el("span", { class: `grade ${kind(grade)}`, title: said, "aria-label": said }, grade === undefined ? "·" : String(grade)), button);
}

/* Lines from where a document was to where it is. */
function slopes(between, columns, query, tops) {
  const rows = columns.map((column) => [...column.querySelectorAll("li")]);
  if (getComputedStyle(between).display === "none") return;
  const box = at("lists").getBoundingClientRect(), width = between.getBoundingClientRect().width;
  const middle = (row) => { const r = row.getBoundingClientRect(); return r.top + Math.min(r.height, 56) / 2 - box.top; };
  between.setAttribute("viewBox", `0 0 ${width} ${box.height}`);
  between.setAttribute("preserveAspectRatio", "none");
  between.replaceChildren(...tops[0].map((doc, i) => {
    const j = tops[1].indexOf(doc);
    if (j < 0) return null;
    const [a, b] = [middle(rows[0][i]), middle(rows[1][j])];
    return svg("path", { class: `slope ${kind(query.grades[doc])}`, d: `M6 ${a}C${width / 2} ${a} ${width / 2} ${b} ${width - 6} ${b}` });
  }).filter(Boolean));
}

function drawReplies(board, view, one, q) {
  const found = one && one.run !== null && view.replies[one.run] ? view.replies[one.run][q] : [];
  if (!found.length) return fill("replies");
  const of = (doc) => view.docs[doc][0];
  fill("replies", el("details", {}, el("summary", {}, `What ${one.name} replied: the first ${plural(found.length, "reply")} to this query`),
    found.map(([docs, text, scores, status]) => el("div", { class: "reply" },
      el("span", {}, el("span", { class: `tag ${status}` }, status)),
      el("code", {}, docs.map(of).join(", ")),
      text ? el("pre", {}, text) : el("pre", {}, scores.map((score) => fixed(score, 4)).join("  "))))));
}
