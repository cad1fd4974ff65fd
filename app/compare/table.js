// The scoreboard: a row a dictionary, as a plain HTML table whose text can be found and copied.
//
// data: { columns: [{name, label, title}], rows: [{id, facts, href, cells: [[shown, tip]], pair}],
// sort, descending }; the first column is the dictionary, and `pair` the address of the last, if it
// has one. Triggers: sort (column), open (id), pair (id). Texts of the store reach the page through
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
  const line = make("tr");
  line.append(...data.columns.map((column) => heading(column, data, setTriggerValue)));
  const head = make("thead");
  head.append(line);
  const body = make("tbody");
  body.append(...data.rows.map((row) => drawRow(row, data, setTriggerValue)));
  // A click on a heading rebuilds it: give the new one the focus that the old one had.
  const focused = parentElement.activeElement?.dataset?.column;
  frame.firstChild.replaceChildren(head, body);
  if (focused) frame.querySelector(`button[data-column="${focused}"]`)?.focus();
}

function drawRow(row, data, send) {
  const line = make("tr");
  line.addEventListener("click", (event) => {
    if (isForBrowser(event)) return;
    event.preventDefault();
    send(event.target.closest("td a") ? "pair" : "open", row.id);
  });
  const name = make("th");
  name.scope = "row";
  name.title = `${row.id}\n${row.facts}`;
  const link = make("a", "", row.id);
  link.href = row.href;
  name.append(link, make("small", "", row.facts));
  line.append(name);
  row.cells.forEach(([shown, tip], at) => {
    const cell = make("td", data.columns[at + 1].name === data.sort ? "sorted" : "", shown);
    cell.title = tip;
    line.append(cell);
  });
  if (row.pair) {
    const beside = make("a", "", line.lastChild.textContent);
    beside.href = row.pair;
    line.lastChild.replaceChildren(beside);
  }
  return line;
}
