"use strict";
// The page of a leaderboard. Names are other people's: they become text nodes and attributes, never markup.

const PAGE = JSON.parse(document.getElementById("data").textContent);
const DATA = unpacked(PAGE.data);
const TABLES = new Map(PAGE.tables.map((table) => [table.name, table]));
const ARCHITECTURES = DATA.architectures.map((each) => each.label);
const PLACE = new Map(ARCHITECTURES.map((label, i) => [label, i]));
const OVERALL = "overall";
const LEVELS = DATA.scopes.filter((scope) => scope !== OVERALL);
const DRAWN_AT_FIRST = 10;
const FEWEST = 8;
const NOTHING = "–";

const state = {
  tab: PAGE.tables.length ? PAGE.tables[0].name : "",
  scope: PAGE.tables.length ? PAGE.tables[0].scopes[0] : "",
  filter: "",
  sort: new Map(),
  picked: new Set(),
  drawn: new Set(),
  row: null,
  level: null,
  ready: false, // until then the address is what is asked for, not what is shown
};
const figures = [];

// --- small things ------------------------------------------------------------------------------------------------------

/** Undoes `_packed` of page.py: columns and rows become records again. */
function unpacked(value) {
  if (Array.isArray(value)) return value.map(unpacked);
  if (value === null || typeof value !== "object") return value;
  if (value.$thousandths) return value.$thousandths.map((each) => (each === null ? null : each / 1000));
  if (value.$columns) {
    const words = value.$columns.map((key) => of(value.$words, key));
    const records = value.$rows.map((row) => Object.fromEntries(value.$columns.map((key, i) => [key, words[i] ? words[i][row[i]] : unpacked(row[i])])));
    return value.$names ? Object.fromEntries(value.$names.map((each, i) => [each, records[i]])) : records;
  }
  // fromEntries defines every name as it is, "__proto__" too.
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, unpacked(part)]));
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

// --- numbers as text: as page.py writes them -----------------------------------------------------------------------------

