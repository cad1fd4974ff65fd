// Keys: which apply at once, which wait, and which are dropped.
//
// A key applies only to the feature that heading and editor both show, with nothing on its way to the
// app. Any other key waits. Whatever is no plain success stops: what waited is dropped, and what is typed
// on after it until Esc or a click. So fingers that ran ahead never write into what was not seen.

const MODIFIERS = new Set(["Shift", "Control", "Alt", "AltGraph", "Meta", "CapsLock"]);
const BOXES = "input, textarea, select, [contenteditable=true], [role=textbox], [role=combobox], [role=listbox]";
const CONTROLS = "button, a, .token, [role=tab], summary";
const DIALOG = "[data-testid=stDialog]"; // Streamlit's own, over the whole page
const STOP = Symbol.for("feature-browser stop"); // of the window: an app that starts again replaces the editor
const LONGEST_WAIT = 15_000; // ms
const SILENT = "The app has not answered for 15 s. What you typed is kept here.";
const GONE = "The app does not answer. What you typed is kept here: start it again, then save.";

function isReady(editor) {
  return !editor.waiting && isBelowItsHeading(editor);
}

// The app draws the heading first: for a moment the editor below may be another feature's.
function isBelowItsHeading(editor) {
  const heading = headed();
  return heading === undefined || heading === editor.data.shown;
}

function headed() {
  return document.querySelector("[data-shown]")?.dataset.shown;
}

function stopped() {
  return window[STOP] ?? null;
}

function goOn() {
  window[STOP] = null;
  if (shown) state(shown);
}

function isConnected() {
  const state = document.querySelector("[data-test-connection-state]")?.dataset.testConnectionState;
  return state === undefined || state === "CONNECTED";
}

// Everything that is sent has a uid, by which the app answers.
function send(editor, name, value) {
  editor.isSave = name === "save";
  const sent = { uid: uid(), ...value, author: editor.author.value, key: editor.data.key, feature: editor.data.feature };
  if (!isConnected()) return fail(editor, GONE);
  editor.waiting = sent.uid;
  goOn();
  editor.send(name, sent);
  const until = Date.now() + LONGEST_WAIT;
  const watch = setInterval(() => {
    const why = !isConnected() ? GONE : Date.now() > until ? SILENT : "";
    if (editor.waiting === sent.uid && why) fail(editor, why);
    if (editor.waiting !== sent.uid) clearInterval(watch);
  }, 200);
}

function fail(editor, words) {
  editor.waiting = null;
  editor.problem.textContent = words;
  editor.problem.hidden = false;
  refuse(editor);
}

// A save may be tried again by Enter; an undo may not, since Enter saves.
function refuse(editor) {
  halt(editor, { words: editor.isSave ? "not saved" : "not done", canRetry: editor.isSave });
}

function halt(editor, why) {
  window[STOP] = { ...why, isDropped: why.isDropped || editor.early.length > 0 };
  editor.early = [];
  if (!document.activeElement?.matches(BOXES)) editor.notice.focus({ preventScroll: true });
  state(editor);
}

function haltWords({ words, canRetry, isNameless, isDropped }) {
  if (isNameless) return `${words}: Esc leads to the box "You"`;
  if (isDropped) return `${words}; what was typed after it was dropped. Esc to go on`;
  return canRetry ? `${words}: Enter tries again` : `${words}: decide below, or Esc to go on`;
}

