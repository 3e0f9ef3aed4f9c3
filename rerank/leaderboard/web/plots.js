/* Effectiveness against cost, and the heat maps. */

const CURRENCIES = [["tokens", "tokens"], ["calls", "calls"], ["seconds", "seconds"]];

/* The first currency that anybody paid in. */
function paidIn(board) {
  const [found] = CURRENCIES.find(([key]) => board.runs.some((run) => run.cost && run.cost[key] > 0)) || CURRENCIES[0];
  return found;
}

function drawFront(state) {
  const { board, currency } = state, main = board.measures.indexOf(board.measure);
  at("cost").hidden = !board.runs.some((run) => run.cost);
  if (at("cost").hidden) return;
  pressed("currencies", CURRENCIES, currency, (key) => { state.currency = key; drawFront(state); });
  const points = board.runs.map((run, i) => ({ run, i, cost: run.means && run.cost ? run.cost[currency] : null }))
    .filter((point) => point.cost !== null && point.cost !== undefined)
    .map((point) => ({ ...point, x: point.cost / Math.max(1, point.run.cost.queries), y: point.run.means[main] }));
  if (!points.length) return fill("front", el("p", { class: "note" }, `No run has ${currency} on record.`));
  fill("front", scatter(board, points, board.fronts[currency], currency));
  const best = board.fronts[currency].map((i) => board.runs[i].name).join(", ");
  fill("front-note", "Filled: no other run is both better and cheaper: ", el("strong", {}, best), ". Lines are 95 % intervals. A dashed ring is a ceiling, where the judgments answer.");
}

function scatter(board, points, front, currency) {
  const W = 1000, H = 400, left = 56, right = 24, top = 20, bottom = 48;
  const positive = points.map((p) => p.x).filter((x) => x > 0), most = positive.length ? Math.max(...positive) : 1, least = Math.min(...positive, most);
  const log = most / least > 30, zeros = points.some((p) => p.x <= 0), start = left + (log && zeros ? 60 : 12);
  const lows = points.map((p) => p.run.interval[0]), highs = points.map((p) => p.run.interval[1]);
  const y0 = Math.max(0, Math.min(...lows) - 0.02), y1 = Math.max(...highs) + 0.02;
  const span = log ? Math.log10(most / least) || 1 : most;
  const x = (v) => v <= 0 ? (log ? left + 24 : start) : start + (W - right - 30 - start) * (log ? Math.log10(v / least) / span : v / span);
  const y = (v) => top + (H - top - bottom) * (1 - (v - y0) / (y1 - y0));
  const marks = log ? decades(least, most) : positive.length ? ticks(0, most, 6) : [0];
  const grid = [
    ...ticks(y0, y1, 5).flatMap((v) => [svg("line", { class: "axis", x1: left, x2: W - right, y1: y(v), y2: y(v) }),
      svg("text", { x: left - 8, y: y(v) + 4, "text-anchor": "end" }, String(v))]),
    ...marks.map((v) => svg("text", { x: x(v), y: H - bottom + 20, "text-anchor": "middle" }, brief(v))),
    log && zeros ? svg("text", { x: left + 24, y: H - bottom + 20, "text-anchor": "middle" }, "0") : null,
    svg("text", { x: W - right, y: H - 8, "text-anchor": "end" }, `${currency} a query${log ? ", logarithmic" : ""}`),
    svg("text", { x: left, y: 12 }, board.measure),
  ];
  const steps = front.map((i) => points.find((p) => p.i === i)).filter(Boolean);
  const path = steps.map((p, n) => (n ? `H${x(p.x).toFixed(1)}V${y(p.y).toFixed(1)}` : `M${x(p.x).toFixed(1)} ${y(p.y).toFixed(1)}`)).join("");
  const dots = points.map((p) => {
    const best = front.includes(p.i), end = x(p.x) > W * 0.75;
    return svg("g", {}, svg("title", {}, `${p.run.name}: ${fixed(p.y, 4)}, ${brief(p.x)} ${currency} a query`),
      svg("line", { class: "range", x1: x(p.x), x2: x(p.x), y1: y(p.run.interval[0]), y2: y(p.run.interval[1]) }),
      svg("circle", { class: `dot${best ? " best" : ""}${p.run.ceiling ? " ceiling" : ""}`, cx: x(p.x), cy: y(p.y), r: 6 }),
      best || points.length <= 12 ? svg("text", { class: best ? "best" : "", x: x(p.x) + (end ? -11 : 11), y: y(p.y) - 8, "text-anchor": end ? "end" : "start" }, p.run.name) : null);
  });
  return svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `${board.measure} against ${currency} a query` },
    ...grid, path ? svg("path", { class: "step", d: path + `H${W - right}` }) : null, ...dots);
}