/** Rounded as Python does it: a tie goes to the even digit. */
function fixed(value, digits) {
  const text = value.toFixed(digits);
  const exact = Math.abs(value).toFixed(80).split(".");
  const tail = exact[1].slice(digits);
  let found = text;
  if (/^50*$/.test(tail)) {
    const kept = exact[0] + exact[1].slice(0, digits);
    const even = Number(kept.at(-1)) % 2 === 0;
    const down = digits ? `${exact[0]}.${exact[1].slice(0, digits)}` : exact[0];
    if (even) found = (value < 0 ? "-" : "") + down;
  }
  return Number(found) === 0 ? found.replace("-", "") : found;
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
  if (column.kind === "horizon") return value ? value.split(/ (?=\[)/).concat("").slice(0, 2) : [NOTHING, ""];
  if (column.kind === "flag") return [value ? "yes" : "", ""];
  if (!known(value)) return [column.kind === "skill" && row.missing ? `${NOTHING} (no ${row.missing})` : NOTHING, ""];
  const text = numberText(value, column.kind);
  if (!known(low) || !known(high)) return [text, ""];
  const ends = [low, high].map((end) => numberText(end, column.kind).replace(/%$/, ""));
  return [text, `[${ends[0]}, ${ends[1]}]`];
}

function interval(row, kind = "number", keys = ["mean", "low", "high"]) {
  const [text, ends] = cellText(row, { key: keys[0], low: keys[1], high: keys[2], kind });
  return ends ? `${text} ${ends}` : text;
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

// --- ranking tables ------------------------------------------------------------------------------------------------------

function scopeOf(tab) {
  const table = TABLES.get(tab);
  return table.scopes.includes(state.scope) ? state.scope : table.scopes[0];
}

function rowsOf(tab, scope) {
  return of(DATA[tab], scope) || [];
}

function bar(row, width = 120, height = 32) {
  const inner = width - 12;
  const box = svg("svg", { class: "bar", width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  if (!known(row.mean)) return box;
  const [mean, low, high] = [row.mean, row.low ?? row.mean, row.high ?? row.mean].map((value) => 6 + inner * clamp(value));
  box.append(
    svg("path", { class: "axis", d: [6, 6 + inner / 2, 6 + inner].map((x) => `M${x},0V${height}`).join("") }),
    svg("path", { class: "line", d: `M${low},${height / 2}H${high}` }),
    svg("circle", { class: "dot", cx: mean, cy: height / 2, r: 3.5 }),
  );
  return box;
}

function skillCell(row, tag = "td", width, height) {
  const [text, ends] = cellText(row, { key: "mean", low: "low", high: "high", kind: "skill" });
  return html(tag, { class: "skill", style: `--c: ${colour(row.architecture)}` },
    html("span", { class: "both" }, bar(row, width, height),
      html("span", { class: "numbers" }, text, ends && " ", ends && html("span", { class: "ci" }, ends))));
}

function nameCell(row) {
  const label = row.architecture;
  return html("th", { scope: "row", class: "name" }, html("span", { class: "who" }, swatch(label),
    html("button", { type: "button", class: "open", "data-row": label }, breakable(label)),
    row.few_seeds && " ", row.few_seeds && html("span", { class: "few", title: `fewer than ${PAGE.few} seeds: an indication` }, "few", html("span", { class: "hidden" }, " seeds"))));
}

function tableCell(row, column) {
  if (column.kind === "name") return nameCell(row);
  if (column.kind === "skill") return skillCell(row);
  const [text, ends] = cellText(row, column);
  return html("td", { class: `${column.kind} ${column.key}` }, text, ends && " ", ends && html("span", { class: "ci" }, ends));
}

function rankingRow(row, columns) {
  const label = row.architecture;
  const pick = html("input", { type: "checkbox", class: "pick", "aria-label": `compare ${label}` });
  pick.checked = state.picked.has(label);
  return html("tr", { "data-architecture": label }, html("td", { class: "choose" }, pick), columns.map((column) => tableCell(row, column)));
}

function sortValue(row, column) {
  const value = row[column.sort || column.key];
  if (column.kind === "flag") return value ? 1 : 0;
  return value === "" || !known(value) ? null : value;
}

/** Stable, and what is not known stands last whichever way up. */
function sorted(rows, column, direction) {
  const sign = direction === "descending" ? -1 : 1;
  const compared = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
  return rows.map((row) => [sortValue(row, column), row]).sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * compared(a, b);
  }).map(([, row]) => row);
}

function shownRows(tab) {
  const wanted = state.filter.trim().toLowerCase();
  const rows = rowsOf(tab, scopeOf(tab)).filter((row) => row.architecture.toLowerCase().includes(wanted));
  const sort = state.sort.get(tab);
  const column = sort && TABLES.get(tab).columns.find((each) => each.key === sort.key);
  return column ? sorted(rows, column, sort.direction) : rows;
}

function drawTable(tab) {
  const { columns } = TABLES.get(tab);
  const table = byId(`table-${tab}`);
  const rows = shownRows(tab);
  table.querySelector(".scope-name").textContent = scopeOf(tab);
  table.tBodies[0].replaceChildren(...(rows.length
    ? rows.map((row) => rankingRow(row, columns))
    : [html("tr", {}, html("td", { class: "empty", colspan: columns.length + 1 }, "No architecture has this in its name."))]));
  const sort = state.sort.get(tab);
  table.querySelectorAll("thead th").forEach((heading) => {
    if (sort && heading.querySelector(".sort").dataset.key === sort.key) heading.setAttribute("aria-sort", sort.direction);
    else heading.removeAttribute("aria-sort");
  });
}

function drawTables() {
  for (const tab of TABLES.keys()) drawTable(tab);
  count();
}

function count() {
  const all = rowsOf(state.tab, scopeOf(state.tab)).length;
  const shown = shownRows(state.tab).length;
  byId("count").textContent = `${shown === all ? all : `${shown} of ${all}`} architecture${all === 1 ? "" : "s"}`;
}

function pressHeading(tab, key) {
  const column = TABLES.get(tab).columns.find((each) => each.key === key);
  const first = column.best === "high" ? "descending" : "ascending";
  const now = state.sort.get(tab);
  const direction = now && now.key === key ? (now.direction === "ascending" ? "descending" : "ascending") : first;
  state.sort.set(tab, { key, direction });
  drawTable(tab);
  say(`sorted by ${column.label}, ${direction}`);
}

function fillScopes() {
  const { scopes } = TABLES.get(state.tab);
  const select = byId("scope");
  select.replaceChildren(...scopes.map((scope) => html("option", { value: scope }, scope)));
  select.value = scopeOf(state.tab);
}

function chooseTab(tab, focus = false) {
  state.tab = tab;
  for (const each of TABLES.keys()) {
    const button = byId(`tab-${each}`);
    button.setAttribute("aria-selected", String(each === tab));
    button.tabIndex = each === tab ? 0 : -1;
    byId(`panel-${each}`).hidden = each !== tab;
    if (each === tab && focus) button.focus();
  }
  fillScopes();
  count();
  remember();
}

function chooseScope(scope) {
  state.scope = scope;
  fillScopes();
  drawTables();
  for (const figure of figures) if (figure.follows) figure.redraw();
  remember();
}

// --- plots ---------------------------------------------------------------------------------------------------------------

/** A marker of page.py as a symbol for Plot. */
function symbolOf(label) {
  const points = of(PAGE.markers, DATA.architectures[PLACE.get(label)].marker) || [];
  return {
    draw(context, size) {
      const r = Math.sqrt(size / Math.PI);
      if (!points.length) {
        context.moveTo(r, 0);
        context.arc(0, 0, r, 0, 2 * Math.PI);
        return;
      }
      points.forEach(([x, y], i) => (i ? context.lineTo(x * r, y * r) : context.moveTo(x * r, y * r)));
      context.closePath();
    },
  };
}

function lookOf(label) {
  return { className: `arch arch-${PLACE.get(label)}`, dash: DATA.architectures[PLACE.get(label)].dash || undefined };
}

/** Line, band and markers of one architecture; what is not known leaves a gap. */
function seriesMarks(label, points, { dots = true, band = true, dx = 0, curve = "linear", whiskers = false } = {}) {
  const { className, dash } = lookOf(label);
  const stroke = colour(label);
  const marks = [];
  const ended = points.filter((point) => known(point.low) && known(point.high));
  if (band && ended.length) marks.push(Plot.areaY(ended, { x: "x", y1: "low", y2: "high", fill: stroke, fillOpacity: 0.1, curve, className }));
  if (whiskers && ended.length) marks.push(Plot.ruleX(ended, { x: "x", y1: "low", y2: "high", stroke, strokeWidth: 1.4, dx, className }));
  marks.push(Plot.lineY(points, { x: "x", y: "y", stroke, strokeWidth: 1.7, strokeDasharray: dash, curve, dx, className }));
  if (dots) marks.push(Plot.dot(points, { x: "x", y: "y", fill: stroke, r: 3.4, symbol: symbolOf(label), dx, className }));
  return marks;
}

/** What the pointer is at, in words. */
function tipMark(points) {
  const shown = points.filter((point) => known(point.x) && known(point.y));
  return Plot.tip(shown, Plot.pointer({ x: "x", y: "y", title: "title", maxRadius: 30, fontSize: 12, fill: "var(--raised)", stroke: "var(--rule)", ariaLabel: null }));
}

/** A picture with a sentence for those who do not see it. */
function picture(label, options) {
  const node = Plot.plot({
    marginLeft: 44, marginRight: 16, marginTop: 22, marginBottom: 38,
    ...options,
    style: { background: "transparent", color: "currentColor", fontSize: "12px", overflow: "visible" },
  });
  // One sentence for the whole: what Plot says of each part would only be in its way.
  node.querySelectorAll("[aria-label]").forEach((part) => part.removeAttribute("aria-label"));
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", label);
  return node;
}

const skillAxis = (label = "skill", extra = {}) => ({ label, domain: [0, 1], grid: true, ticks: 5, clamp: true, ...extra });

function widthOf(host) {
  if (host.clientWidth) return Math.max(260, host.clientWidth);
  const main = byId("main").clientWidth;
  return Math.max(260, main > 900 ? main - 310 : main);
}

/** A figure that draws itself again: when it becomes wider, when a choice changes. */
function addFigure(parent, { title, caption, choices = null, draw, follows = false }) {
  const drawing = html("div", { class: "drawing" });
  const select = choices && choices.length > 1
    ? html("select", { onchange: () => redraw() }, choices.map(([value, text], i) => html("option", { value: i }, text ?? value)))
    : null;
  const label = select && html("label", {}, choices.label || "Task", select);
  const numbers = html("details", { hidden: true }, html("summary", {}, "The numbers"));
  const node = html("figure", { class: "figure" },
    html("figcaption", {}, html("h3", {}, title), caption.map((sentence) => html("p", {}, sentence)), label), drawing, numbers);
  const redraw = () => {
    const choice = choices && choices.length ? choices[select ? Number(select.value) : 0][0] : null;
    const drawn = draw(widthOf(drawing), choice);
    drawing.replaceChildren(drawn.node || html("p", { class: "nothing" }, "Nothing to draw here."));
    numbers.hidden = !drawn.numbers;
    if (drawn.numbers) numbers.replaceChildren(numbers.firstChild, html("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": `${title}, numbers` }, plainTable(...drawn.numbers)));
  };
  parent.append(node);
  figures.push({ redraw, follows });
  redraw();
}

/** A table of text; the first column heads the rows. */
function plainTable(headings, rows, caption) {
  return html("table", { class: "plain" }, caption && html("caption", {}, caption),
    html("thead", {}, html("tr", {}, headings.map((heading, i) => html("th", { scope: "col", class: i ? "right" : "" }, heading)))),
    html("tbody", {}, rows.map((row) => html("tr", {}, row.map((cell, i) => (i
      ? html("td", { class: "right" }, cell)
      : html("th", { scope: "row" }, typeof cell === "string" ? name(cell) : cell)))))));
}

const drawnOf = (labels) => ARCHITECTURES.filter((label) => state.drawn.has(label) && labels.includes(label));

function addFigures() {
  const host = byId("figures");
  if (LEVELS.length > 1) addGlance(host);
  const profiled = DATA.scopes.filter((scope) => of(DATA.profiles, scope));
  if (profiled.length) addProfiles(host, profiled);
  if (DATA.horizons.length) addHorizons(host);
  if (DATA.longer.length) addLonger(host);
  const budgeted = DATA.budget ? DATA.scopes.filter((scope) => of(DATA.budget, scope)) : [];
  if (budgeted.length) addBudget(host, budgeted);
  if (DATA.critical) addCritical(host);
  const cost = byId("cost-plot");
  if (cost) addCost(cost);
  const overfitting = byId("overfitting-plot");
  if (overfitting && DATA.overfitting_curves.length) addOverfitting(overfitting);
}

/** Every architecture on every task: a table of small intervals. */
function addGlance(host) {
  const draw = (width, scope) => {
    const column = Math.max(112, Math.min(190, (width - 150) / LEVELS.length));
    const order = rowsOf("memory", DATA.scopes[0]).map((row) => row.architecture).filter((label) => state.drawn.has(label));
    const lookup = new Map(LEVELS.map((level) => [level, new Map(rowsOf("memory", level).map((row) => [row.architecture, row]))]));
    const cell = (label, level) => {
      const row = lookup.get(level).get(label);
      if (!row || !known(row.mean)) return html("td", {}, NOTHING);
      return html("td", { style: `--c: ${colour(label)}` }, html("span", { class: "both", title: `${level}: ${interval(row)}` },
        bar(row, Math.round(column - 44), 24), html("span", {}, fixed(row.mean, 2))));
    };
    const table = html("table", { class: "plain glance" },
      html("thead", {}, html("tr", {}, html("th", { scope: "col" }, "architecture"), LEVELS.map((level) => html("th", { scope: "col" }, name(level))))),
      html("tbody", {}, order.map((label) => html("tr", { class: lookOf(label).className },
        html("th", { scope: "row" }, html("span", { class: "who" }, swatch(label), name(label))), LEVELS.map((level) => cell(label, level))))));
    return { node: html("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "skill on every task, table" }, table) };
  };
  addFigure(host, { title: "Skill on every task", caption: ["Mean and 95 % interval on an axis from 0 to 1, one column per task. An architecture that wins overall need not win everywhere."], draw });
}

function addProfiles(host, scopes) {
  const draw = (width, scope) => {
    const { thresholds, curves } = of(DATA.profiles, scope);
    const points = new Map(drawnOf(Object.keys(curves)).map((label) => [label, thresholds.map((x, i) => ({
      x, y: of(curves, label).share[i], low: of(curves, label).low[i], high: of(curves, label).high[i],
      title: `${label}\n${fixed(100 * of(curves, label).share[i], 0)}% of runs above ${fixed(x, 2)}`,
    }))]));
    const at = [0.1, 0.25, 0.5, 0.75, 0.9].map((wanted) => d3.leastIndex(thresholds, (a, b) => Math.abs(a - wanted) - Math.abs(b - wanted)));
    const node = picture(`Share of runs with skill above each threshold, ${scope}, for ${points.size} architectures.`, {
      width, height: 340, x: { label: "skill τ", domain: [0, 1], ticks: 5 }, y: { label: "share of runs above τ", domain: [0, 1], grid: true, ticks: 5, percent: false },
      marks: [Plot.ruleY([0]), ...[...points].flatMap(([label, its]) => [
        ...seriesMarks(label, its, { dots: false }),
        Plot.dot(its.filter((_, i) => i % 10 === 5), { x: "x", y: "y", fill: colour(label), r: 3, symbol: symbolOf(label), className: lookOf(label).className }),
      ]), tipMark([...points.values()].flat())],
    });
    const numbers = [["architecture", ...at.map((i) => `above ${fixed(thresholds[i], 2)}`)],
      [...points].map(([label, its]) => [label, ...at.map((i) => `${fixed(100 * its[i].y, 0)}%`)])];
    return { node, numbers };
  };
  addFigure(host, { title: "Performance profiles", choices: scopes.map((scope) => [scope, scope]), draw,
    caption: ["The share of runs whose skill exceeds τ, with its 95 % band. Higher is better; a step shows runs that either succeed or fail, which a mean hides. The higher curve wins where two do not cross."] });
}

function addHorizons(host) {
  const named = (each) => `${each.ladder}, ${each.kind === "trained" ? "trained at each delay" : "tested beyond training"}`;
  const choices = DATA.horizons.map((each) => [each, named(each)]);
  choices.label = "Ladder";
  addFigure(host, { title: "Memory horizon", choices, draw: horizonDrawing,
    caption: ["Skill against the delay that has to be bridged: points with 95 % intervals over seeds, moved apart a little, and the fitted curve. The horizon d50 is where the curve has lost half of its plateau; ≥ says that it lies beyond the longest delay that was tried."] });
}

function horizonDrawing(width, ladder, only = null) {
  const labels = only || drawnOf([...new Set(ladder.points.map((point) => point.architecture))]);
  const delays = [...new Set(ladder.points.map((point) => point.delay))].sort((a, b) => a - b);
  const middle = (labels.length - 1) / 2;
  const fits = new Map(ladder.fits.map((fit) => [fit.architecture, fit]));
  const all = [];
  const marks = labels.flatMap((label, i) => {
    const dx = Math.round((i - middle) * 3);
    const fit = fits.get(label);
    const { className, dash } = lookOf(label);
    const points = ladder.points.filter((point) => point.architecture === label)
      .map((point) => ({ x: point.delay, y: point.skill, low: point.low, high: point.high, title: `${label}\ndelay ${grouped(point.delay)}: ${interval(point, "number", ["skill", "low", "high"])}` }));
    all.push(...points);
    return [
      Plot.ruleX(points.filter((p) => known(p.low) && known(p.high)), { x: "x", y1: "low", y2: "high", stroke: colour(label), strokeWidth: 1.4, dx, className }),
      Plot.dot(points, { x: "x", y: "y", fill: colour(label), r: 3.6, symbol: symbolOf(label), dx, className }),
      fit && fit.curve.length && Plot.line(fit.curve, { x: (d) => d[0], y: (d) => d[1], stroke: colour(label), strokeWidth: 1.6, strokeDasharray: dash, className }),
    ].filter(Boolean);
  });
  const node = picture(`Skill against delay on ${ladder.ladder} for ${labels.length} architectures, with fitted curves.`, {
    width, height: 350, x: { type: "log", inset: 16 },
    y: skillAxis(), marks: [logAxis(delays, width, "delay, steps"), Plot.ruleY([0]), ...marks, tipMark(all)],
  });
  const numbers = [["architecture", "d50 [95 %]", ...delays.map((delay) => `at ${grouped(delay)}`)], labels.map((label) => [label,
    fits.get(label)?.text || NOTHING, ...delays.map((delay) => {
      const point = ladder.points.find((each) => each.architecture === label && each.delay === delay);
      return point ? interval(point, "number", ["skill", "low", "high"]) : NOTHING;
    })])];
  return { node, numbers };
}

/** An axis with ticks at given values: Plot's own leaves out labels of a logarithmic one. */
function logAxis(values, width, label) {
  return Plot.axisX(thinned(values, width), { text: (value) => (value < 10 ? plainText(Number(value.toPrecision(2))) : grouped(value)), label });
}

function ticksBetween(values) {
  const [low, high] = d3.extent(values);
  return high / low > 8 ? d3.scaleLog([low, high], [0, 1]).ticks(6) : d3.ticks(low * 0.97, high * 1.03, 6).filter((tick) => tick > 0);
}

/** Values that have room for their labels on a logarithmic axis. */
function thinned(values, width) {
  const span = Math.log(values.at(-1) / values[0]) || 1;
  const kept = [];
  for (const value of values) { // from the first on, so that the shortest is always said
    if (!kept.length || (Math.log(value / kept.at(-1)) / span) * (width - 90) > 34) kept.push(value);
  }
  return kept;
}

function trainedLength(task) {
  const row = Object.values(of(DATA.rows, task) || {})[0];
  const length = row && configOf(row).task?.length;
  return typeof length === "number" ? length : null;
}

function addLonger(host) {
  const tasks = [...new Set(DATA.longer.map((each) => each.task))];
  const draw = (width, task) => {
    const trained = trainedLength(task);
    const points = DATA.longer.filter((each) => each.task === task);
    const first = trained === null || points.some((each) => each.length === trained) ? [] : rowsOf("memory", task)
      .filter((row) => known(row.mean)).map((row) => ({ architecture: row.architecture, length: trained, skill: row.mean, low: row.low, high: row.high }));
    const all = [...first, ...points];
    const lengths = [...new Set(all.map((each) => each.length))].sort((a, b) => a - b);
    const labels = drawnOf([...new Set(points.map((each) => each.architecture))]);
    const text = (each) => interval(each, "number", ["skill", "low", "high"]);
    const its = (label) => all.filter((each) => each.architecture === label).sort((a, b) => a.length - b.length)
      .map((each) => ({ x: each.length, y: each.skill, low: each.low, high: each.high, title: `${label}\nlength ${grouped(each.length)}: ${text(each)}` }));
    const middle = (labels.length - 1) / 2;
    const node = picture(`Skill against sequence length on ${task}, trained at ${trained ?? "the shortest"}, for ${labels.length} architectures.`, {
      width, height: 340, x: { type: "log", inset: 22 }, y: skillAxis(),
      marks: [logAxis(lengths, width, "length of the test sequences"), Plot.ruleY([0]), trained !== null && Plot.ruleX([trained], { stroke: "var(--muted)", strokeDasharray: "2 3" }),
        trained !== null && Plot.text([trained], { x: (d) => d, text: () => "trained", frameAnchor: "top", textAnchor: "start", dx: 5, dy: 6, fill: "var(--muted)" }),
        ...labels.flatMap((label, i) => seriesMarks(label, its(label), { band: false, whiskers: true, dx: Math.round((i - middle) * 4) })),
        tipMark(labels.flatMap(its))].filter(Boolean),
    });
    const numbers = [["architecture", ...lengths.map((length) => `length ${grouped(length)}`)], labels.map((label) => [label, ...lengths.map((length) => {
      const each = all.find((one) => one.architecture === label && one.length === length);
      return each ? text(each) : NOTHING;
    })])];
    return { node, numbers };
  };
  addFigure(host, { title: "Beyond the training length", choices: tasks.map((task) => [task, task]), draw,
    caption: ["The same nets on sequences longer than they were trained on, with 95 % intervals over seeds. A line that stays level has learned the task and not its length."] });
}

function addBudget(host, scopes) {
  const draw = (width, scope) => {
    const curves = of(DATA.budget, scope);
    const labels = drawnOf(Object.keys(curves));
    const most = d3.max(labels, (label) => of(curves, label).expected.length) || 1;
    const all = [];
    const middle = (labels.length - 1) / 2;
    const marks = labels.flatMap((label, i) => {
      const its = of(curves, label);
      const points = its.expected.map((y, k) => ({ x: k + 1, y, low: its.low?.[k], high: its.high?.[k], title: `${label}\nbest of ${k + 1}: ${known(y) ? fixed(y, 2) : NOTHING}` }));
      const untuned = known(its.default) ? [{ x: 0, y: its.default, title: `${label}\nuntuned default: ${fixed(its.default, 2)}` }] : [];
      all.push(...points, ...untuned);
      const { className } = lookOf(label);
      return [...seriesMarks(label, points, { dots: most <= 12 }),
        Plot.dot(untuned, { x: "x", y: "y", fill: "var(--paper)", stroke: colour(label), strokeWidth: 1.6, r: 3.6, symbol: symbolOf(label), dx: Math.round((i - middle) * 3), className })];
    });
    const ticks = d3.ticks(1, most, Math.min(most, 8)).filter(Number.isInteger);
    const node = picture(`Expected best validation skill against the number of trials, ${scope}, for ${labels.length} architectures.`, {
      width, height: 340, x: { label: "trials", domain: [0, Math.max(1, most)], ticks: [0, ...ticks.filter((tick) => tick > 0)], tickFormat: (d) => (d ? String(d) : "default"), inset: 18 },
      y: skillAxis("expected best validation skill"),
      marks: [Plot.ruleY([0]), Plot.ruleX([0.5], { stroke: "var(--rule)" }), ...marks, tipMark(all)],
    });
    const numbers = [["architecture", "default", ...d3.range(1, most + 1).map((k) => `best of ${k}`)], labels.map((label) => [label,
      ...[of(curves, label).default, ...d3.range(most).map((k) => of(curves, label).expected[k])].map((value) => (known(value) ? fixed(value, 2) : NOTHING))])];
    return { node, numbers };
  };
  addFigure(host, { title: "Budget of the search", choices: scopes.map((scope) => [scope, scope]), draw,
    caption: ["The validation skill that the best of so many random trials is expected to have; hollow, at the left, the untuned default. A curve still rising at its end would gain from more trials, and two that cross say that the ranking depends on the budget."] });
}

function addCritical(host) {
  const { p, tasks, ranks, cliques } = DATA.critical;
  const draw = (width) => ({ node: criticalPicture(width, ranks, cliques, p), numbers: [["architecture", "mean rank"], ranks.map((each) => [each.architecture, fixed(each.rank, 2)])] });
  addFigure(host, { title: "Critical differences", draw,
    caption: [`Mean ranks over ${tasks} tasks, the best at the left; a bar joins those that are not shown to differ (Friedman p ${p < 0.001 ? "< 0.001" : `= ${pText(p)}`}, then Wilcoxon with Holm).`] });
}

/** Ranks on one axis, names on both sides, cliques as bars below the axis. */
function criticalPicture(width, ranks, cliques, p) {
  const ordered = [...ranks].sort((a, b) => a.rank - b.rank);
  const side = Math.min(170, width * 0.3);
  const top = 30, step = 21, bars = cliques.length * 9 + 10;
  const scale = d3.scaleLinear([1, Math.max(2, ordered.length)], [side, width - side]);
  const half = Math.ceil(ordered.length / 2);
  const height = top + bars + half * step + 14;
  const node = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "font-size": 12, fill: "currentColor",
    "aria-label": `Mean ranks, best first: ${ordered.map((each) => `${each.architecture} ${fixed(each.rank, 2)}`).join(", ")}.` });
  node.append(svg("path", { d: `M${scale.range()[0]},${top}H${scale.range()[1]}`, stroke: "currentColor" }));
  for (const tick of scale.ticks(Math.min(ordered.length, 10)).filter(Number.isInteger)) {
    node.append(svg("path", { d: `M${scale(tick)},${top}v-5`, stroke: "currentColor" }), svg("text", { x: scale(tick), y: top - 9, "text-anchor": "middle" }, String(tick)));
  }
  ordered.forEach((each, i) => {
    const left = i < half;
    const y = top + bars + (left ? i : ordered.length - 1 - i) * step + 6;
    const end = left ? side - 6 : width - side + 6;
    node.append(svg("g", { class: lookOf(each.architecture).className },
      svg("path", { d: `M${scale(each.rank)},${top}V${y}H${end}`, stroke: colour(each.architecture), "stroke-width": 1.4, fill: "none" }),
      svg("text", { x: left ? end - 6 : end + 6, y: y + 4, "text-anchor": left ? "end" : "start" }, `${shortened(each.architecture, Math.floor(side / 7.5) - 5)} ${fixed(each.rank, 1)}`)));
  });
  const place = new Map(ordered.map((each) => [each.architecture, each.rank]));
  cliques.forEach((clique, i) => {
    const its = clique.map((label) => place.get(label)).filter(known);
    if (its.length > 1) node.append(svg("path", { d: `M${scale(Math.min(...its)) - 4},${top + 8 + i * 9}H${scale(Math.max(...its)) + 4}`, stroke: "currentColor", "stroke-width": 4 }));
  });
  return node;
}

const shortened = (text, most) => (text.length > most ? `${text.slice(0, Math.max(3, most - 1))}…` : text);

function addCost(host) {
  const choices = [["speed", "sequences per second"], ["parameters", "parameters"], ["state_size", "state size"], ["seconds_to_solve", "seconds to solve"]];
  choices.label = "Against";
  const draw = (width, measure) => {
    const scope = scopeOf("cost");
    const rows = rowsOf("cost", scope).filter((row) => known(row.mean) && row[measure] > 0);
    if (!rows.length) return {};
    const ends = measure === "speed";
    const points = rows.map((row) => ({ row, x: row[measure], y: row.mean, title: `${row.architecture}\nskill ${interval(row)}\n${interval(row, "count", ["speed", "speed_low", "speed_high"])} sequences per second\n${grouped(row.parameters)} parameters` }));
    const front = ends ? points.filter((point) => point.row.front).sort((a, b) => a.x - b.x) : [];
    // To the right of a point of the front nothing better is: the step goes down there.
    const node = picture(`Skill against ${of(Object.fromEntries(choices), measure)}, ${scope}: ${front.length ? `on the front are ${front.map((point) => point.row.architecture).join(", ")}` : `${points.length} architectures`}.`, {
      width, height: 380, marginRight: 24, x: { type: "log", inset: 24 }, y: skillAxis(),
      marks: [logAxis(ticksBetween(points.map((point) => point.x)), width, of(Object.fromEntries(choices), measure)), Plot.ruleY([0]),
        front.length > 1 && Plot.line(front, { x: "x", y: "y", curve: "step-before", stroke: "var(--muted)", strokeDasharray: "4 3", strokeWidth: 1.2 }),
        ...points.flatMap(({ row, x, y }) => {
          const className = `${lookOf(row.architecture).className}`;
          const stroke = colour(row.architecture);
          return [
            known(row.low) && known(row.high) && Plot.ruleX([row], { x, y1: row.low, y2: row.high, stroke, strokeWidth: 1.4, className }),
            ends && known(row.speed_low) && known(row.speed_high) && Plot.ruleY([row], { y, x1: row.speed_low, x2: row.speed_high, stroke, strokeWidth: 1.4, className }),
            Plot.dot([row], { x, y, symbol: symbolOf(row.architecture), fill: stroke, r: 5.5, className }),
            ends && row.front && Plot.dot([row], { x, y, r: 9.5, stroke: "var(--ink)", strokeWidth: 1.2 }),
          ].filter(Boolean);
        }),
        ...labelMarks(points, width), tipMark(points)].filter(Boolean),
    });
    return { node };
  };
  addFigure(host, { title: "What skill costs", choices, draw, follows: true,
    caption: ["Each architecture by its skill and by what it costs, with 95 % intervals. To the upper right (for speed) is better; ringed and joined are those on the front, which no other beats in both."] });
}

/** Names beside points, those left out that would cover another. */
function labelMarks(points, width) {
  const xs = points.map((point) => Math.log(point.x));
  const [x0, x1] = d3.extent(xs);
  const at = (point) => ({ left: ((Math.log(point.x) - x0) / (x1 - x0 || 1)) * (width - 120), top: 320 * (1 - point.y) });
  const taken = [];
  const free = (box) => box.left > -30 && box.left + box.width < width - 60 && taken.every((other) => box.left > other.left + other.width || box.left + box.width < other.left || Math.abs(box.top - other.top) > 15);
  for (const point of points) taken.push({ left: at(point).left - 7, width: 14, top: at(point).top });
  const ordered = [...points].sort((a, b) => Number(b.row.front) - Number(a.row.front));
  return ordered.map((point) => {
    const text = shortened(point.row.architecture, 22);
    const place = at(point);
    const length = text.length * 6.6 + 4;
    const options = [["start", 8, -13], ["end", -8, -13], ["start", 8, 13], ["end", -8, 13], ["start", 14, 0], ["end", -14, 0]];
    for (const [textAnchor, dx, dy] of options) {
      const box = { left: place.left + dx - (textAnchor === "end" ? length : 0), width: length, top: place.top + dy };
      if (free(box)) {
        taken.push(box);
        return Plot.text([text], { x: point.x, y: point.y, text: (d) => d, textAnchor, dx, dy, stroke: "var(--paper)", strokeWidth: 3, fill: "var(--ink)", paintOrder: "stroke", className: lookOf(point.row.architecture).className });
      }
    }
    return null;
  }).filter(Boolean);
}

function addOverfitting(host) {
  const words = { train_skill: "skill on training data", validation_skill: "skill on validation data", test_skill: "skill on test data", train_loss: "loss on training data", validation_loss: "loss on validation data", test_loss: "loss on test data" };
  const choices = DATA.overfitting_curves.flatMap((ladder) => {
    const measures = [...new Set(Object.values(ladder.curves).flatMap((its) => Object.keys(its)))];
    const order = ["test_skill", "train_skill", "validation_skill", "test_loss"];
    measures.sort((a, b) => (order.indexOf(a) + 99) % 99 - (order.indexOf(b) + 99) % 99);
    return measures.map((measure) => [{ ladder, measure }, `${ladder.ladder}: ${of(words, measure) || measure.replaceAll("_", " ")}`]);
  });
  choices.label = "Shown";
  const draw = (width, { ladder, measure }) => {
    const labels = drawnOf(Object.keys(ladder.curves)).filter((label) => of(of(ladder.curves, label), measure));
    const its = (label) => {
      const curve = of(of(ladder.curves, label), measure);
      return ladder.sizes.map((x, i) => ({ x, y: curve.mean[i], low: curve.low?.[i], high: curve.high?.[i], title: `${label}\n${grouped(x)} sequences: ${known(curve.mean[i]) ? fixed(curve.mean[i], 2) : NOTHING}` }));
    };
    const skill = measure.endsWith("skill");
    const title = of(words, measure) || measure.replaceAll("_", " ");
    const middle = (labels.length - 1) / 2;
    const node = picture(`${title} against the size of the training set, ${ladder.ladder}, for ${labels.length} architectures.`, {
      width, height: 350, x: { type: "log", inset: 18 },
      y: skill ? skillAxis(title) : { label: title, grid: true, ticks: 5, nice: true },
      marks: [logAxis(ladder.sizes, width, "sequences in the training set"), skill && Plot.ruleY([0]), ...labels.flatMap((label, i) => seriesMarks(label, its(label), { band: false, whiskers: true, dx: Math.round((i - middle) * 4) })), tipMark(labels.flatMap(its))].filter(Boolean),
    });
    const numbers = [["architecture", ...ladder.sizes.map((size) => grouped(size))], labels.map((label) => [label, ...its(label).map((point) => interval(point, "number", ["y", "low", "high"]))])];
    return { node: html("div", {}, inlineLegend(labels), node), numbers };
  };
  addFigure(host, { title: "Against the size of the training set", choices, draw,
    caption: ["Means over seeds with 95 % intervals, moved apart a little. The sooner a curve rises, the fewer sequences the architecture needs before what it learns holds on new ones."] });
}

function inlineLegend(labels) {
  return html("ul", { class: "inline-legend" }, labels.map((label) => html("li", {}, swatch(label), name(label))));
}

// --- which architectures the plots show ------------------------------------------------------------------------------------

function chooseDrawnAtFirst() {
  const best = rowsOf("memory", DATA.scopes[0]).map((row) => row.architecture);
  const ordered = [...best, ...ARCHITECTURES.filter((label) => !best.includes(label))];
  state.drawn = new Set(ordered.length > DRAWN_AT_FIRST ? ordered.slice(0, FEWEST) : ordered);
}

function addChips() {
  const best = rowsOf("memory", DATA.scopes[0]).map((row) => row.architecture);
  const ordered = [...best, ...ARCHITECTURES.filter((label) => !best.includes(label))];
  const chips = ordered.map((label) => {
    const press = () => {
      if (state.drawn.has(label)) state.drawn.delete(label);
      else state.drawn.add(label);
      chip.setAttribute("aria-pressed", String(state.drawn.has(label)));
      redrawAll();
    };
    const chip = html("button", { type: "button", class: "chip", "aria-pressed": String(state.drawn.has(label)), title: `show or hide ${label}`,
      onclick: press, onmouseenter: () => light(label), onmouseleave: () => light(null), onfocus: () => light(label), onblur: () => light(null) }, swatch(label), name(label));
    return chip;
  });
  const several = (text, labels) => html("button", { type: "button", class: "link", onclick: () => {
    state.drawn = new Set(labels);
    chips.forEach((chip, i) => chip.setAttribute("aria-pressed", String(state.drawn.has(ordered[i]))));
    redrawAll();
  } }, text);
  const many = ordered.length > DRAWN_AT_FIRST;
  byId("chips").classList.toggle("many", many);
  byId("chips").replaceChildren(...chips, ...(many ? [several(`the best ${FEWEST}`, ordered.slice(0, FEWEST)), several("all", ordered), several("none", [])] : []));
}

/** One architecture stands out, or none. */
function light(label) {
  const host = byId("figures");
  const shown = label !== null && state.drawn.has(label);
  host.querySelectorAll(".lit").forEach((node) => node.classList.remove("lit"));
  host.classList.toggle("dimmed", shown);
  if (shown) host.querySelectorAll(`.arch-${PLACE.get(label)}`).forEach((node) => node.classList.add("lit"));
}

function redrawAll() {
  for (const figure of figures) figure.redraw();
}

// --- the drawer: everything about one row ----------------------------------------------------------------------------------

function configOf(row) {
  return Object.fromEntries(Object.entries(row.config).map(([part, i]) => [part, PAGE.parts[i]]));
}

function sheet(dialog, id, title, ...children) {
  const close = html("button", { type: "button", class: "quiet close", onclick: () => dialog.close() }, "Close");
  const body = html("div", { class: "sheet" }, html("header", {}, title.swatch && swatch(title.swatch), html("h2", { id, tabindex: -1 }, title.text), close), children);
  dialog.replaceChildren(body);
  return body;
}

/** Opens a dialog; when it closes, the focus goes back to what opened it, even where that was drawn anew. */
function openDialog(dialog, back) {
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  dialog.querySelector("h2").focus({ preventScroll: true });
  dialog.onclose = () => {
    dialog.replaceChildren();
    const target = back();
    if (target) target.focus();
  };
  dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };
}

