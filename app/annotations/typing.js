// Keys: which apply at once, which wait, and which are dropped.
//
// A key applies only to the feature that heading and editor both show, with nothing on its way to the
// app. Any other key waits, in order: one that leads to another feature (a move, Enter) is taken once what
// is before it is done, and those after it are for that feature.

let pointed = null; // the control clicked last by mouse: it keeps the focus, but Enter is not meant for it
const MODIFIERS = new Set(["Shift", "Control", "Alt", "AltGraph", "Meta", "CapsLock"]);
const BOXES = "input:not([type=checkbox]), textarea, select, [contenteditable=true], [role=textbox], [role=combobox], [role=listbox]";
const CONTROLS = "button, a, .token, [role=tab], summary";
const WALKED = "canvas, .token, .histogram, [role=tab], [role=radio], [role=slider]"; // by arrows
const AWAY = ["g", "/", "c", "?"]; // from the editor: of keyboard.js
const AHEAD = Symbol.for("feature-browser ahead"); // of ahead.js: what was typed on the way here
const KEYS = Symbol.for("feature-browser keys"); // of keyboard.js: it has come
const LANDING = Symbol.for("feature-browser landing"); // of keyboard.js: keys are for a box of the next page
const DIALOG = "[data-testid=stDialog]"; // Streamlit's own, over the whole page

function point(event) {
  pointed = event.composedPath()[0].closest?.(CONTROLS) ?? null;
}

