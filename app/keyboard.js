// Keys of the page, and the button "?" that tells them.
// data: { keys: { key: selector of what it clicks or focuses }, told: HTML of the list, mayLabel }. In a selector
// `A >>> B` is a B in the shadow of a component in A, and `A || B` is B where there is no A.
// Nothing happens while the user types, holds Ctrl, Alt or Meta, or walks over tokens with arrows.
// What is typed after a key that leads to a box of another page is for that box.

const STOP = Symbol.for("feature-browser stop"); // of annotations/stop.js: until Esc no key counts
const KEYS = Symbol.for("feature-browser keys"); // of the window: they count
const LANDING = Symbol.for("feature-browser landing"); // of the window: on the way to a box of another page
const TEXT_BOXES = ":is([data-testid='stTextInput'], [data-testid='stNumberInput'], [data-testid='stTextArea']) :is(input, textarea)";
const ONE_OF = "[data-testid='stSelectbox'] [role=combobox]";
let keys = {};
const TYPED = "input:not([type=checkbox]), textarea, select, [contenteditable=true], [role=textbox]";
const WALKED = "canvas, .token, .histogram, [role=tab], [role=radio], [role=slider], [role=combobox], [role=listbox]"; // by arrows
let mayLabel = false; // or nothing waits for an editor
let isListening = false;
let send = null; // to the app

export default function ({ data, parentElement, setTriggerValue }) {
  ({ keys, mayLabel } = data);
  send = setTriggerValue;
  // Of the document: the editor of annotations, if there is one, listens on the window and comes first.
  if (!isListening) {
    document.addEventListener("keydown", press, true);
    document.addEventListener("click", click, true);
    for (const name of ["pointerover", "pointerdown", "focusin"]) document.addEventListener(name, setPath, true);
    window.addEventListener("popstate", () => setOut(mayLabel));
    watchConnection(() => send("back", true));
  }
  isListening = window[KEYS] = true;
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
  list.style.maxHeight = `min(80vh, 100vh - ${bottom + 18}px)`;
}

function press(event) {
  if (window[LANDING]) return collect(window[LANDING], event);
  const target = event.composedPath()[0];
  leaveNumber(event, target);
  leaveBox(event, target);
  const isWay = event.key === "Enter" && target.closest?.(`${WAYS}, ${keys.g}`);
  if (target.closest?.(TYPED)) return isWay && setOut(mayLabel);
  if (window[STOP]) return;
  const [first, other] = keys[event.key]?.split(" || ") ?? [];
  const isWalk = event.key.startsWith("Arrow") && target.closest?.(WALKED);
  if (waits(event, isWalk || (first && find(first)))) return take(event);
  if (isWay) setOut(mayLabel);
  if (!first || isWalk || event.ctrlKey || event.altKey || event.metaKey) return;
  take(event);
  if (go(find(first)) || !other) return;
  if (go(find(other))) land(first); // on the page that the other leads to
}

function take(event) {
  event.preventDefault();
  event.stopImmediatePropagation(); // Streamlit's own "r" would run the script a second time
}

function click(event) {
  const target = event.composedPath()[0];
  if (isForAnotherTab(event)) return event.stopImmediatePropagation();
  if (target.closest?.("[role=option]")) leaveChosen();
  setOut(mayLabel && target.closest?.(WAYS));
}

// Keys are keys again after Esc, and once something was chosen from a list: in a box they filter it.
function leaveBox({ key }, target) {
  if (key === "Escape" && keys.g && target.matches?.(keys.g)) {
    fill(target, { typed: "" }); // a number that is left in it is asked for
    setTimeout(() => target.blur());
  } else if (key === "Escape" && (target.matches?.(TEXT_BOXES) || isShut(target))) target.blur();
  if (key === "Enter" && target.matches?.(ONE_OF)) leaveChosen();
}

// The list shuts a little later, and may give the box the focus once more.
function leaveChosen() {
  for (const ms of [0, 50, 150, 400]) setTimeout(() => {
    const box = document.activeElement;
    if (box.matches(ONE_OF) && isShut(box)) box.blur();
  }, ms);
}

function isShut(box) {
  return box.matches?.("[role=combobox]") && box.ariaExpanded !== "true";
}

// Once a number was asked for, keys are for its feature again; Streamlit reads the box first.
function leaveNumber(event, target) {
  if (event.key === "Enter" && keys.g && target.matches?.(keys.g)) setTimeout(() => target.blur());
}

function find(selector) {
  const [outer, inner] = selector.split(" >>> ");
  if (!inner) return document.querySelector(outer);
  const hosts = [...document.querySelectorAll(`${outer} *`)].filter((one) => one.shadowRoot);
  return hosts.map((one) => one.shadowRoot.querySelector(inner)).find(Boolean);
}

function go(found) {
  if (!found) return false;
  if (found.matches("input, textarea, .token")) found.focus();
  else if (!found.disabled) found.click();
  found.select?.(); // what is typed takes the place of what was searched before
  return true;
}

function land(selector) {
  const landing = (window[LANDING] = { typed: "", isEntered: false });
  const leave = () => window[LANDING] === landing && (window[LANDING] = null);
  document.addEventListener("pointerdown", leave, { capture: true, once: true });
  const until = Date.now() + LONGEST_WAY;
  const wait = setInterval(() => {
    const box = find(selector);
    if (!box && window[LANDING] === landing && Date.now() < until) return;
    clearInterval(wait);
    if (window[LANDING] !== landing) return;
    window[LANDING] = null;
    if (go(box) && landing.typed) fill(box, landing);
  }, 20);
}

function collect(landing, event) {
  if (isCommand(event)) return;
  take(event);
  if (event.key === "Escape") window[LANDING] = null;
  else if (landing.isEntered) return;
  else if (event.key === "Enter") landing.isEntered = true;
  else if (event.key === "Backspace") landing.typed = landing.typed.slice(0, -1);
  else if (event.key.length === 1) landing.typed += event.key;
}

// As if typed now: React learns of a value by the event alone.
function fill(box, { typed, isEntered }) {
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(box, typed);
  box.dispatchEvent(new Event("input", { bubbles: true }));
  if (isEntered) setTimeout(() => box.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true })));
}
