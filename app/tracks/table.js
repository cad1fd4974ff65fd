// Tracks, or the steps of one: a row each, as a plain HTML table whose text can be found and copied.
//
// data: { label, columns: [{name, label, title, sort, kind}], rows: [{id, href?, is_chosen?, cells}],
// sort, descending, opened }. A cell is [shown, tip]; of a strip [[height or null, is on the track,
// tip]], of tokens [[shown, tip]]. Triggers: sort (column), open (id). Texts of the store reach the page through
// textContent alone.

const tables = new WeakMap(); // one per mounted component; a rerun keeps its elements

export default function ({ data, parentElement, setTriggerValue }) {
  let frame = tables.get(parentElement);
  if (!frame) {
    frame = make("div", "frame");
    frame.append(make("table"));
    tables.set(parentElement, frame);
    parentElement.append(frame);
  }
  frame.firstChild.setAttribute("aria-label", data.label);
  const line = make("tr");
  line.append(...data.columns.map((column) => heading(column, data, setTriggerValue, column.kind)));
  const head = make("thead");
  head.append(line);
  const body = make("tbody");
  body.append(...data.rows.map((row) => drawRow(row, data, setTriggerValue)));
  // A click rebuilds what was clicked: give the new one the focus that the old one had.
  const focused = parentElement.activeElement?.dataset;
  const name = focused?.column ? "column" : "row";
  const value = focused?.[name];
  frame.firstChild.replaceChildren(head, body);
  if (value) frame.querySelector(`[data-${name}="${CSS.escape(value)}"]`)?.focus({ preventScroll: true });
}

function drawRow(row, data, send) {
  const line = make("tr", row.is_chosen || row.id === data.opened ? "chosen" : "");
  if (row.id) {
    line.addEventListener("click", (event) => {
      if (isForBrowser(event)) return;
      event.preventDefault();
      send("open", row.id);
    });
  } else line.classList.add("still");
  row.cells.forEach((cell, at) => {
    const { kind, name } = data.columns[at];
    const made = make(at ? "td" : "th", name === data.sort ? `${kind} sorted` : kind);
    if (!at) made.scope = "row";
    if (kind === "strip") made.append(strip(cell));
    else if (kind === "tokens") made.append(tokens(cell));
    else {
      made.title = cell[1];
      if (kind === "link" && row.id) made.append(link(row, cell[0]));
      else made.textContent = cell[0];
    }
    line.append(made);
  });
  return line;
}

function link(row, text) {
  const made = row.href ? make("a", "", text) : make("button", "", text);
  if (row.href) made.href = row.href;
  else made.type = "button";
  made.dataset.row = row.id;
  return made;
}

function strip(bars) {
  const made = make("div", "bars");
  made.style.setProperty("--n", bars.length);
  for (const [height, isOn, tip] of bars) {
    const bar = make("i", height === null ? "none" : isOn ? "" : "off");
    if (height !== null) bar.style.setProperty("--height", Math.min(height, 1));
    bar.title = tip;
    made.append(bar);
  }
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", bars.map(([, , tip]) => tip).join("; "));
  return made;
}

function tokens(chips) {
  const made = make("div", "chips");
  for (const [shown, tip] of chips) {
    const chip = make("span", "chip", shown);
    chip.title = tip;
    made.append(chip);
  }
  return made;
}
