// Texts whose tokens can be clicked, above a table whose rows end in strips: one cell per token.
//
// data: { texts: [{title, detail, tokens: [[raw, shown, quoted]], ids}],
//   columns: [{name, label, kind, title, sort}], sort, descending,
//   rows: [{key, name, href, cells, strips: [{pos, val, label}], scale, scale_text, tone}],
//   selected: [[position] or null for a text whose tokens cannot be selected], row,
//   opens: whether a click on a row is the script's business; else it keeps the row's shade }
// Triggers: sort (column), open (row), follow (row). State: tokens ({text, positions, selected}).
// Tokens and labels reach the page through textContent alone: whatever they hold, they stay text.

const PATIENCE = 5000; // ms until what the script says counts more than the last click
const MOST_PIXELS = 32; // of a cell: three tokens need no whole line
const STEPS = [5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000];
// Shades from which black is read better than white, on a dark page.
const STRONG = { active: 0.58, negative: 0.7, count: 0.67, loss: 0.62, odd: 0.9 };
const HUES = Object.keys(STRONG);
const panels = new WeakMap(); // one per mounted component; a rerun keeps its elements

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  let panel = panels.get(parentElement);
  if (!panel) {
    panel = build(parentElement);
    panels.set(parentElement, panel);
  }
  const before = panel.data;
  panel.data = data;
  panel.send = setTriggerValue;
  panel.keep = setStateValue;
  panel.rows = new Map(data.rows.map((row) => [row.key, row]));
  const differs = (...names) => names.some((name) => !before || JSON.stringify(before[name]) !== JSON.stringify(data[name]));
  const isNewText = differs("texts");
  if (isNewText) drawTexts(panel);
  if (isNewText || differs("columns", "sort", "descending", "rows")) drawTable(panel);
  adopt(panel);
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function build(parent) {
  const panel = {
    root: element("div", "strips"),
    texts: element("div", "texts"),
    frame: element("div", "frame"),
    tip: element("div", "tip"),
    data: null,
    rows: new Map(), // by key
    views: [], // one per text: its tokens, what is selected, the width of its strips
    row: null, // the selected row's key; then the one under the mouse, and the one with the focus
    hovered: null,
    focused: null,
    shaded: [],
    waiting: new Map(), // what was sent and has not come back yet, by what it is
  };
  panel.tip.setAttribute("role", "tooltip");
  panel.root.append(panel.texts, panel.frame, panel.tip);
  parent.append(panel.root);
  panel.root.addEventListener("mousemove", (event) => point(panel, event));
  panel.root.addEventListener("mouseleave", () => point(panel, null));
  panel.root.addEventListener("focusin", (event) => focusMoved(panel, event.target));
  panel.root.addEventListener("focusout", () => focusMoved(panel, null));
  panel.texts.addEventListener("mousedown", (event) => {
    if (event.shiftKey || event.detail > 1) event.preventDefault(); // clicks, not marked text
  });
  panel.texts.addEventListener("click", (event) => clickToken(panel, event));
  panel.texts.addEventListener("keydown", (event) => pressInText(panel, event));
  panel.frame.addEventListener("keydown", (event) => pressInTable(panel, event));
  panel.sizes = new ResizeObserver((entries) => resized(panel, entries));
  return panel;
}

// What was clicked shows at once. The script's answers to earlier clicks do not undo later ones.

function sent(panel, name, value) {
  if (!panel.waiting.has(name)) panel.waiting.set(name, []);
  panel.waiting.get(name).push(JSON.stringify(value));
  clearTimeout(panel.timer);
  panel.timer = setTimeout(() => {
    panel.waiting.clear();
    adopt(panel);
  }, PATIENCE);
}

function isSettled(panel, name, value) {
  const waiting = panel.waiting.get(name) ?? [];
  waiting.splice(0, waiting.lastIndexOf(JSON.stringify(value)) + 1);
  return waiting.length === 0;
}

function adopt(panel) {
  const { data } = panel;
  panel.views.forEach((view, at) => {
    const positions = data.selected[at] ?? [];
    view.section.classList.toggle("fixed", data.selected[at] === null);
    if (isSettled(panel, at, positions)) view.selected = new Set(positions);
    markTokens(panel, view);
  });
  if (data.opens && isSettled(panel, "row", data.row)) panel.row = data.row;
  markRow(panel);
}

// The texts