function rowButton(label) {
  return [...document.querySelectorAll("[role=tabpanel]:not([hidden]) .open")].find((button) => button.dataset.row === label);
}

function openRow(label, level = null) {
  const levels = LEVELS.filter((each) => of(of(DATA.rows, each), label));
  state.row = label;
  state.level = levels.includes(level) ? level : levels.includes(state.scope) ? state.scope : levels[0] ?? null;
  const dialog = byId("drawer");
  const place = html("div", {});
  const body = sheet(dialog, "drawer-title", { swatch: label, text: name(label) });
  const choose = (next) => {
    state.level = next;
    if (select) select.value = next;
    dialog.querySelectorAll("tr[data-level]").forEach((row) => row.classList.toggle("current", row.dataset.level === next));
    drawLevel(place, label, next);
    remember();
  };
  const select = levels.length > 1 ? html("select", { id: "drawer-level", onchange: () => choose(select.value) }, levels.map((each) => html("option", { value: each }, each))) : null;
  const show = (each) => { choose(each); select?.scrollIntoView({ block: "nearest" }); };
  body.append(...[DATA.scopes.length > 1 && summaryTable(label, levels, show),
    levels.length ? html("p", { class: "level" }, select ? html("label", { for: "drawer-level" }, "Task") : null, select || name(levels[0])) : null,
    levels.length ? place : html("p", { class: "nothing" }, "No task of this architecture has been finished.")].filter(Boolean));
  openDialog(dialog, () => {
    state.row = state.level = null;
    remember();
    return rowButton(label);
  });
  if (levels.length) choose(state.level);
}

