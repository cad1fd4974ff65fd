// Keys of the page, and the button "?" that tells them.
// data: { keys: { key: CSS selector of what it clicks or focuses }, told: HTML of the list }.
// Nothing happens while the user types, holds Ctrl, Alt or Meta, or walks over tokens with arrows.

let keys = {};
let isListening = false;

export default function ({ data, parentElement }) {
  keys = data.keys;
  if (!isListening) window.addEventListener("keydown", press, true);
  isListening = true;
  // The browser's own popover: it stays while the page is drawn anew, and takes no focus away.
  const list = part(parentElement, "div", "fb-told");
  list.popover = "auto";
  const button = part(parentElement, "button", "fb-tell");
  button.textContent = "?";
  button.title = button.ariaLabel = "Words and keys";
  button.popoverTargetElement = list;
  list.onbeforetoggle = ({ newState }) => {
    list.innerHTML = newState === "open" ? data.told : "";
    place(list, button);
  };
  return () => { keys = {}; };
}

function part(parent, tag, name) {
  const found = parent.querySelector(`.${name}`);
  if (found) return found;
  const made = document.createElement(tag);
  made.className = name;
  parent.append(made);
  return made;
}

function place(list, button) {
  const { bottom, right } = button.getBoundingClientRect();
  list.style.top = `${bottom + 6}px`;
  list.style.right = `${Math.max(12, innerWidth - right)}px`;
  list.style.maxHeight = `calc(100vh - ${bottom + 18}px)`;
}

function press(event) {
  const selector = keys[event.key];
  const target = event.composedPath()[0];
  if (!selector || event.ctrlKey || event.altKey || event.metaKey) return;
  if (target.closest?.("input, textarea, select, [contenteditable=true], [role=textbox]")) return;
  const usesArrows = target.closest?.("canvas, .token, .histogram, [role=tab], [role=radio], [role=slider], [role=combobox], [role=listbox]");
  if (event.key.startsWith("Arrow") && usesArrows) return;
  const found = document.querySelector(selector);
  event.preventDefault();
  event.stopImmediatePropagation(); // Streamlit's own "r" would run the script a second time
  if (!found || found.disabled) return;
  if (found.matches("input, textarea")) found.focus();
  else found.click();
}