function drawTexts(panel) {
  cross(panel, null);
  panel.waiting.clear();
  panel.shaded = [];
  panel.views = panel.data.texts.map((text, at) => drawText(panel, text, at));
  panel.texts.dataset.count = panel.views.length;
  panel.texts.replaceChildren(...panel.views.map((view) => view.section));
}

function drawText(panel, text, at) {
  const view = { at, n: text.ids.length, selected: new Set(), last: 0, width: 0 };
  view.section = element("section");
  const head = element("h3", "", text.title);
  view.picked = element("span", "picked");
  view.clear = element("button", "clear", "clear");
  view.clear.type = "button";
  view.clear.title = "Select no token";
  view.clear.addEventListener("click", () => {
    view.spans[view.last]?.focus({ preventScroll: true }); // the button is about to go
    select(panel, view, new Set());
  });
  head.append(element("small", "", text.detail), view.picked, view.clear);
  view.legend = element("span", "legend");
  head.append(view.legend);
  view.box = element("div", "passage");
  view.box.dataset.text = at;
  view.box.setAttribute("role", "group");
  view.box.setAttribute("aria-label", `Tokens of ${text.title || "the text"}`);
  view.spans = text.ids.map((id, pos) => {
    const [raw, shown] = text.tokens[id];
    const words = raw.includes("\n") ? shown.replaceAll("↵", "↵\n") : (shown ?? raw);
    const span = element("span", "token", words);
    span.dataset.pos = pos;
    span.tabIndex = pos === 0 ? 0 : -1;
    span.setAttribute("role", "button");
    view.box.append(span);
    return span;
  });
  view.section.append(head, view.box);
  return view;
}

function tokenAt(panel, target) {
  const span = target.closest?.(".token");
  if (!span) return null;
  return { view: panel.views[span.closest(".passage").dataset.text], pos: Number(span.dataset.pos) };
}

function clickToken(panel, event) {
  const found = tokenAt(panel, event.target);
  const isSelecting = event.detail > 0 && String(getSelection()).length > 0;
  if (found && !isSelecting) toggle(panel, found.view, found.pos, event.shiftKey);
}

function toggle(panel, view, pos, isRange) {
  if (panel.data.selected[view.at] === null) return;
  const selected = new Set(view.selected);
  if (isRange) {
    for (let at = Math.min(pos, view.last); at <= Math.max(pos, view.last); at++) selected.add(at);
  } else if (!selected.delete(pos)) {
    selected.add(pos);
  }
  view.last = pos;
  select(panel, view, selected);
}

function select(panel, view, selected) {
  view.selected = selected;
  const positions = inOrder(selected);
  sent(panel, view.at, positions);
  markTokens(panel, view);
  // A state, because of two triggers sent while the script runs Streamlit keeps only the later one;
  // with the time, because selecting again what the script has dropped is a change too.
  const all = panel.views.map((one) => inOrder(one.selected));
  panel.keep("tokens", { text: view.at, positions, selected: all, time: Date.now() });
}

function inOrder(positions) {
  return [...positions].sort((a, b) => a - b);
}

function markTokens(panel, view) {
  view.spans.forEach((span, pos) => {
    const isSelected = view.selected.has(pos);
    if (span.getAttribute("aria-pressed") !== String(isSelected)) span.setAttribute("aria-pressed", isSelected);
  });
  const n = view.selected.size;
  view.picked.textContent = n ? `${n} selected` : "";
  view.clear.hidden = !n;
  view.clear.setAttribute("aria-label", `Clear the ${n} selected`);
  drawMarks(panel, view);
}

function drawMarks(panel, view) {
  const { at, selected } = view;
  panel.frame.style.setProperty(`--marks-${at}`, lines(view, selected, "var(--mark)", "transparent"));
  panel.frame.style.setProperty(`--tint-${at}`, lines(view, selected, "transparent", "var(--mark-tint)"));
}

// Runs of positions as a CSS background: upright lines left and right of each, a tint between. In
// whole pixels: the browser loses a line that lies between two.
function lines(view, positions, line, tint) {
  const stops = [];
  const edge = (pos) => Math.floor((pos * view.width) / view.n) / devicePixelRatio;
  for (let pos = 0; pos < view.n && view.width; pos++) {
    if (!positions.has(pos)) continue;
    const left = Math.max(1, edge(pos)); // stays inside at either end
    while (positions.has(pos + 1)) pos++;
    const right = Math.min(edge(view.n) - 1, edge(pos + 1));
    stops.push(`transparent ${left - 1}px`, `${line} ${left - 1}px ${left}px`, `${tint} ${left}px ${right}px`);
    stops.push(`${line} ${right}px ${right + 1}px`, `transparent ${right + 1}px`);
  }
  return stops.length ? `linear-gradient(90deg, ${stops.join(", ")})` : "none";
}