function summaryTable(label, levels, show) {
  const rows = DATA.scopes.map((scope) => [scope, rowsOf("memory", scope).find((row) => row.architecture === label)]).filter(([, row]) => row);
  const rank = { key: "rank", kind: "rank", low: "rank_low", high: "rank_high" };
  const line = ([scope, row]) => html("tr", { "data-level": scope },
    html("th", { scope: "row" }, levels.length > 1 && levels.includes(scope) ? html("button", { type: "button", class: "link", onclick: () => show(scope) }, name(scope)) : name(scope)),
    html("td", {}, cellText(row, rank)[0]), skillCell(row, "td", 120, 24), html("td", {}, row.group || ""), html("td", { class: "right" }, known(row.solve_rate) ? numberText(row.solve_rate, "percent") : NOTHING),
    html("td", { class: "right" }, known(row.steps) ? grouped(row.steps) : NOTHING));
  return html("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "on every task, table" }, html("table", { class: "plain" }, html("thead", {}, html("tr", {},
    ["task", "rank", "skill [95 %]", "group"].map((heading) => html("th", { scope: "col" }, heading)), ["solved", "steps"].map((heading) => html("th", { scope: "col", class: "right" }, heading)))),
  html("tbody", {}, rows.map(line))));
}

function drawLevel(place, label, level) {
  const row = DATA.rows[level][label];
  const parts = [tuning(row, label), seedsOf(row, label, level), curvesOf(row, label), horizonOf(label, level), gradientOf(row), configuration(row), commands(row)];
  place.replaceChildren();
  // Pictures measure their place, so it has to stand in the page first.
  for (const part of parts.filter(Boolean)) {
    place.append(part.node);
    if (part.draw) part.draw();
  }
}

