// Keys of the page. data: { keys: { key: CSS selector of what it clicks or focuses } }.
// Nothing happens while the user types, holds Ctrl, Alt or Meta, or walks over tokens with arrows.

let keys = {};
let isListening = false;

export default function ({ data }) {
  keys = data.keys;
  if (!isListening) window.addEventListener("keydown", press, true);
  isListening = true;
  document.documentElement.dataset.keys = Object.keys(keys).join(" ");
  return () => { keys = {}; delete document.documentElement.dataset.keys; };
}

function press(event) {
  const selector = keys[event.key];
  const target = event.composedPath()[0];
  if (!selector || event.ctrlKey || event.altKey || event.metaKey) return;
  if (target.closest?.("input, textarea, select, [contenteditable=true], [role=textbox]")) return;
  const usesArrows = target.closest?.("canvas, .token, [role=tab], [role=radio], [role=slider], [role=combobox], [role=listbox]");
  if (event.key.startsWith("Arrow") && usesArrows) return;
  const found = document.querySelector(selector);
  event.preventDefault();
  event.stopImmediatePropagation(); // Streamlit's own "r" would run the script a second time
  if (!found || found.disabled) return;
  if (found.matches("input, textarea")) found.focus();
  else found.click();
}
