// Tables of related features, each short until all are asked for.
//
// data: { short, tables: [{title, detail, tokens, columns: [{label, title}], rows: [{feature, open,
// href, is_dead, tokens: [[shown, quoted]], cells: [[shown, exact]]}]}] }; `tokens` of a table is
// the heading of theirs. Tokens reach the page through textContent alone. Trigger: open (a row's).

const panels = new WeakMap(); // one per mounted component; a rerun keeps its elements

export default function ({ data, parentElement, setTriggerValue }) {
  let panel = panels.get(parentElement);
  if (!panel) {
    panel = { root: make("div", "neighbours"), isWhole: false };
    panels.set(parentElement, panel);
    parentElement.append(panel.root);
  }
  panel.data = data;
  panel.send = setTriggerValue;
  draw(panel);
}

function draw(panel) {
  const long = panel.data.tables.filter((table) => table.rows.length > panel.data.short);
  const parts = panel.data.tables.map((table) => section(panel, table));
  if (long.length) {
    const button = make("button", "", panel.isWhole ? "Fewer" : whole(panel.data.tables, long));
    button.type = "button";
    button.setAttribute("aria-expanded", String(panel.isWhole));
    button.addEventListener("click", () => {
      panel.isWhole = !panel.isWhole;
      draw(panel);
      panel.root.querySelector("button").focus({ preventScroll: true });
    });
    parts.push(button);
  }
  panel.root.replaceChildren(...parts);
}

// Where only one of several tables is cut short, it is named.
function whole(tables, long) {
  const most = Math.max(...long.map((table) => table.rows.length));
  const [{ title }] = long;
  const name = `: ${title[0].toLowerCase()}${title.slice(1)}`;
  return `All ${most}${long.length === 1 && tables.length > 1 ? name : ""}`;
}

function section(panel, { title, detail, tokens, columns, rows }) {
  const made = make("div", "part");
  const head = make("h4", "", title);
  head.append(make("small", "", detail));
  made.append(head);
  if (!rows.length) return made;
  const table = make("table");
  const line = make("tr");
  line.append(make("th", "", "feature"), make("th", "", tokens));
  for (const column of columns) {
    const cell = make("th", "number", column.label);
    cell.title = column.title;
    line.append(cell);
  }
  const body = make("tbody");
  body.append(...rows.slice(0, panel.isWhole ? rows.length : panel.data.short).map((row) => drawRow(panel, row, columns)));
  const top = make("thead");
  top.append(line);
  table.append(top, body);
  table.setAttribute("aria-label", title);
  made.append(table);
  return made;
}

function drawRow(panel, row, columns) {
  const line = make("tr");
  line.title = columns.map(({ label }, i) => `${label} ${row.cells[i][0]}`).join(" · ");
  const name = make("td", "name");
  const link = make("a", "", String(row.feature));
  link.href = row.href;
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return; // a new tab
    event.preventDefault();
    panel.send("open", row.open);
  });
  name.append(link);
  if (row.is_dead) name.append(make("span", "dead", "dead"));
  const tokens = make("td", "tokens");
  const chips = make("div", "chips");
  for (const [shown, quoted] of row.tokens) {
    const chip = make("span", "chip", shown);
    chip.title = quoted;
    chips.append(chip);
  }
  tokens.append(chips);
  line.append(name, tokens);
  for (const [shown, exact] of row.cells) {
    const cell = make("td", "number", shown);
    cell.title = exact;
    line.append(cell);
  }
  return line;
}
