// A feature at the checkpoints of its family: a cell a step, each a link to the feature there.
//
// data: { title, detail, cells: [{step, shown, density, tip, cosine, is_here, id?, href?}] }.
// Trigger: open (id). Texts of the store reach the page through textContent alone.

const strips = new WeakMap(); // one per mounted component; a rerun keeps its elements

export default function ({ data, parentElement, setTriggerValue }) {
  let root = strips.get(parentElement);
  if (!root) {
    root = make("nav", "strip");
    strips.set(parentElement, root);
    parentElement.append(root);
  }
  root.setAttribute("aria-label", `${data.title}: ${data.detail}`);
  const name = make("div", "name", data.title);
  name.title = data.detail;
  const focused = parentElement.activeElement?.dataset?.step;
  root.replaceChildren(name, ...data.cells.map((cell) => drawCell(cell, setTriggerValue)));
  if (focused) root.querySelector(`[data-step="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function drawCell(cell, send) {
  const made = make(cell.href && !cell.is_here ? "a" : "div", cell.is_here ? "cell here" : "cell");
  made.title = cell.tip;
  made.dataset.step = cell.step;
  if (cell.is_here) made.setAttribute("aria-current", "step");
  const bar = make("i", "bar");
  bar.style.setProperty("--share", cell.is_here ? 1 : Math.min(Math.max(cell.cosine ?? 0, 0), 1));
  made.append(make("span", "step", cell.step), make("b", "", cell.shown), bar, make("small", "", cell.density));
  if (made.tagName === "A") {
    made.href = cell.href;
    made.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return; // a new tab
      event.preventDefault();
      send("open", cell.id);
    });
  }
  return made;
}
