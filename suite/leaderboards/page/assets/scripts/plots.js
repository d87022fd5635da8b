// --- plots ---------------------------------------------------------------------------------------------------------------

/** A marker of page/colours.py as a symbol for Plot. */
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

/** A figure that draws itself again: when it becomes wider, when one of its choices changes. */
function addFigure(parent, { title, caption, choices = null, kinds = null, draw, follows = false }) {
  const drawing = html("div", { class: "drawing" });
  const chooser = (options) => {
    if (!options || options.length < 2) return { value: () => (options?.length ? options[0][0] : null) };
    const first = options.first ?? 0;
    const select = html("select", { onchange: () => redraw() }, options.map(([value, text], i) => html("option", { value: i, selected: i === first }, text ?? value)));
    return { value: () => options[Number(select.value)][0], label: html("label", {}, options.label || "Task", select) };
  };
  const chosen = [chooser(choices), chooser(kinds)];
  const numbers = html("details", { hidden: true }, html("summary", {}, "The numbers"));
  const node = html("figure", { class: "figure" },
    html("figcaption", {}, html("h3", {}, title), caption.map((sentence) => html("p", {}, sentence)), chosen.map(({ label }) => label)), drawing, numbers);
  const redraw = () => {
    const drawn = draw(widthOf(drawing), ...chosen.map(({ value }) => value()));
    drawing.replaceChildren(drawn.node || html("p", { class: "nothing" }, "Nothing to draw here."), ...(drawn.note ? [html("p", { class: "how" }, drawn.note)] : []));
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
