// What leads to another feature: buttons, of which some have keys; a number or a dictionary that is chosen; a
// link; the browser's Back. What is typed after one of them is for the feature that it leads to.

const MOVES = { ArrowLeft: "previous", ArrowRight: "next", r: "random" }; // keys, and the buttons they click
const KEYED = "st-key-"; // Streamlit's class for what has a key
const NUMBER = ".st-key-number input";
const PICKER = ".st-key-picker [role=combobox]";
const OPTION = "[role=option][data-key]"; // the line "No results" has no key
let entered = null; // the box of a number that was asked for by Enter: it loses the focus next

function move(editor, name) {
  const button = document.querySelector(`.st-key-${name} button`);
  const isMove = Object.values(MOVES).includes(name);
  if (!isConnected()) fail(editor, {}, GONE);
  else if (!button || button.disabled) halt(editor, { words: isMove ? `no ${name} feature in the list` : "not done" });
  else button.click();
}

// The key of a button that leads to another feature.
function wayOf(target) {
  const keyed = target.closest?.("button")?.closest(`[class*="${KEYED}"]`);
  const name = [...(keyed?.classList ?? [])].find((one) => one.startsWith(KEYED))?.slice(KEYED.length);
  return Object.values(MOVES).includes(name) || name?.startsWith("change-") ? name : null;
}

// All clicks of the page come here first: those of the mouse, and those of `move`.
function click(event) {
  goOn();
  const editor = shown;
  if (!editor?.root.isConnected) return;
  const [target] = event.composedPath();
  if (target === editor.asking) editor.asking = null; // something else is typed into it
  const box = typable(editor).find((one) => one === target);
  if (box && !isReady(editor)) return keep(editor, { box });
  const name = wayOf(event.target);
  if (!name) return follow(editor, byOption(target) ?? byLink(event, target), document.querySelector(PICKER));
  if (isReady(editor)) return wait(editor, { from: editor.data.shown });
  keep(editor, { move: name });
  event.preventDefault();
  event.stopImmediatePropagation();
}

// Keys of boxes that are not the editor's.
function ask(editor, { key, target }) {
  if (key === "Enter" && target.matches(NUMBER)) {
    follow(editor, byNumber(target), target);
    entered = target;
  } else if (key === "Enter" && target.matches(PICKER)) {
    follow(editor, byOption(optionOf(target)), target);
  }
}

// Streamlit reads a box that loses the focus.
function left({ target }) {
  if (shown?.root.isConnected && target !== entered && target.matches?.(NUMBER)) follow(shown, byNumber(target));
  entered = null;
}

function back() {
  if (shown?.root.isConnected) follow(shown, byAddress(location.href));
}

// The app is asked already. `isThere` tells by the name of a feature whether it is the one that was asked
// for; null, where none was. Keys are not for `box`, of the question, though it may have the focus still.
function follow(editor, isThere, box = null) {
  if (!isThere) return;
  if (!isReady(editor)) keep(editor, { isThere });
  else if (isThere(editor.data.shown)) return;
  else wait(editor, { from: editor.data.shown });
  editor.asking = box;
}

// A number that is none leads to a page that says so.
function byNumber({ value }) {
  const number = /^\d+$/.test(value) ? String(Number(value)) : "none";
  return value === "" ? null : (name) => name.endsWith(` ${number}`);
}

// What Enter takes: the option that is marked; in the moment before one is, the picker's own or the first.
function optionOf(picker) {
  const id = (name) => document.getElementById(picker.getAttribute(name));
  const options = [...(id("aria-controls")?.querySelectorAll(OPTION) ?? [])];
  return id("aria-activedescendant") ?? options.find((one) => one.textContent === picker.value) ?? options[0];
}

// Of the picker of dictionaries: an option begins with the dictionary's name.
function byOption(target) {
  const option = target?.closest?.(OPTION);
  const list = document.querySelector(PICKER)?.getAttribute("aria-controls");
  if (!option || option.closest("[role=listbox]")?.id !== list) return null;
  const text = `${option.textContent} · `;
  return (name) => text.startsWith(`${name.slice(0, name.lastIndexOf(" "))} · `);
}

function byLink(event, target) {
  const isElsewhere = event.ctrlKey || event.metaKey || event.shiftKey; // a tab of its own
  const link = isElsewhere ? null : target.closest?.("a[href]");
  return link ? byAddress(link.href) : null;
}

function byAddress(address) {
  const { pathname, searchParams } = new URL(address);
  const asked = [searchParams.get("dictionary"), searchParams.get("feature")];
  if (!pathname.endsWith("/feature") || asked.includes(null)) return null;
  return (name) => name === asked.join(" ");
}