function tuning(row, label) {
  const searched = Object.entries(row.params);
  const edges = new Set(row.edges);
  const pairs = searched.map(([key, value]) => html("div", {}, html("dt", {}, name(key)), html("dd", {}, html("code", {}, plainText(value)), edges.has(key) && " ", edges.has(key) && html("span", { class: "edge", title: "the best value lies at an edge of what was searched: a better one may lie beyond" }, "⚠ at the edge"))));
  const both = [["untuned default", row.default_validation], ["tuned", row.tuned_validation]].filter(([, value]) => known(value));
  const compared = both.length > 0 && html("table", { class: "plain" }, html("thead", {}, html("tr", {}, html("th", { scope: "col" }, "trial"), html("th", { scope: "col" }, "validation skill"))),
    html("tbody", {}, both.map(([what, mean]) => html("tr", {}, html("th", { scope: "row" }, what), skillCell({ architecture: label, mean, low: null, high: null }, "td", 150, 24)))));
  return { node: html("div", { class: "two" },
    html("div", {}, html("h3", {}, "Chosen hyper-parameters"), searched.length ? html("dl", { class: "pairs" }, pairs) : html("p", { class: "nothing" }, "Untuned: nothing was searched.")),
    html("div", {}, html("h3", {}, "Untuned against tuned"), compared || html("p", { class: "nothing" }, "No trials."),
      both.length === 2 && html("p", { class: "how" }, `The search gained ${signed(both[1][1] - both[0][1])}.`))) };
}

