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
  const families = byId("family") ? [...new Set(FAMILY.values())].filter(Boolean).sort() : [];
  const ofFamilies = families.map((family) => several(family, ordered.filter((label) => FAMILY.get(label) === family)));
  byId("chips").replaceChildren(...chips, ...(many ? [several(`the best ${FEWEST}`, ordered.slice(0, FEWEST)), several("all", ordered), several("none", []), ...ofFamilies] : []));
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