// All keys of the page come here first.
function press(event) {
  const editor = shown;
  if (!editor?.root.isConnected || MODIFIERS.has(event.key) || document.querySelector(DIALOG)) return;
  const isInside = event.composedPath().includes(editor.root);
  if (!isInside && event.composedPath()[0].closest?.(BOXES)) return;
  const take = stopped() ? dismiss : isReady(editor) ? apply : hold;
  if (!take(editor, event, isInside)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}

function apply(editor, event, isInside) {
  editor.early = []; // meant for a feature that was never drawn
  const target = event.composedPath()[0];
  if (isInside && target.matches(BOXES)) return submit(editor, event);
  if (isCommand(event) || !isOurs(editor, event)) return false;
  const verdict = editor.data.verdicts[Number(event.key) - 1]?.[0];
  if (verdict) judge(editor, verdict);
  else if (event.key === "Enter") save(editor, !event.shiftKey);
  else boxOf(editor, event.key).focus();
  return true;
}

function submit(editor, event) {
  const target = event.composedPath()[0];
  if (event.key === "Escape") target.blur(); // so that 1 2 3 and the arrows work again
  if (event.key !== "Enter" || event.isComposing) return event.key === "Escape";
  if (target.name === "note" && !event.ctrlKey && !event.metaKey) return false;
  save(editor, !event.shiftKey);
  return true;
}

// What waits is kept in the focus of a box, where nothing else on the page listens.
function hold(editor, event, isInside) {
  if (!isInside && (isCommand(event) || !isOurs(editor, event))) return false;
  const of = editor.waiting ? null : headed(); // the feature it is meant for: null, the next
  const isKnown = !isCommand(event) || isSave(event);
  editor.early.push({ key: isKnown ? event.key : "", isShift: event.shiftKey, isCommand: isCommand(event), of });
  if (!isInside) editor.label.focus({ preventScroll: true });
  return isKnown;
}

function dismiss(editor, event) {
  const stop = stopped();
  if (isCommand(event) && !isSave(event)) return false;
  if (event.key === "Escape") {
    editor.root.getRootNode().activeElement?.blur();
    goOn();
    if (stop.isNameless) editor.author.focus();
  } else if (event.key === "Enter" && stop.canRetry && !stop.isDropped) {
    save(editor, !event.shiftKey);
  } else {
    stop.isDropped = true;
    state(editor);
  }
  return true;
}

function isCommand(event) {
  return (event.ctrlKey || event.altKey || event.metaKey) && !event.getModifierState("AltGraph");
}

function isSave(event) {
  return event.key === "Enter" && (event.ctrlKey || event.metaKey);
}

function isOurs(editor, event) {
  if (event.key === "Enter") return !event.composedPath()[0].closest?.(CONTROLS);
  return event.key === "a" || event.key === "n" || Boolean(editor.data.verdicts[Number(event.key) - 1]);
}

function boxOf(editor, key) {
  return { a: editor.label, n: editor.note }[key] ?? null;
}

// As the browser would have done, were nothing on its way; what it alone can do stops.
function replay(editor) {
  const early = editor.early;
  editor.early = [];
  const boxes = [editor.label, editor.note, editor.tags];
  let box = null; // that they are typed into
  for (const [i, { key, isShift, isCommand, of }] of early.entries()) {
    if (of !== editor.data.shown) return halt(editor, { words: "another feature came", isDropped: true });
    const verdict = editor.data.verdicts[Number(key) - 1]?.[0];
    if (key === "Enter" && box === editor.note && !isCommand) box.value += "\n";
    else if (key === "Enter") {
      editor.early = early.slice(i + 1).map((one) => ({ ...one, of: null }));
      save(editor, !isShift);
      if (!editor.waiting) editor.early = [];
      return;
    } else if (key === "Escape") box = null;
    else if (box && key.length === 1) box.value += key;
    else if (box && key === "Backspace") box.value = box.value.slice(0, -1);
    else if (box && key === "Tab" && boxes[boxes.indexOf(box) + (isShift ? -1 : 1)]) {
      box = boxes[boxes.indexOf(box) + (isShift ? -1 : 1)];
    } else if (box || !key) return halt(editor, { words: "not saved", isDropped: true });
    else if (key.length > 1) continue;
    else if (verdict) judge(editor, verdict);
    else box = boxOf(editor, key);
    if (box) typed(editor);
  }
  if (box) box.focus();
}