function seedsOf(row, label, level) {
  const place = html("div", { class: "drawing strip", style: `--c: ${colour(label)}` });
  const whole = rowsOf("memory", level).find((each) => each.architecture === label);
  const table = plainTable(["seed", "skill", "steps to solve", "run"], row.seeds.map((seed, i) => [String(seed), known(row.skills[i]) ? fixed(row.skills[i], 3) : NOTHING, known(row.steps_to_solve[i]) ? grouped(row.steps_to_solve[i]) : "not solved", html("span", { class: "key" }, row.keys[i] || "")]));
  const node = html("div", {}, html("h3", {}, `Skill of ${row.seeds.length} seed${row.seeds.length === 1 ? "" : "s"}`),
    html("p", {}, "One dot per seed, on test data; the line below is the mean with its 95 % interval."), place,
    html("details", {}, html("summary", {}, "Each seed"), html("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "seeds, table" }, table)));
  const draw = () => {
    const dots = row.skills.map((skill, i) => ({ skill, title: `seed ${row.seeds[i]}: skill ${known(skill) ? fixed(skill, 3) : NOTHING}` })).filter((dot) => known(dot.skill));
    place.replaceChildren(picture(`Skill of each seed: ${dots.map((dot) => dot.title).join("; ")}.`, { width: widthOf(place), height: 104, marginLeft: 10, marginRight: 10, marginTop: 4, marginBottom: 30,
      x: { domain: [0, 1], ticks: 5, label: null, grid: true, inset: 6 }, y: { axis: null, domain: [0, 1] },
      marks: [whole && known(whole.low) && Plot.ruleY([whole], { y: 0.06, x1: "low", x2: "high", stroke: colour(label), strokeWidth: 2.5 }),
        whole && known(whole.mean) && Plot.dot([whole], { x: "mean", y: 0.06, fill: colour(label), stroke: "var(--paper)", r: 4 }),
        Plot.dot(dots, Plot.dodgeY({ anchor: "bottom", padding: 1 }, { x: "skill", r: 4, fill: colour(label), fillOpacity: 0.75, title: "title", dy: -16 }))].filter(Boolean) }));
  };
  return { node, draw };
}

function steps(curve, key) {
  return curve.step.map((x, i) => ({ x, y: curve[key]?.[i], low: curve[`${key}_low`]?.[i], high: curve[`${key}_high`]?.[i] })).filter((point) => known(point.y));
}

/** Of a logarithmic axis, the ticks that are powers of ten, as plain numbers. */
function powerOfTen(value) {
  const power = Math.log10(value);
  return Math.abs(power - Math.round(power)) < 1e-9 ? String(Number(value.toPrecision(1))) : "";
}

function curvesOf(row, label) {
  const { curve } = row;
  if (!curve || !curve.step.length) return null;
  const skill = html("div", { class: "drawing" }), loss = html("div", { class: "drawing" });
  const node = html("div", {}, html("h3", {}, "Learning curves"), html("p", {}, "Mean over seeds; the band reaches from the lowest to the highest seed."),
    html("div", { class: "two" }, html("div", {}, html("h4", {}, "validation skill"), skill), html("div", {}, html("h4", {}, "loss: training solid, validation dashed"), loss)));
  const draw = () => {
    const points = steps(curve, "skill").map((point) => ({ ...point, title: `step ${grouped(point.x)}: ${fixed(point.y, 2)}` }));
    skill.replaceChildren(picture("Validation skill against training steps.", { width: widthOf(skill), height: 220, x: { label: "step", ticks: 5, tickFormat: compact }, y: skillAxis(null), marks: [Plot.ruleY([0]), ...seriesMarks(label, points, { dots: points.length < 20 }), tipMark(points)] }));
    const train = steps(curve, "train_loss").map((point) => ({ ...point, title: `training, step ${grouped(point.x)}: ${plainText(Number(point.y.toPrecision(3)))}` }));
    const validation = steps(curve, "validation_loss").map((point) => ({ ...point, title: `validation, step ${grouped(point.x)}: ${plainText(Number(point.y.toPrecision(3)))}` }));
    const both = [...train, ...validation];
    if (!both.length) { loss.replaceChildren(html("p", { class: "nothing" }, "No losses were recorded.")); return; }
    const [low, high] = d3.extent(both, (point) => point.y);
    const log = low > 0 && high / low > 30;
    loss.replaceChildren(picture("Loss on training and validation data against training steps.", { width: widthOf(loss), height: 220, x: { label: "step", ticks: 5, tickFormat: compact }, y: { label: null, grid: true, ticks: log ? 4 : 5, type: log ? "log" : "linear", zero: !log, nice: true, ...(log && { tickFormat: powerOfTen }) },
      marks: [Plot.lineY(train, { x: "x", y: "y", stroke: "var(--training)", strokeWidth: 1.7 }), Plot.lineY(validation, { x: "x", y: "y", stroke: "var(--validation)", strokeWidth: 1.7, strokeDasharray: "5 3" }), tipMark(both)] }));
  };
  return { node, draw };
}

const compact = (value) => (value >= 10000 ? `${plainText(value / 1000)}k` : grouped(value));

/** The ladders that a level is a rung of: a ladder's name is the first words of its levels' names. */
function horizonOf(label, level) {
  const words = level.split(" ");
  const mine = DATA.horizons.filter((each) => each.ladder.split(" ").every((word, i) => (i ? words.includes(word) : word === words[0])) && each.points.some((point) => point.architecture === label));
  if (!mine.length) return null;
  const places = mine.map(() => html("div", { class: "drawing" }));
  const node = html("div", {}, html("h3", {}, "Memory horizon"), mine.map((each, i) => html("div", {},
    html("h4", {}, `${each.ladder}, ${each.kind === "trained" ? "trained at each delay" : "tested beyond training"}: d50 = ${each.fits.find((fit) => fit.architecture === label)?.text ?? NOTHING}`), places[i])));
  return { node, draw: () => mine.forEach((each, i) => places[i].replaceChildren(horizonDrawing(widthOf(places[i]), each, [label]).node)) };
}

function gradientOf(row) {
  if (!row.gradient) return null;
  const place = html("div", { class: "drawing" });
  const moments = [["start", "before training", undefined], ["half", "half-way", "5 3"], ["end", "at the end", "2 2"]].filter(([key]) => row.gradient[key]);
  const log = row.gradient.lag[0] > 0;
  const tones = { start: "var(--muted)", half: "var(--training)", end: "var(--validation)" };
  const node = html("div", {}, html("h3", {}, "Gradient through time"), html("p", {}, "How much of a change some steps ago still moves the state now: the logarithm of the norm against the lag. Level remembers, falling forgets; a gradient that lasts is not yet a memory."), place);
  const draw = () => {
    const points = moments.flatMap(([key, words]) => row.gradient.lag.map((x, i) => ({ x, y: row.gradient[key][i], key, title: `${words}, lag ${x}: ${known(row.gradient[key][i]) ? fixed(row.gradient[key][i], 2) : NOTHING}` })));
    const seen = points.filter((point) => known(point.y));
    const ends = moments.map(([key, words]) => ({ words, point: seen.filter((point) => point.key === key).at(-1) })).filter((each) => each.point);
    place.replaceChildren(picture(`Logarithm of the gradient's norm against the lag, ${moments.map(([, words]) => words).join(", ")}.`, { width: widthOf(place), height: 240, marginRight: 110,
      x: { type: log ? "log" : "linear", label: "lag, steps", ticks: 6 }, y: { label: "log₁₀ norm", grid: true, ticks: 5, nice: true },
      marks: [log && logAxis(row.gradient.lag, widthOf(place) - 100, "lag, steps"), ...moments.map(([key, , dash]) => Plot.lineY(points.filter((point) => point.key === key), { x: "x", y: "y", stroke: tones[key], strokeWidth: 1.7, strokeDasharray: dash })),
        ...apart(ends, seen).map((each) => Plot.text([each], { x: each.point.x, y: each.y, text: "words", textAnchor: "start", dx: 8, fill: tones[each.point.key] })), tipMark(seen)].filter(Boolean) }));
  };
  return { node, draw };
}

/** Labels at the ends of lines, moved apart where they would cover each other. */
function apart(ends, points) {
  const [low, high] = d3.extent(points, (point) => point.y);
  const gap = ((high - low) || 1) * 0.075;
  const ordered = [...ends].sort((a, b) => a.point.y - b.point.y).map((each) => ({ ...each, y: each.point.y }));
  ordered.forEach((each, i) => { if (i && each.y - ordered[i - 1].y < gap) each.y = ordered[i - 1].y + gap; });
  return ordered;
}

function flattened(value, prefix = "") {
  return Object.entries(value).flatMap(([key, part]) => (part !== null && typeof part === "object" && !Array.isArray(part)
    ? flattened(part, `${prefix}${key}.`)
    : [[`${prefix}${key}`, typeof part === "number" ? String(part) : plainText(part)]]));
}

function configuration(row) {
  const node = html("div", {}, html("h3", {}, "Configuration"), html("div", { class: "config" }, Object.entries(configOf(row)).map(([part, value]) => html("section", {}, html("h4", {}, name(part)),
    html("dl", { class: "pairs" }, flattened(value ?? {}).map(([key, text]) => html("div", {}, html("dt", {}, name(key)), html("dd", {}, text))))))));
  return { node };
}

function commands(row) {
  const pre = html("pre", { tabindex: 0, "aria-label": "Command" }, row.command);
  return { node: html("div", {}, html("h3", {}, "Do it again"), html("div", { class: "code" }, pre, html("button", { type: "button", class: "quiet", onclick: () => copy(row.command) }, "Copy"))) };
}

// --- comparing ---------------------------------------------------------------------------------------------------------------

function drawPicked() {
  const number = state.picked.size;
  byId("compare-bar").hidden = number === 0;
  byId("compare-count").textContent = number === 1 ? "1 architecture chosen: choose another" : `${number} architectures chosen`;
  byId("compare-open").disabled = number < 2;
  byId("compare-open").textContent = number < 2 ? "Compare" : `Compare ${number} architectures`;
  document.querySelectorAll(".pick").forEach((box) => { box.checked = state.picked.has(box.closest("tr").dataset.architecture); });
}

/** First minus second, whichever way round it is recorded. */
function comparison(scope, first, second) {
  const turned = { above: "below", below: "above" };
  const pairs = of(DATA.comparisons, scope) || [];
  const pair = pairs.find((each) => each.first === first && each.second === second);
  if (pair) return pair;
  const other = pairs.find((each) => each.first === second && each.second === first);
  const negative = (value) => (known(value) ? -value : null);
  return other ? { difference: negative(other.difference), low: negative(other.high), high: negative(other.low), p_holm: other.p_holm, verdict: of(turned, other.verdict) || other.verdict } : null;
}

function differenceText(pair) {
  if (!pair || !known(pair.difference)) return NOTHING;
  return known(pair.low) && known(pair.high) ? `${signed(pair.difference)} [${signed(pair.low)}, ${signed(pair.high)}]` : signed(pair.difference);
}

function verdictMark(pair) {
  return pair ? html("span", { class: `verdict-${pair.verdict}` }, pair.verdict) : NOTHING;
}

function openCompare() {
  const labels = ARCHITECTURES.filter((label) => state.picked.has(label));
  const order = rowsOf("memory", DATA.scopes[0]).map((row) => row.architecture);
  labels.sort((a, b) => order.indexOf(a) - order.indexOf(b));
  const dialog = byId("compare");
  const [first, ...others] = labels;
  const body = sheet(dialog, "compare-title", { text: `Compare ${labels.length} architectures` });
  const how = "Differences are paired over seeds, with 95 % intervals and Holm's p over all pairs. above, below: shown to differ by more than 0.02; tied: within ±0.02; unresolved: anything else, which is not the same as equal.";
  body.append(inlineLegend(labels), html("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "comparison, table" }, comparisonTable(first, others)), html("p", { class: "legend" }, how), html("h3", {}, "Learning curves"), html("p", {}, "Validation skill, mean over seeds; the band reaches from the lowest to the highest seed."));
  const levels = LEVELS.filter((level) => labels.some((label) => of(of(DATA.rows, level), label)?.curve?.step.length));
  const place = html("div", { class: "drawing" });
  const draw = () => {
    const its = (label) => steps(of(of(DATA.rows, select.value), label)?.curve ?? { step: [] }, "skill").map((point) => ({ ...point, title: `${label}\nstep ${grouped(point.x)}: ${fixed(point.y, 2)}` }));
    place.replaceChildren(picture(`Learning curves of ${labels.join(", ")} on ${select.value}.`, { width: widthOf(place), height: 320, x: { label: "step", tickFormat: compact, ticks: 6 }, y: skillAxis("validation skill"),
      marks: [Plot.ruleY([0]), ...labels.flatMap((label) => seriesMarks(label, its(label), { dots: its(label).length < 20 })), tipMark(labels.flatMap(its))] }));
  };
  const select = html("select", { onchange: draw }, levels.map((level) => html("option", { value: level }, level)));
  if (levels.includes(state.scope)) select.value = state.scope;
  body.append(levels.length ? html("p", { class: "controls" }, html("label", {}, "Task ", select)) : html("p", { class: "nothing" }, "No curves were recorded."), place);
  openDialog(dialog, () => byId("compare-open"));
  if (levels.length) draw();
}

function comparisonTable(first, others) {
  const scopes = DATA.scopes.filter((scope) => of(DATA.memory, scope));
  const find = (scope, label) => rowsOf("memory", scope).find((row) => row.architecture === label);
  const cell = (scope, label, extra) => {
    const row = find(scope, label);
    const it = row ? skillCell(row, "td", 100, 24) : html("td", {}, NOTHING);
    if (extra) it.append(html("div", {}, differenceText(extra), " ", verdictMark(extra)));
    return it;
  };
  const two = others.length === 1;
  const line = (scope) => {
    const pair = two ? comparison(scope, first, others[0]) : null;
    return html("tr", {}, html("th", { scope: "row" }, name(scope)), cell(scope, first), others.map((label) => cell(scope, label, two ? null : comparison(scope, label, first))),
      two && [html("td", {}, differenceText(pair)), html("td", { class: "right" }, pText(pair?.p_holm)), html("td", {}, verdictMark(pair))]);
  };
  const heading = (label) => html("th", { scope: "col" }, html("span", { class: "who" }, swatch(label), name(label)));
  return html("table", { class: "plain" }, html("caption", {}, two ? html("span", {}, "Difference and verdict: ", name(first), " against ", name(others[0])) : html("span", {}, "Differences and verdicts: each against ", name(first))),
    html("thead", {}, html("tr", {}, html("th", { scope: "col" }, "task"), [first, ...others].map(heading), two && [html("th", { scope: "col" }, "difference [95 %]"), html("th", { scope: "col", class: "right" }, "p"), html("th", { scope: "col" }, "verdict")])),
    html("tbody", {}, scopes.map(line)));
}

// --- copying -------------------------------------------------------------------------------------------------------------------

function tableTexts() {
  const { columns } = TABLES.get(state.tab);
  const rows = shownRows(state.tab).map((row) => columns.map((column) => cellText(row, column).filter(Boolean).join(" ")));
  return { headings: columns.map((column) => column.label), rows, left: columns.map((column) => ["name", "skill", "text", "flag"].includes(column.kind)) };
}

const FORMATS = {
  markdown({ headings, rows, left }) {
    const line = (cells) => `| ${cells.map((cell) => cell.replace(/[\\|<>*_`[\]]/g, "\\$&")).join(" | ")} |`;
    return [line(headings), `|${left.map((each) => (each ? "---" : "--:")).join("|")}|`, ...rows.map(line)].join("\n");
  },
  csv({ headings, rows }) {
    const line = (cells) => cells.map((cell) => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(",");
    return [headings, ...rows].map(line).join("\n");
  },
  latex({ headings, rows, left }) {
    const special = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "–": "--", "≥": "$\\geq$", "<": "$<$", ">": "$>$" };
    const line = (cells) => `${cells.map((cell) => cell.replace(/[\\~^–≥<>&%$#_{}]/g, (c) => of(special, c) || `\\${c}`)).join(" & ")} \\\\`;
    return [`\\begin{tabular}{${left.map((each) => (each ? "l" : "r")).join("")}}`, "\\toprule", line(headings), "\\midrule", ...rows.map(line), "\\bottomrule", "\\end{tabular}"].join("\n");
  },
};

/** To the clipboard; where a sandbox forbids that, into a box with everything selected. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    say("copied");
    flash();
  } catch {
    const dialog = byId("copying");
    const area = html("textarea", { readonly: true, "aria-label": "text to copy" });
    area.value = text;
    const before = document.activeElement;
    sheet(dialog, "copying-title", { text: "Copy this" }).append(html("p", { class: "how" }, "This page may not write to the clipboard here: the text is selected."), area);
    openDialog(dialog, () => before);
    area.focus();
    area.select();
  }
}

/** The button that was pressed says so for a moment. */
function flash() {
  const button = document.activeElement;
  if (!button || button.tagName !== "BUTTON" || button.dataset.flashing) return;
  const text = button.textContent;
  button.dataset.flashing = "yes";
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = text; delete button.dataset.flashing; }, 1200);
}

// --- theme, address ------------------------------------------------------------------------------------------------------------

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function nameTheme() {
  const other = isDark() ? "light" : "dark";
  byId("theme").textContent = isDark() ? "Light" : "Dark";
  byId("theme").setAttribute("aria-label", `${isDark() ? "Light" : "Dark"}: switch to the ${other} theme`);
}

function toggleTheme() {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try { localStorage.setItem("memspan-theme", theme); } catch { /* a sandbox has no storage */ }
  nameTheme();
}

/** The address says what is open, where that may be written. */
function remember() {
  if (!state.ready) return;
  const parts = new URLSearchParams();
  if (PAGE.tables.length && state.tab !== PAGE.tables[0].name) parts.set("tab", state.tab);
  if (PAGE.tables.length && state.scope !== PAGE.tables[0].scopes[0]) parts.set("scope", state.scope);
  if (state.row !== null) parts.set("row", state.row);
  if (state.level !== null) parts.set("level", state.level);
  const text = parts.toString();
  try { history.replaceState(null, "", text ? `#${text}` : location.href.split("#")[0]); } catch { /* a sandbox has no address of its own */ }
}

function recall() {
  if (!location.hash.includes("=")) return;
  const parts = new URLSearchParams(location.hash.slice(1));
  const [tab, scope, row, level] = ["tab", "scope", "row", "level"].map((key) => parts.get(key));
  if ([...TABLES.values()].some((table) => table.scopes.includes(scope))) state.scope = scope;
  if (TABLES.has(tab)) chooseTab(tab);
  chooseScope(state.scope);
  if (PLACE.has(row)) openRow(row, level);
}

// --- what is pressed -------------------------------------------------------------------------------------------------------------

function listenToTables() {
  const tabs = [...TABLES.keys()];
  tabs.forEach((tab, i) => {
    byId(`tab-${tab}`).addEventListener("click", () => chooseTab(tab));
    byId(`tab-${tab}`).addEventListener("keydown", (event) => {
      const next = { ArrowRight: i + 1, ArrowLeft: i - 1 + tabs.length, Home: 0, End: tabs.length - 1 }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      chooseTab(tabs[next % tabs.length], true);
    });
    const table = byId(`table-${tab}`);
    table.tHead.addEventListener("click", (event) => {
      const button = event.target.closest(".sort");
      if (button) pressHeading(tab, button.dataset.key);
    });
    table.tBodies[0].addEventListener("click", (event) => {
      const button = event.target.closest(".open");
      if (button) openRow(button.dataset.row);
    });
    table.tBodies[0].addEventListener("change", (event) => {
      if (!event.target.matches(".pick")) return;
      const label = event.target.closest("tr").dataset.architecture;
      if (event.target.checked) state.picked.add(label);
      else state.picked.delete(label);
      drawPicked();
    });
  });
  byId("scope").addEventListener("change", (event) => chooseScope(event.target.value));
  byId("filter").addEventListener("input", (event) => { state.filter = event.target.value; drawTables(); });
  document.querySelectorAll("[data-copy]").forEach((button) => button.addEventListener("click", () => copy(FORMATS[button.dataset.copy](tableTexts()))));
}

function listen() {
  byId("theme").addEventListener("click", toggleTheme);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameTheme);
  byId("compare-open").addEventListener("click", openCompare);
  byId("compare-clear").addEventListener("click", () => { state.picked.clear(); drawPicked(); byId("filter")?.focus(); });
  document.querySelectorAll("[data-copies]").forEach((button) => button.addEventListener("click", () => copy(byId(button.dataset.copies).textContent)));
  // A link into the page would take the place of what the address says; in some sandboxes it leads nowhere.
  document.querySelectorAll('a[href^="#"]').forEach((link) => link.addEventListener("click", (event) => {
    event.preventDefault();
    const target = byId(link.getAttribute("href").slice(1));
    target.scrollIntoView();
    target.focus({ preventScroll: true });
  }));
  let width = document.documentElement.clientWidth;
  addEventListener("resize", debounced(() => {
    if (document.documentElement.clientWidth === width) return;
    width = document.documentElement.clientWidth;
    redrawAll();
  }, 150));
  addEventListener("hashchange", recall);
}

function start() {
  nameTheme();
  chooseDrawnAtFirst();
  for (const tab of ["memory", "overfitting"]) if (TABLES.has(tab)) state.sort.set(tab, { key: TABLES.get(tab).columns[0].key, direction: "ascending" });
  if (TABLES.size) {
    listenToTables();
    chooseTab(state.tab);
    drawTables();
  }
  addChips();
  addFigures();
  if (!byId("figures").childElementCount) byId("plots").hidden = true;
  listen();
  recall();
  state.ready = true;
}

start();
