// --- ranking tables ------------------------------------------------------------------------------------------------------

function scopeOf(tab) {
  const table = TABLES.get(tab);
  return table.scopes.includes(state.scope) ? state.scope : table.scopes[0];
}

function rowsOf(tab, scope) {
  return of(DATA[TABLES.get(tab)?.source], scope) || [];
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
      html("span", { class: "numbers" }, text, ends && " ", ends && html("span", { class: "ci" }, ends), row.remark && " ", row.remark && html("span", { class: "remark" }, row.remark))));
}

function nameCell(row) {
  const label = row.architecture;
  return html("th", { scope: "row", class: "name" }, html("span", { class: "who" }, swatch(label),
    html("button", { type: "button", class: "open", "data-row": label }, breakable(label)),
    row.few_seeds && " ", row.few_seeds && html("span", { class: "few", title: `fewer than ${PAGE.few} seeds, which are an indication` }, "few", html("span", { class: "hidden" }, " seeds"))),
    variantOf(label) && " ", variantOf(label) && html("bdi", { class: "variant" }, variantOf(label)));
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
  const rows = rowsOf(tab, scopeOf(tab)).filter((row) => row.architecture.toLowerCase().includes(wanted)
    && (!state.family || FAMILY.get(row.architecture) === state.family));
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
    : [html("tr", {}, html("td", { class: "empty", colspan: columns.length + 1 }, state.family ? `No architecture of the family “${state.family}” has this in its name.` : "No architecture has this in its name."))]));
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
  say(`sorted by ${column.heading}, ${direction}`);
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

/** Shows the rows of one family, or of all. */
function chooseFamily(family) {
  state.family = family;
  byId("family").value = family;
  drawTables();
  remember();
}

function chooseScope(scope) {
  state.scope = scope;
  fillScopes();
  drawTables();
  for (const figure of figures) if (figure.follows) figure.redraw();
  remember();
}
