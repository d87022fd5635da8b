"use strict";
// The page of a leaderboard. Names are other people's: they become text nodes and attributes, never markup.

const PAGE = JSON.parse(document.getElementById("data").textContent);
const DATA = {
  ...PAGE.data,
  rankings: mapped(PAGE.data.rankings, rowsIn),
  beyond: mapped(PAGE.data.beyond, rowsIn),
  overfitting: mapped(PAGE.data.overfitting, rowsIn),
  comparisons: mapped(PAGE.data.comparisons, rowsIn),
  profiles: mapped(PAGE.data.profiles, (profile) => ({ ...profile, curves: mapped(profile.curves, (its) => mapped(its, runsIn)) })),
  longer: rowsIn(PAGE.data.longer),
  by_lag: rowsIn(PAGE.data.by_lag),
  horizons: PAGE.data.horizons.map((ladder) => ({ ...ladder, points: rowsIn(ladder.points), fits: rowsIn(ladder.fits) })),
  rows: mapped(PAGE.data.rows, rowsOfLevel),
};
const TABLES = new Map(PAGE.tables.map((table) => [table.name, table]));
const ARCHITECTURES = DATA.architectures.map((each) => each.label);
const PLACE = new Map(ARCHITECTURES.map((label, i) => [label, i]));
const FAMILY = new Map(DATA.architectures.map((each) => [each.label, each.family]));
const OVERALL = "overall";
const LEVELS = DATA.scopes.filter((scope) => scope !== OVERALL);
const DRAWN_AT_FIRST = 10;
const FEWEST = 8;
const NOTHING = "–";
const NOT_STATED = "not stated";

const state = {
  tab: PAGE.tables.length ? PAGE.tables[0].name : "",
  scope: PAGE.tables.length ? PAGE.tables[0].scopes[0] : "",
  filter: "",
  family: "", // all of them
  sort: new Map(),
  picked: new Set(),
  drawn: new Set(),
  row: null,
  level: null,
  ready: false, // until then the address is what is asked for, not what is shown
};
const figures = [];

// --- small things ------------------------------------------------------------------------------------------------------

/** The rows of a table that was written as columns. A column is a list, one value for all rows, or texts with the place of each row's. */
function rowsIn(columns) {
  const names = Object.keys(columns);
  const whole = Object.values(columns).map((column) => column.places ?? column).find(Array.isArray) ?? [];
  const value = (column, i) => (Array.isArray(column) ? column[i] : column.texts ? column.texts[column.places[i]] : column.all);
  return whole.map((_, i) => Object.fromEntries(names.map((name) => [name, value(columns[name], i)])));
}

/** The values of a list that was written as runs: a value, its times, the next value. */
function runsIn(runs) {
  return runs.flatMap((value, i) => (i % 2 ? [] : Array(runs[i + 1]).fill(value)));
}

/** A mapping with every value changed. fromEntries defines each name as it is, "__proto__" too. */
function mapped(mapping, change) {
  return Object.fromEntries(Object.entries(mapping).map(([name, value]) => [name, change(value)]));
}

/** The rows of a level by architecture; each says of its configuration what differs from the shared one. */
function rowsOfLevel({ shared, curve, gradient, input_gradient, ...columns }) {
  const whole = (config) => Object.fromEntries(Object.entries(config).map(([part, own]) => [part, { ...shared[part], ...own }]));
  const curves = curvesIn(curve, "step"), gradients = curvesIn(gradient, "lag"), ofInput = curvesIn(input_gradient, "lag");
  return Object.fromEntries(rowsIn(columns).map((row, i) => [row.architecture,
    { ...row, config: whole(row.config), curve: curves[i], gradient: gradients[i], input_gradient: ofInput[i] }]));
}

/** Curves that were written as columns, in which an axis stands once for all rows that share it; null where a row has none. */
function curvesIn({ axes, ...columns } = {}, axis) {
  return rowsIn(columns).map((curve) => (curve[axis] === null ? null : { ...curve, [axis]: axes[curve[axis]] }));
}

/** What a mapping has under a name; undefined for names that only its prototype knows. */
function of(mapping, name) {
  return mapping && Object.hasOwn(mapping, name) ? mapping[name] : undefined;
}

