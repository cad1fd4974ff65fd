
// What tables share that their headings sort; it is put behind the script of each.

function heading(column, data, send, className) {
  const cell = make("th", className);
  cell.scope = "col";
  cell.title = column.title;
  if (!column.sort) {
    cell.textContent = column.label;
    return cell;
  }
  const isSorted = column.name === data.sort;
  cell.setAttribute("aria-sort", !isSorted ? "none" : data.descending ? "descending" : "ascending");
  const button = make("button", "", column.label);
  button.type = "button";
  button.dataset.column = column.name;
  button.append(make("span", "arrow", isSorted ? (data.descending ? "▼" : "▲") : ""));
  cell.addEventListener("click", () => { // the button's clicks, too
    button.focus();
    send("sort", column.name);
  });
  cell.append(button);
  return cell;
}

// A click that the browser answers itself, with a new tab, or that ends a selection.
function isForBrowser(event) {
  const isModified = event.ctrlKey || event.metaKey || event.shiftKey || event.button;
  return isModified || (String(getSelection()).length > 0 && !event.target.closest("a, button"));
}