function decades(least, most) {
  const found = [];
  for (let p = Math.floor(Math.log10(least)); p <= Math.ceil(Math.log10(most)); p++)
    for (const n of most / least > 3000 ? [1] : [1, 3]) if (n * 10 ** p >= least * 0.999 && n * 10 ** p <= most * 1.001) found.push(n * 10 ** p);
  return found.length > 1 ? found : [least, most];
}

function drawMap(state) {
  const { board } = state, views = board.views.filter((view) => view.queries.length);
  const choices = [...(board.datasets.length > 1 ? [["", "datasets"]] : []), ...views.map((view, i) => [String(i), views.length > 1 ? `queries of ${view.dataset}` : "queries"])];
  at("heat").hidden = !choices.length;
  if (!choices.length) return;
  if (!choices.some(([key]) => key === state.map)) state.map = choices[0][0];
  pressed("maps", choices.length > 1 ? choices : [], state.map, (key) => { state.map = key; drawMap(state); });
  if (state.map === "") return drawDatasets(board);
  const view = views[+state.map], runs = board.runs.map((run, i) => i).filter((i) => view.values[i]);
  const difficulty = view.queries.map((_, q) => runs.reduce((sum, i) => sum + view.values[i][q], 0));
  const order = difficulty.map((_, q) => q).sort((a, b) => difficulty[b] - difficulty[a] || a - b);
  const column = order.map((q) => ({ label: view.queries[q].id, q, values: runs.map((i) => view.values[i][q]) }));
  fill("map", grid(board, runs, column, (c) => open(state, board.views.indexOf(view), column[c].q, true), false));
  fill("map-note", `Each column is a query, the easiest first; dark is 0, bright is 1. ${view.all > view.queries.length ? `The ${view.queries.length} of ${view.all} queries on which runs differ most. ` : ""}Choose a column to see its rankings below.`);
  mark(state);
}

function drawDatasets(board) {
  const runs = board.runs.map((_, i) => i);
  const column = board.datasets.map((dataset, d) => ({ label: dataset.name, values: runs.map((i) => board.runs[i].single[d]) }));
  fill("map", grid(board, runs, column, null, true));
  fill("map-note", `${board.measure} on each dataset; shades run from a dataset's worst to its best run. An empty cell is a dataset that a run lacks.`);
}

function grid(board, runs, column, choose, wide) {
  const longest = Math.max(...runs.map((i) => board.runs[i].name.length));
  const name = Math.min(210, 16 + 7 * longest), size = wide ? 76 : Math.max(14, Math.min(26, Math.floor(940 / column.length))), line = wide ? 26 : 20, head = 74;
  const cells = column.flatMap((c, i) => {
    const known = c.values.filter((v) => v !== null), low = wide ? Math.min(...known) : 0, high = wide ? Math.max(...known) : 1;
    return c.values.map((value, r) => {
      if (value === null || value === undefined) return null;
      const colour = shade(high > low ? (value - low) / (high - low) : 0.5), x = name + i * size, y = head + r * line;
      return svg("g", { class: choose ? "cell" : null, onclick: choose ? () => choose(i) : null },
        svg("rect", { x, y, width: size - 1, height: line - 1, rx: 2, fill: colour.fill }, svg("title", {}, `${board.runs[runs[r]].name}, ${c.label}: ${fixed(value, 4)}`)),
        wide ? svg("text", { x: x + size / 2, y: y + 17, "text-anchor": "middle", class: colour.ink }, fixed(value, 3)) : null);
    });
  });
  const heads = column.map((c, i) => svg("text", { x: 0, y: 0, transform: `translate(${name + i * size + size / 2 + 4} ${head - 8}) rotate(-55)` }, c.label.length > 12 ? c.label.slice(0, 11) + "…" : c.label));
  const names = runs.map((i, r) => svg("text", { x: name - 8, y: head + r * line + line / 2 + 4, "text-anchor": "end" }, svg("title", {}, board.runs[i].name), board.runs[i].name.length > 30 ? board.runs[i].name.slice(0, 29) + "…" : board.runs[i].name));
  const W = name + column.length * size + 40, H = head + runs.length * line + 4;
  return svg("svg", { width: W, height: H, viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": "Heat map of values", "data-head": head, "data-size": size, "data-left": name, "data-order": column.map((c) => c.q).join(" ") },
    ...heads, ...names, ...cells);
}

/* A frame around the column of the query that is open. */
function mark(state) {
  const drawn = at("map").querySelector("svg");
  if (!drawn || state.map === "") return;
  drawn.querySelector(".chosen")?.remove();
  const place = drawn.dataset.order.split(" ").indexOf(String(state.query));
  const [head, size, left] = ["head", "size", "left"].map((key) => +drawn.dataset[key]);
  if (place >= 0) drawn.append(svg("rect", { class: "chosen", x: left + place * size - 1, y: head - 2, width: size + 1, height: +drawn.getAttribute("height") - head, rx: 3 }));
}