function pressInText(panel, event) {
  const found = tokenAt(panel, event.target);
  if (!found || event.altKey || event.ctrlKey || event.metaKey) return;
  const { view, pos } = found;
  const isToggle = event.key === "Enter" || event.key === " ";
  const moves = {
    ArrowLeft: () => pos - 1,
    ArrowRight: () => pos + 1,
    ArrowUp: () => lineAway(view, pos, -1),
    ArrowDown: () => lineAway(view, pos, 1),
    Home: () => 0,
    End: () => view.n - 1,
  };
  if (event.key === "Escape") event.target.blur();
  if (!isToggle && !(event.key in moves)) return;
  event.preventDefault();
  event.stopPropagation();
  if (isToggle) toggle(panel, view, pos, event.shiftKey);
  else view.spans[moves[event.key]()]?.focus();
}

// The token that stands nearest to this one in the line above or below.
function lineAway(view, pos, way) {
  const boxes = (at) => view.spans[at].getClientRects()[0] ?? view.spans[at].getBoundingClientRect();
  const here = boxes(pos);
  let [best, top, distance] = [pos, null, Infinity];
  for (let at = pos + way; at >= 0 && at < view.n; at += way) {
    const box = boxes(at);
    if (Math.abs(box.top - here.top) < 4) continue;
    top ??= box.top;
    if (Math.abs(box.top - top) >= 4) break;
    if (Math.abs(box.left - here.left) < distance) [best, distance] = [at, Math.abs(box.left - here.left)];
  }
  return best;
}

// The table

function drawTable(panel) {
  const { data, frame } = panel;
  const focused = panel.root.getRootNode().activeElement;
  const column = focused?.dataset?.column;
  const line = focused?.closest?.("tbody tr")?.dataset.key;
  panel.sizes.disconnect();
  panel.lines = new Map();
  frame.replaceChildren();
  panel.hovered = panel.rows.has(panel.hovered) ? panel.hovered : null;
  panel.focused = panel.rows.has(panel.focused) ? panel.focused : null;
  if (!data.rows.length) return;
  const table = element("table");
  table.setAttribute("role", "grid"); // rows can be selected, arrows walk over them
  table.dataset.texts = data.texts.length;
  table.append(drawHead(panel), element("tbody"));
  for (const row of data.rows) {
    const made = drawRow(panel, row);
    panel.lines.set(row.key, made);
    table.tBodies[0].append(made.line);
  }
  frame.append(table);
  for (const view of panel.views) {
    view.width = 0;
    frame.style.setProperty(`--most-${view.at}`, `${MOST_PIXELS * view.n}px`);
    observe(panel.sizes, view.ruler); // draws the strips before the next frame, when their width is known
  }
  // A rebuilt heading or row gets the focus that the old one had.
  if (column) [...table.querySelectorAll("th button")].find((one) => one.dataset.column === column)?.focus();
  const made = panel.lines.get(line);
  if (made) (focused.matches("a") ? made.link : made.line)?.focus({ preventScroll: true });
}

function drawHead(panel) {
  const { data } = panel;
  const head = element("thead");
  const line = element("tr");
  line.append(...data.columns.map((column) => heading(panel, column)));
  for (const view of panel.views) {
    const cell = element("th", "cells");
    const title = data.texts[view.at].title || "tokens";
    cell.scope = "col";
    cell.title = "One cell per token, by position. Full colour at the row's own scale.";
    cell.append(element("span", panel.views.length > 1 ? "name" : "unseen", title));
    view.ruler = element("div", "strip ruler");
    view.ruler.dataset.text = view.at;
    cell.append(view.ruler);
    line.append(cell);
  }
  head.append(line);
  return head;
}

