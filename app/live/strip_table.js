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
  const table = make("table");
  table.setAttribute("role", "grid"); // rows can be selected, arrows walk over them
  table.dataset.texts = data.texts.length;
  table.append(drawHead(panel), make("tbody"));
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
  const head = make("thead");
  const line = make("tr");
  line.append(...data.columns.map((column) => headCell(panel, column)));
  for (const view of panel.views) {
    const cell = make("th", "cells");
    const title = data.texts[view.at].title || "tokens";
    cell.scope = "col";
    cell.title = "One cell per token, by position. Full colour at the row's own scale.";
    cell.append(make("span", panel.views.length > 1 ? "name" : "unseen", title));
    view.ruler = make("div", "strip ruler");
    view.ruler.dataset.text = view.at;
    cell.append(view.ruler);
    line.append(cell);
  }
  head.append(line);
  return head;
}

function headCell(panel, column) {
  const cell = heading(column, panel.data, (...said) => panel.send(...said), column.kind);
  cell.dataset.name = column.name;
  return cell;
}

function drawRow(panel, row) {
  const made = { line: make("tr"), link: null, canvases: [] };
  made.line.dataset.key = row.key;
  made.line.tabIndex = -1;
  made.line.addEventListener("click", (event) => clickRow(panel, row, event));
  row.cells.forEach((cell, at) => made.line.append(bodyCell(cell, panel.data.columns[at], row, made)));
  row.strips.forEach((strip, at) => {
    const cell = make("td", "cells");
    const box = make("div", "strip");
    const canvas = make("canvas");
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
  const drawn = make("td", column.kind);
  drawn.dataset.name = column.name;
  if (column.kind === "link") {
    const link = make(row.href === null ? "b" : "a", "", cell);
    if (row.href !== null) [link.href, made.link] = [row.href, link];
    drawn.append(link);
  } else if (column.kind === "number") {
    [drawn.textContent, drawn.title] = cell;
  } else if (column.kind === "text") {
    drawn.append(make("span", "", cell));
    drawn.title = cell;
  } else {
    const list = make("div", "chips");
    list.append(...cell.map(column.kind === "tokens" ? chip : (word) => make("span", "word", word)));
    drawn.append(list);
  }
  return drawn;
}

function chip([shown, title, count]) {
  const made = make("span", "chip", shown);
  made.title = title;
  if (count !== undefined) made.append(make("i", "", `×${count}`));
  return made;
}

function clickRow(panel, row, event) {
  if (isForBrowser(event)) return;
  const link = event.target.closest("a");
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
