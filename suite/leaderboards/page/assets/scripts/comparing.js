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
  const [one, another] = [PLACE.get(first), PLACE.get(second)];
  const pair = pairs.find((each) => each.first === one && each.second === another);
  if (pair) return pair;
  const other = pairs.find((each) => each.first === another && each.second === one);
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
  const how = "Differences are paired over seeds, with 95 % intervals and with p adjusted over all pairs (Holm). Above and below mean a significant difference of more than 0.02, and tied means an interval within ±0.02. Everything else is unresolved, which is not the same as equal. The intervals of two means are neither paired nor adjusted: two can lie apart and be unresolved, and two can touch and differ.";
  body.append(inlineLegend(labels), html("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "comparison, table" }, comparisonTable(first, others)), html("p", { class: "legend" }, how), html("h3", {}, "Learning curves"), html("p", {}, "Each line is the mean validation skill over seeds, and its band reaches from the lowest to the highest seed."));
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
  const scopes = DATA.scopes.filter((scope) => of(DATA.rankings, scope));
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
  const remark = (row, column) => (column.kind === "skill" && row.remark ? `(${row.remark})` : "");
  const rows = shownRows(state.tab).map((row) => columns.map((column) => [...cellText(row, column), remark(row, column)].filter(Boolean).join(" ")));
  return { headings: columns.map((column) => column.heading), rows, left: columns.map((column) => column.left) };
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
    sheet(dialog, "copying-title", { text: "Copy this" }).append(html("p", { class: "how" }, "This page may not write to the clipboard here, so the text is selected."), area);
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