function heading(panel, column) {
  const { sort, descending } = panel.data;
  const cell = element("th", column.kind);
  cell.dataset.name = column.name;
  cell.scope = "col";
  cell.title = column.title;
  if (!column.sort) {
    cell.textContent = column.label;
    return cell;
  }
  const isSorted = column.name === sort;
  cell.setAttribute("aria-sort", !isSorted ? "none" : descending ? "descending" : "ascending");
  const button = element("button", "", column.label);
  button.type = "button";
  button.dataset.column = column.name;
  button.append(element("span", "arrow", isSorted ? (descending ? "▼" : "▲") : ""));
  button.addEventListener("click", () => panel.send("sort", column.name));
  cell.append(button);
  return cell;
}

function drawRow(panel, row) {
  const made = { line: element("tr"), link: null, canvases: [] };
  made.line.dataset.key = row.key;
  made.line.tabIndex = -1;
  made.line.addEventListener("click", (event) => clickRow(panel, row, event));
  row.cells.forEach((cell, at) => made.line.append(bodyCell(cell, panel.data.columns[at], row, made)));
  row.strips.forEach((strip, at) => {
    const cell = element("td", "cells");
    const box = element("div", "strip");
    const canvas = element("canvas");
    box.dataset.text = at;
    box.dataset.n = strip.val.filter((value) => value !== 0).length;
    box.setAttribute("role", "img");
    box.setAttribute("aria-label", strip.label);
    made.canvases.push(canvas);
    box.append(canvas);
    cell.append(box);
    made.line.append(cell);
  });
  return made;
}

function bodyCell(cell, column, row, made) {
  const drawn = element("td", column.kind);
  drawn.dataset.name = column.name;
  if (column.kind === "link") {
    const link = element(row.href === null ? "b" : "a", "", cell);
    if (row.href !== null) [link.href, made.link] = [row.href, link];
    drawn.append(link);
  } else if (column.kind === "number") {
    [drawn.textContent, drawn.title] = cell;
  } else if (column.kind === "text") {
    drawn.append(element("span", "", cell));
    drawn.title = cell;
  } else {
    const list = element("div", "chips");
    list.append(...cell.map(column.kind === "tokens" ? chip : (word) => element("span", "word", word)));
    drawn.append(list);
  }
  return drawn;
}

function chip([shown, title, count]) {
  const made = element("span", "chip", shown);
  made.title = title;
  if (count !== undefined) made.append(element("i", "", `×${count}`));
  return made;
}

function clickRow(panel, row, event) {
  const isModified = event.ctrlKey || event.metaKey || event.shiftKey || event.button;
  const link = event.target.closest("a");
  const isSelecting = String(getSelection()).length > 0 && !link;
  if (isModified || isSelecting) return;
  event.preventDefault();
  if (link) panel.send("follow", row.key);
  else open(panel, row.key);
}

function open(panel, key) {
  if (!panel.data.opens) {
    panel.row = key === panel.row ? null : key;
    return markRow(panel);
  }
  if (key !== panel.row) {
    panel.row = key;
    sent(panel, "row", key);
    markRow(panel);
  }
  panel.send("open", key);
}

function markRow(panel) {
  const reached = panel.rows.has(panel.row) ? panel.row : panel.data.rows[0]?.key;
  for (const [key, { line, link }] of panel.lines ?? []) {
    line.setAttribute("aria-selected", key === panel.row);
    line.tabIndex = key === reached ? 0 : -1; // Tab reaches one row and its link, arrows the others
    if (link) link.tabIndex = line.tabIndex;
  }
  shade(panel);
}

function pressInTable(panel, event) {
  const line = event.target.closest?.("tbody tr");
  if (!line || event.altKey || event.ctrlKey || event.metaKey) return;
  const isLine = event.target === line;
  const all = [...line.parentElement.rows];
  const moves = {
    ArrowUp: line.previousElementSibling,
    ArrowDown: line.nextElementSibling,
    Home: all[0],
    End: all.at(-1),
  };
  if (event.key === "Escape") event.target.blur();
  const isOpen = event.key === " " || (event.key === "Enter" && isLine);
  if (!isOpen && !(event.key in moves)) return;
  event.preventDefault();
  event.stopPropagation();
  if (isOpen) return open(panel, line.dataset.key);
  const target = moves[event.key];
  if (target) (isLine ? target : (target.querySelector("a") ?? target)).focus();
}

// Shades

