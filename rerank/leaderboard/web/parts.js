"use strict";
/* Elements and numbers. Every text becomes a text node; nothing here reads text as markup. */

const SVG = "http://www.w3.org/2000/svg";

function made(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}
const el = (tag, attributes, ...children) => made(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) =>
  made(document.createElementNS(SVG, tag), attributes, children.map((child) => child ?? null));
const at = (id) => document.getElementById(id);
const fill = (id, ...children) => at(id).replaceChildren(...children.flat());

const fixed = (value, digits) => value.toFixed(digits);
const signed = (value, digits) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);
const whole = (value) => Math.round(value).toLocaleString("en");
const brief = (value) =>
  value >= 1e6 ? `${+(value / 1e6).toPrecision(3)} M` : value >= 1e4 ? `${+(value / 1e3).toPrecision(3)} k`
  : value >= 100 ? whole(value) : `${+value.toPrecision(3)}`;
const plural = (count, word) => `${whole(count)} ${count === 1 ? word : word.endsWith("y") ? word.slice(0, -1) + "ies" : word + "s"}`;
const bad = (cost) => Object.entries(cost.answers).reduce((sum, [status, n]) => sum + (status === "ok" ? 0 : n), 0);

/* Cividis, which looks the same to all eyes: Nuñez, Anderton & Renslow 2018, at nine places. */
const CIVIDIS = [[0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115], [138, 134, 120], [165, 156, 116], [195, 179, 105], [254, 232, 56]];
function shade(share) {
  const place = Math.max(0, Math.min(1, share)) * (CIVIDIS.length - 1), below = Math.floor(place);
  const [low, high] = [CIVIDIS[below], CIVIDIS[Math.min(below + 1, CIVIDIS.length - 1)]];
  const mixed = low.map((part, i) => Math.round(part + (high[i] - part) * (place - below)));
  return { fill: `rgb(${mixed.join(",")})`, ink: place > 5 ? "on-bright" : "on-dark" };
}

function pressed(id, names, chosen, choose) {
  fill(id, names.map(([key, label]) =>
    el("button", { type: "button", "aria-pressed": String(key === chosen), onclick: () => choose(key) }, label)));
}

/* Round ends and steps for an axis. */
function ticks(low, high, count) {
  const rough = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9; i++) found.push(+(i * step).toPrecision(12));
  return found;
}