function make(namespace, tag, attributes, children) {
  const node = document.createElementNS(namespace, tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return node;
}

const html = (tag, attributes, ...children) => make("http://www.w3.org/1999/xhtml", tag, attributes, children);
const svg = (tag, attributes, ...children) => make("http://www.w3.org/2000/svg", tag, attributes, children);
const byId = (id) => document.getElementById(id);
const name = (label) => html("bdi", {}, label);
/** A name that may break after an underscore. */
const breakable = (label) => html("bdi", {}, label.split(/(?<=_)/).flatMap((part, i) => (i ? [html("wbr"), part] : [part])));
/** The architecture and the settings of a row whose label does not say them. */
const variantOf = (label) => of(DATA.variants, label);
const colour = (label) => `var(--a${PLACE.get(label)})`;
const clamp = (value) => Math.min(1, Math.max(0, value));
const known = (value) => value !== null && value !== undefined;

function swatch(label) {
  return svg("svg", { class: "swatch", width: 26, height: 12, viewBox: "0 0 26 12", "aria-hidden": "true" },
    svg("use", { href: `#swatch-${PLACE.get(label)}` }));
}

function say(text) {
  const place = byId("said");
  place.textContent = "";
  setTimeout(() => { place.textContent = text; }, 50);
}

function debounced(action, milliseconds) {
  let timer;
  return () => { clearTimeout(timer); timer = setTimeout(action, milliseconds); };
}

// --- numbers as text, as `number_text` of suite/results/wording.py writes them -----------------------------------------------------------------------------

/** Rounded as Python does it: a tie goes to the even digit. */
function fixed(value, digits) {
  const text = value.toFixed(digits);
  const exact = Math.abs(value).toFixed(80).split(".");
  const tail = exact[1].slice(digits);
  let rounded = text;
  if (/^50*$/.test(tail)) {
    const kept = exact[0] + exact[1].slice(0, digits);
    const even = Number(kept.at(-1)) % 2 === 0;
    const down = digits ? `${exact[0]}.${exact[1].slice(0, digits)}` : exact[0];
    if (even) rounded = (value < 0 ? "-" : "") + down;
  }
  return Number(rounded) === 0 ? rounded.replace("-", "") : rounded;
}

function grouped(value) {
  const text = fixed(value, 0);
  return text.replace(/\B(?=(\d{3})+$)/g, ",");
}

function numberText(value, kind) {
  if (kind === "percent") return `${fixed(100 * value, 0)}%`;
  if (kind === "count") return grouped(value);
  if (kind === "short") return value < 10 ? fixed(value, 1) : grouped(value);
  return fixed(value, 2);
}

/** The text of a cell and of its interval. */
function cellText(row, column) {
  const value = row[column.key];
  const low = column.low ? row[column.low] : null;
  const high = column.high ? row[column.high] : null;
  if (column.kind === "rank") {
    return [!known(low) ? NOTHING : low === high ? fixed(low, 0) : `${fixed(low, 0)}–${fixed(high, 0)}`, ""];
  }
  if (column.kind === "name" || column.kind === "text") return [String(value || ""), ""];
  if (column.kind === "horizon") return (row[`${column.key}_text`] || NOTHING).split(/ (?=\[)/).concat("").slice(0, 2);
  if (column.kind === "flag") return [value ? "yes" : "", ""];
  if (column.kind === "state") return known(value) ? [grouped(value), row.state_growth ? `(${grouped(row.state_growth)} per step)` : ""] : [NOT_STATED, ""];
  if (!known(value)) return [column.kind === "skill" && row.missing ? `${NOTHING} (no ${row.missing})` : NOTHING, ""];
  const text = numberText(value, column.kind);
  if (!known(low) || !known(high)) return [text, ""];
  const ends = [low, high].map((end) => numberText(end, column.kind).replace(/%$/, ""));
  return [text, `[${ends[0]}, ${ends[1]}]`];
}

function interval(row, kind = "number", keys = ["mean", "low", "high"]) {
  const [text, ends] = cellText(row, { key: keys[0], low: keys[1], high: keys[2], kind });
  const remark = ["mean", "skill"].includes(keys[0]) && row.remark;
  return [text, ends, remark && `(${remark})`].filter(Boolean).join(" ");
}

function signed(value) {
  const text = fixed(value, 2);
  return text.startsWith("-") ? `−${text.slice(1)}` : `+${text}`;
}

function pText(p) {
  if (!known(p)) return NOTHING;
  return p < 0.001 ? "< 0.001" : fixed(p, 3);
}

/** A configured value as one would write it. */
function plainText(value) {
  if (value === null) return "none";
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
  return typeof value === "string" ? value : JSON.stringify(value);
}