// How much colour a value gets, and which; logarithmic for activations, as in the token view.
function colourOf(value, row) {
  if (typeof value === "string") return ["odd", 0.5]; // nan, inf
  const share = row.scale > 0 ? Math.min(1, Math.abs(value) / row.scale) : 1;
  const hue = value < 0 ? "negative" : row.tone === "activation" ? "active" : row.tone;
  return [hue, row.tone === "activation" ? 0.05 + 0.95 * Math.log10(1 + 9 * share) : share];
}

function shownRow(panel) {
  const key = [panel.hovered, panel.focused, panel.row].find((one) => panel.rows.has(one));
  return panel.rows.get(key);
}

// The text in the colours of the row under the mouse, else of the selected one.
function shade(panel) {
  const row = shownRow(panel);
  for (const span of panel.shaded) {
    span.classList.remove("strong", ...HUES);
    span.style.removeProperty("--shade");
    delete span.dataset.value;
  }
  panel.shaded = [];
  panel.root.dataset.shaded = row?.key ?? "";
  panel.views.forEach((view, at) => {
    const strip = row?.strips[at];
    strip?.pos.forEach((pos, i) => {
      const span = view.spans[pos];
      if (!span || strip.val[i] === 0) return;
      const [hue, opacity] = colourOf(strip.val[i], row);
      span.style.setProperty("--shade", opacity.toFixed(3));
      span.dataset.value = strip.val[i];
      span.classList.add(hue);
      if (opacity > STRONG[hue]) span.classList.add("strong");
      panel.shaded.push(span);
    });
  });
  drawLegend(panel, row);
}

function drawLegend(panel, row) {
  const view = panel.views.at(-1);
  if (!view) return;
  if (!row) {
    const hint = panel.data.rows.length ? "point at a row to shade the text by it" : "";
    return view.legend.replaceChildren(element("span", "", hint));
  }
  const hue = row.tone === "activation" ? "active" : row.tone;
  const curve = row.tone === "activation" ? "log" : "linear";
  const isSigned = row.strips.some((strip) => strip.val.some((value) => value < 0));
  const ramp = [element("span", "", "0"), element("span", `ramp ${curve} ${hue}`), element("span", "", row.scale_text)];
  if (isSigned) ramp.unshift(element("span", "", "−" + row.scale_text), element("span", `ramp back ${curve} negative`));
  view.legend.replaceChildren(element("b", "", nameOf(panel, row)), ...ramp);
  view.legend.title = `Shade of a token: ${curve === "log" ? "logarithmic" : "linear"}, up to this row's scale`;
}

// A row in words: its first cell, after the column's label where that is a number or a link.
function nameOf(panel, row) {
  const [column] = panel.data.columns;
  if (row.name) return row.name;
  if (!column) return row.key;
  const [cell] = row.cells;
  if (column.kind === "link" || column.kind === "number") return `${column.label} ${[cell].flat()[0]}`;
  return column.kind === "text" ? cell : row.key;
}

// Strips: canvases one pixel high, as wide as the screen has pixels there, stretched by CSS.

function observe(sizes, box) {
  try {
    sizes.observe(box, { box: "device-pixel-content-box" }); // tells of zoom and of other screens too
  } catch {
    sizes.observe(box);
  }
}

function resized(panel, entries) {
  for (const entry of entries) {
    const view = panel.views[entry.target.dataset.text];
    const exact = entry.devicePixelContentBoxSize?.[0].inlineSize;
    const width = exact ?? Math.round(entry.contentRect.width * devicePixelRatio);
    if (!width || width === view.width) continue; // nothing when hidden
    view.width = width;
    drawRuler(view);
    drawMarks(panel, view);
    for (const row of panel.data.rows) drawStrip(panel, row, view);
  }
}

function drawStrip(panel, row, view) {
  const canvas = panel.lines.get(row.key).canvases[view.at];
  const strip = row.strips[view.at];
  if (!canvas || !view.n) return;
  const { width, n } = view;
  canvas.width = width;
  canvas.height = 1;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, 1);
  const inks = new Uint32Array(image.data.buffer); // alpha is the highest byte
  const gap = width / n >= 5 * devicePixelRatio ? Math.round(devicePixelRatio) : 0;
  panel.colours ??= readColours(panel);
  strip.pos.forEach((pos, i) => {
    const value = strip.val[i];
    if (value === 0 || pos >= n) return;
    const [hue, opacity] = colourOf(value, row);
    const first = Math.min(width - 1, Math.floor((pos * width) / n));
    const end = Math.max(first + 1, Math.floor(((pos + 1) * width) / n) - gap);
    const ink = (panel.colours[hue] | (Math.round(255 * opacity) << 24)) >>> 0;
    // Where tokens share a pixel the one with most colour is seen.
    for (let x = first; x < end; x++) if (ink >>> 24 >= inks[x] >>> 24) inks[x] = ink;
  });
  context.putImageData(image, 0, 0);
}

