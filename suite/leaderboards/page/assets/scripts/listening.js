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
  if (state.family) parts.set("family", state.family);
  if (state.row !== null) parts.set("row", state.row);
  if (state.level !== null) parts.set("level", state.level);
  const text = parts.toString();
  try { history.replaceState(null, "", text ? `#${text}` : location.href.split("#")[0]); } catch { /* a sandbox has no address of its own */ }
}

function recall() {
  if (!location.hash.includes("=")) return;
  const parts = new URLSearchParams(location.hash.slice(1));
  const [tab, scope, family, row, level] = ["tab", "scope", "family", "row", "level"].map((key) => parts.get(key));
  if ([...TABLES.values()].some((table) => table.scopes.includes(scope))) state.scope = scope;
  if (TABLES.has(tab)) chooseTab(tab);
  chooseScope(state.scope);
  if (byId("family") && family && [...FAMILY.values()].includes(family)) chooseFamily(family);
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
  byId("family")?.addEventListener("change", (event) => chooseFamily(event.target.value));
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
  for (const tab of ["memory", "beyond", "overfitting"]) if (TABLES.has(tab)) state.sort.set(tab, { key: TABLES.get(tab).columns[0].key, direction: "ascending" });
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
