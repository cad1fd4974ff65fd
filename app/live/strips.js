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

function build(parent) {
  const panel = {
    root: make("div", "strips"),
    texts: make("div", "texts"),
    frame: make("div", "frame"),
    tip: make("div", "tip"),
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
