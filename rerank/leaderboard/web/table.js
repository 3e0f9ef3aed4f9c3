/* The table of runs: what a column shows, what it sorts by, and which rows a filter leaves. */

function columns(board) {
  const value = (i) => (run) => run.means[i];
  const main = board.measures.indexOf(board.measure);
  const ranked = (way, label, title) => ({
    label, title, up: true, sort: (run) => run.ranks[way][0],
    show: (run) => { const [rank, low, high] = run.ranks[way]; return [`${+rank.toFixed(1)} `, el("small", {}, `${+low.toFixed(1)}–${+high.toFixed(1)}`)]; },
  });
  const paid = (label, of, show, title) => ({
    label, title, up: true, cost: true, sort: (run) => (run.cost ? of(run.cost) : null),
    show: (run) => { const found = run.cost && of(run.cost); return found === null || found === undefined ? "–" : show(found); },
  });
  const known = board.runs.some((run) => run.cost);
  return [
    { label: "Run", up: true, text: true, sort: (run) => run.name.toLowerCase(), show: named },
    { label: board.measure, title: "Mean, with its 95 % interval", sort: value(main), show: (run) => worth(board, run) },
    { label: "Group", title: "Runs that share no letter differ", up: true, sort: (run) => run.group, show: (run) => letters(board, run) },
    ...(board.datasets.length === 1 && board.datasets[0].detectable !== undefined ? [difference(board)] : []),
    ranked("mean", "by mean", "Rank by mean, and where it falls when queries are drawn anew"),
    ranked("borda", "Borda", "Rank by Borda's mean rank"),
    ranked("kemeny", "Kemeny", "Rank in Kemeny's consensus"),
    ...board.measures.map((name, i) => ({ label: name, sort: value(i), show: (run) => fixed(run.means[i], 4) })).filter((_, i) => i !== main),
    ...(known ? [
      paid("calls", (cost) => cost.calls, whole), paid("tokens", (cost) => cost.tokens, whole, "Read and written"),
      paid("seconds", (cost) => cost.seconds, (s) => fixed(s, 1)),
      paid("not ok", bad, whole, "Replies that were repaired, unreadable or failed"),
    ] : []),
  ];
}

/* Each letter in a place of its own, so that a group is a straight line down the table. */
function letters(board, run) {
  const every = [...new Set(board.runs.flatMap((one) => (one.group || "").match(/[a-z]\d*/g) || []))].sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  const own = run.group.match(/[a-z]\d*/g) || [];
  return every.length ? el("span", { class: "letters", "aria-label": own.join(" ") }, every.map((one) => (own.includes(one) ? one : "\u00a0".repeat(one.length))).join("")) : "–";
}

function named(run) {
  return [el("b", {}, run.name), run.about && run.about !== run.name ? el("small", {}, run.about) : null,
    ...run.notes.map((note) => el("small", {}, note))];
}

function difference(board) {
  const of = (run) => run.against[0];
  return {
    label: "Difference", title: `From ${board.runs[board.baseline].name}; interval by paired bootstrap, p by Holm`,
    sort: (run) => (of(run) ? of(run).mean : 0),
    show: (run) => {
      const found = of(run);
      if (!found) return el("span", { class: "tag" }, "baseline");
      const real = found.p_holm < 0.05, kind = !real ? "baseline" : found.mean > 0 ? "up" : "down";
      const title = `${fixed(found.low, 4)} to ${fixed(found.high, 4)}; p ${fixed(found.p_holm, 4)} by Holm; ${found.wins} wins, ${found.ties} ties, ${found.losses} losses`;
      return el("span", { class: kind, title }, signed(found.mean, 3), " ", el("small", {}, real ? `p ${found.p_holm < 0.001 ? "<.001" : fixed(found.p_holm, 3)}` : "n.s."));
    },
  };
}

/* A mean and its interval, drawn between the ends of all intervals. */
function worth(board, run) {
  const ends = board.runs.filter((other) => other.interval).flatMap((other) => other.interval);
  const low = Math.min(...ends), high = Math.max(...ends), x = (v) => 3 + 94 * (high > low ? (v - low) / (high - low) : 0.5);
  const mean = run.means[board.measures.indexOf(board.measure)], [from, to] = run.interval;
  const label = `${fixed(from, 3)} to ${fixed(to, 3)}`;
  return el("span", { class: "worth", title: label },
    svg("svg", { width: 100, height: 14, viewBox: "0 0 100 14", role: "img", "aria-label": label },
      svg("line", { class: "track", x1: 3, x2: 97, y1: 7, y2: 7 }),
      svg("line", { class: "whisker", x1: x(from), x2: x(to), y1: 7, y2: 7 }),
      svg("circle", { class: "point", cx: x(mean), cy: 7, r: 4 })),
    el("b", {}, fixed(mean, 4)));
}

function drawTable(state) {
  const { board } = state, all = columns(board), chosen = all[state.column] || all[1];
  const heads = all.map((column, i) => el("th", {
    scope: "col", title: column.title, "aria-sort": i === state.column ? (state.up ? "ascending" : "descending") : null },
    el("button", { type: "button", onclick: () => sortBy(state, i, column.up) }, column.label)));
  const words = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = board.runs.filter((run) => run.means).filter((run) => {
    const text = [run.name, run.about, ...run.notes].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const order = (a, b) => {
    const [x, y] = [chosen.sort(a), chosen.sort(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return (x < y ? -1 : x > y ? 1 : 0) * (state.up ? 1 : -1);
  };
  const body = rows.sort(order).map((run) => el("tr", { "data-run": run.name },
    all.map((column, i) => el(i ? "td" : "th", i ? {} : { scope: "row", class: "name" }, column.show(run)))));
  const focused = document.activeElement && document.activeElement.closest("#table thead th");
  const back = focused ? [...focused.parentNode.children].indexOf(focused) : -1;
  fill("table", el("thead", {}, el("tr", {}, heads)), el("tbody", {}, body));
  if (back >= 0) at("table").querySelectorAll("thead button")[back].focus();
  const total = board.runs.filter((run) => run.means).length;
  fill("shown", rows.length < total ? `${rows.length} of ${total}` : plural(total, "run"));
}

function sortBy(state, column, up) {
  [state.up, state.column] = column === state.column ? [!state.up, column] : [Boolean(up), column];
  drawTable(state);
}
