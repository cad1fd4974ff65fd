// The table of features: a plain HTML table, so that text can be found, copied and read aloud.
//
// data: { columns: [{name, label, title, kind, sort}], rows: [{feature, href, cells}], sort,
// descending }. Tokens reach the page through textContent alone.

const SVG = "http://www.w3.org/2000/svg";
const tables = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  let table = tables.get(parentElement);
  if (!table) {
    table = document.createElement("table");
    parentElement.append(table);
    tables.set(parentElement, table);
  }
  const head = make("thead");
  const body = make("tbody");
  const line = make("tr");
  const headings = data.columns.map((column) =>
    heading(column, data, setTriggerValue, classes(column, data)),
  );
  line.append(...headings);
  head.append(line);
  body.append(...data.rows.map((row) => bodyRow(row, data, setTriggerValue)));
  // A click on a heading rebuilds it: give the new one the focus that the old one had.
  const focused = parentElement.activeElement?.dataset?.column;
  table.replaceChildren(head, body);
  if (focused) table.querySelector(`button[data-column="${focused}"]`)?.focus();
}

function bodyRow(row, data, send) {
  const line = make("tr");
  line.dataset.feature = row.feature;
  const open = (event) => {
    if (isForBrowser(event)) return;
    event.preventDefault();
    send("open", row.feature);
  };
  line.addEventListener("click", open);
  row.cells.forEach((cell, i) => line.append(bodyCell(cell, data.columns[i], row, data)));
  return line;
}

function classes(column, data) {
  return `${column.kind} ${column.name}${column.name === data.sort ? " sorted" : ""}`;
}

function bodyCell(cell, column, row, data) {
  const made = make("td", classes(column, data));
  if (column.kind === "link") {
    const link = make("a", "", String(cell));
    link.href = row.href;
    made.append(link);
  } else if (column.kind === "number") {
    [made.textContent, made.title] = cell;
  } else if (column.kind === "effect") {
    const [kl, tip, random, above] = cell;
    made.title = tip;
    made.append(make("span", "kl", kl));
    // A missing number has nothing beside it.
    if (random) made.append(make("span", "random", random), make("span", "above", above));
  } else if (column.kind === "cluster") {
    const [number, tip, name] = cell;
    made.title = tip;
    made.append(make("span", "which", number));
    if (name) made.append(make("bdi", "name", name));
  } else if (column.kind === "bars") {
    if (cell.length) made.append(bars(cell));
  } else if (column.kind === "said") {
    made.append(...said(cell));
    made.title = cell[3];
  } else if (column.kind === "found") {
    const list = make("div", "reasons");
    list.append(...cell.flatMap(reason));
    made.append(list);
  } else if (column.kind === "words") {
    made.append(...cell.map(flag));
  } else {
    const list = make("div", "chips");
    list.append(...cell.map(chip));
    made.append(list);
  }
  return made;
}

function said([verdict, mark, label, , who]) {
  const parts = [];
  if (mark) {
    const sign = make("i", verdict, mark);
    sign.setAttribute("role", "img");
    sign.setAttribute("aria-label", verdict);
    parts.push(sign);
  }
  if (label) parts.push(make("bdi", who, label));
  return parts;
}

function reason([place, before, match, after, tip]) {
  const text = make("div", "text");
  text.title = tip;
  // The match stays in sight: what stands before it is cut off on the left.
  const [left, right] = [make("span", "before"), make("bdi", "after", after)];
  left.append(make("bdi", "", before));
  text.append(left, make("mark", "", match), right);
  return [make("span", "place", place), text];
}

function flag([word, why]) {
  const made = make("span", "word", word);
  made.title = why;
  return made;
}

function chip([shown, title, count]) {
  const made = make("span", "chip", shown);
  made.title = title;
  if (count) made.append(make("i", "", `×${count}`));
  return made;
}

// Heights are logarithmic: the first bin would otherwise hide the others.
function bars(counts) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${counts.length} 20`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const highest = Math.log1p(Math.max(...counts));
  counts.forEach((count, i) => {
    const height = (20 * Math.log1p(count)) / (highest || 1);
    const bar = document.createElementNS(SVG, "rect");
    bar.setAttribute("x", i);
    bar.setAttribute("y", 20 - height);
    bar.setAttribute("width", 0.86);
    bar.setAttribute("height", height);
    svg.append(bar);
  });
  return svg;
}