// All keys of the page come here first.
function press(event) {
  const editor = shown;
  if (event.key === "Tab") pointed = null;
  if (window[LANDING]) return;
  if (!editor?.root.isConnected) return event.key === "Escape" && goOn();
  if (MODIFIERS.has(event.key)) return;
  if (document.querySelector(DIALOG)) return interrupt(editor);
  const isInside = event.composedPath().includes(editor.root);
  const isElsewhere = !isInside && event.composedPath()[0].closest?.(BOXES);
  if (isElsewhere && !(editor.waiting && isElsewhere === editor.asking)) return ask(editor, event);
  const take = stopped() ? dismiss : isReady(editor) ? apply : hold;
  if (!take(editor, event, isInside)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}

function apply(editor, event, isInside) {
  editor.early = []; // meant for a feature that was never drawn
  const target = event.composedPath()[0];
  if (isInside && target.matches(BOXES)) return submit(editor, event);
  if (!isSave(event) && (isCommand(event) || !isOurs(editor, event))) return false;
  if (AWAY.includes(event.key)) return !window[KEYS] && dropAway(editor, event.key);
  const verdict = editor.data.verdicts[Number(event.key) - 1]?.[0];
  if (verdict) judge(editor, verdict);
  else if (event.key === "Enter") save(editor, !event.shiftKey);
  else if (MOVES[event.key]) move(editor, MOVES[event.key]);
  else boxOf(editor, event.key).focus();
  return true;
}

// What is typed after it is not the editor's.
function dropAway(editor, key) {
  halt(editor, { words: `"${key}" came before the page was ready`, isDropped: true });
  return true;
}

function submit(editor, event) {
  const target = event.composedPath()[0];
  if (event.key === "Escape") target.blur(); // so that 1 2 3 and the arrows work again
  if (event.key !== "Enter" || event.isComposing) return event.key === "Escape";
  if (!isNewLine(event)) save(editor, !event.shiftKey);
  else if (target === editor.note) document.execCommand("insertText", false, "\n"); // which Ctrl+Z takes back
  return true;
}

// What waits is kept in the focus of a box, where nothing else on the page listens.
function hold(editor, event, isInside) {
  if (!isInside && !isSave(event) && (isCommand(event) || !isOurs(editor, event))) return false;
  const key = keyOf(event);
  keep(editor, { key, isShift: event.shiftKey, isRepeat: event.repeat });
  if (!isInside) editor.label.focus({ preventScroll: true });
  return key !== "";
}

// What was typed on the way from another page.
function takeOver(editor) {
  const ahead = window[AHEAD];
  window[AHEAD] = null;
  if (ahead?.isLate) halt(editor, { words: "the feature came late", isDropped: true });
  else if (ahead?.typed.length) editor.early = ahead.typed.map((one) => ({ ...one, of: editor.data.shown }));
}

function keep(editor, one) {
  const of = editor.waiting ? null : headed(); // the feature it is meant for: null, the next
  editor.early.push({ key: "", ...one, of });
}

function isOurs(editor, event) {
  const { key } = event;
  const target = event.composedPath()[0];
  const control = target.closest?.(CONTROLS) ?? null;
  if (key === "Enter") return control === null || control === pointed;
  if (key.startsWith("Arrow") && target.closest?.(WALKED)) return false;
  return Boolean(MOVES[key] || boxOf(editor, key) || editor.data.verdicts[Number(key) - 1]) || AWAY.includes(key);
}

function boxOf(editor, key) {
  return { a: editor.label, n: editor.note }[key] ?? null;
}

// In the order of Tab.
function typable({ label, note, tags, author, data }) {
  return [label, note, tags, ...(data.author ? [] : [author])];
}

// As the browser would have done, were nothing on its way; what it alone can do stops.
function replay(editor) {
  const early = editor.early;
  editor.early = [];
  const boxes = typable(editor);
  let box = null; // that they are typed into
  for (const [i, one] of early.entries()) {
    const { key, box: clicked, isShift, of } = one;
    if (one.isThere?.(editor.data.shown)) {
      box = null;
      address(early.slice(i + 1), editor.data.shown);
      continue;
    }
    if (one.isThere) return depart(editor, early.slice(i + 1), () => follow(editor, one.isThere));
    if (of !== editor.data.shown) return halt(editor, { words: "another feature came", isDropped: true });
    if (one.isButton) box = null;
    const verdict = editor.data.verdicts[Number(key) - 1]?.[0];
    const isLast = i === early.length - 1;
    if (isAnothers(editor) && changes(editor, one, box)) return halt(editor, { words: `${editor.data.by}'s words came first`, isDropped: true });
    if (clicked) box = clicked;
    else if (key === "Enter" && isShift && !isChanged(editor)) continue; // nothing to save
    else if (key === "Enter") return depart(editor, early.slice(i + 1), () => save(editor, !isShift));
    else if (one.move || (!box && MOVES[key])) {
      if (one.isRepeat) continue; // of a key held down, as much as there is time for
      return depart(editor, early.slice(i + 1), () => move(editor, one.move ?? MOVES[key]));
    } else if (key === "Escape") box = null;
    else if (box && key.length === 1) box.value += key;
    else if (box && key === "Backspace") box.value = box.value.slice(0, -1);
    else if (box && key === "Tab" && boxes[boxes.indexOf(box) + (isShift ? -1 : 1)]) {
      box = boxes[boxes.indexOf(box) + (isShift ? -1 : 1)];
    } else if (box && key === "End") continue; // it is there
    else if (box || !key) return halt(editor, { words: "not saved", isDropped: true });
    else if (key === "/") return search(early.slice(i + 1));
    else if (AWAY.includes(key)) return isLast ? pressAgain(key) : halt(editor, { words: `"${key}" leads elsewhere`, isDropped: true });
    else if (key.length > 1) continue;
    else if (verdict) judge(editor, verdict);
    else box = boxOf(editor, key);
    if (box) typed(editor);
  }
  if (box) box.focus();
}

// Whether a key that waited would change words: another's were not seen when it was typed.
function changes({ data, author }, { key }, box) {
  if (!box) return Boolean(data.verdicts[Number(key) - 1]);
  return box !== author && (key.length === 1 || key === "Backspace");
}

// What waits after it is for the feature that it leads to.
function depart(editor, rest, leave) {
  editor.early = rest.map((one) => ({ ...one, of: null }));
  leave();
  if (!editor.waiting) editor.early = [];
  else editor.label.focus({ preventScroll: true }); // what is typed now waits there
}

// What waits after the key of the search is for its box.
function search(rest) {
  pressAgain("/");
  for (const { key } of rest) if (key && window[LANDING]) pressAgain(key);
}

function pressAgain(key) {
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
}