function readColours(panel) {
  const style = getComputedStyle(panel.root); // the same in both themes
  const packed = (hue) => {
    const [red, green, blue] = style.getPropertyValue(`--${hue}`).trim().split(/\s+/).map(Number);
    return red | (green << 8) | (blue << 16); // the order of bytes in an image on every common machine
  };
  return Object.fromEntries(HUES.map((hue) => [hue, packed(hue)]));
}

function drawRuler(view) {
  const width = view.width / devicePixelRatio;
  const step = STEPS.find((one) => (one * width) / view.n >= 40) ?? view.n;
  const ticks = [];
  for (let pos = 0; pos < view.n; pos += step) {
    if ((1 - pos / view.n) * width < 8 * String(pos).length) break;
    const tick = element("span", "tick", pos);
    tick.style.left = `${(100 * pos) / view.n}%`;
    ticks.push(tick);
  }
  view.ruler.setAttribute("aria-hidden", "true");
  view.ruler.replaceChildren(...ticks);
}

// The mouse and the focus

function point(panel, event) {
  const key = event?.target.closest?.("tbody tr")?.dataset.key ?? null;
  if (key !== panel.hovered) {
    panel.hovered = key;
    shade(panel);
  }
  const found = event && (tokenAt(panel, event.target) ?? cellAt(panel, event));
  cross(panel, found);
  if (found) showTip(panel, found, event.clientX + 12, event.clientY + 16, event.clientY - 6);
  else panel.tip.style.display = "none";
}

function cellAt(panel, event) {
  const strip = event.target.closest?.(".strip");
  const view = panel.views[strip?.dataset.text];
  if (!view?.n) return null;
  const box = strip.getBoundingClientRect();
  const pos = Math.floor(((event.clientX - box.left) / box.width) * view.n);
  return { view, pos: Math.max(0, Math.min(view.n - 1, pos)) };
}

function focusMoved(panel, target) {
  const isVisible = target?.matches?.(":focus-visible");
  const found = target && tokenAt(panel, target);
  const key = (isVisible && target.closest("tbody tr")?.dataset.key) || null;
  if (key !== panel.focused) {
    panel.focused = key;
    shade(panel);
  }
  if (found) {
    found.view.spans.forEach((span, pos) => (span.tabIndex = pos === found.pos ? 0 : -1));
    if (!isVisible) return; // the mouse did it, and shows its own tip
    const box = target.getBoundingClientRect();
    showTip(panel, found, box.left, box.bottom + 6, box.top - 6);
  } else {
    panel.tip.style.display = "none";
  }
  cross(panel, found);
}

// One position marked in its text and through all strips.
function cross(panel, found) {
  const span = found && found.view.spans[found.pos];
  if (panel.crossed === span) return;
  panel.crossed?.classList.remove("crossed");
  panel.crossed = span;
  span?.classList.add("crossed");
  for (const view of panel.views) {
    const line = found?.view === view ? lines(view, new Set([found.pos]), "var(--cross)", "transparent") : "none";
    panel.frame.style.setProperty(`--cross-${view.at}`, line);
  }
}

function showTip(panel, { view, pos }, left, below, above) {
  const text = panel.data.texts[view.at];
  const [raw, , quoted] = text.tokens[text.ids[pos]];
  const row = shownRow(panel);
  const parts = [element("b", "", quoted ?? JSON.stringify(raw))];
  if (row) {
    const strip = row.strips[view.at];
    const value = strip.val[strip.pos.indexOf(pos)] ?? 0;
    parts.push(element("span", "", `${nameOf(panel, row)}: ${String(value).replace("-", "−")}`));
  }
  parts.push(element("span", "", `position ${pos} of ${view.n}`));
  panel.tip.replaceChildren(...parts);
  panel.tip.style.display = "grid";
  const size = panel.tip.getBoundingClientRect();
  panel.tip.style.left = `${Math.max(4, Math.min(left, innerWidth - size.width - 8))}px`;
  panel.tip.style.top = `${below + size.height > innerHeight ? above - size.height : below}px`;
}
