// Keys: which apply at once, which wait, and which are dropped.
//
// A key applies only to the feature that heading and editor both show, with nothing on its way to the
// app. Any other key waits. An answer that is no plain success drops what waited, and what is typed on
// after it until Esc or a click: fingers that ran ahead never write into what was not seen.

const MODIFIERS = new Set(["Shift", "Control", "Alt", "AltGraph", "Meta", "CapsLock"]);
const BOXES = "input, textarea, select, [contenteditable=true], [role=textbox], [role=combobox], [role=listbox]";
const CONTROLS = "button, a, .token, [role=tab], summary";
const DIALOG = "[data-testid=stDialog]"; // Streamlit's own, over the whole page
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

function isHalted(editor) {
  return editor.root.getRootNode().activeElement === editor.notice;
}

function isConnected() {
  const state = document.querySelector("[data-test-connection-state]")?.dataset.testConnectionState;
  return state === undefined || state === "CONNECTED";
}

// Everything that is sent has a uid, by which the app answers.
function send(editor, name, value) {
  const sent = { uid: uid(), ...value, author: editor.author.value, key: editor.data.key, feature: editor.data.feature };
  if (!isConnected()) return fail(editor, GONE);
  editor.waiting = sent.uid;
  editor.halted = null;
  state(editor);
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
  halt(editor, { words: "not saved", canRetry: true });
}

function halt(editor, halted) {
  editor.halted = { ...halted, isDropped: editor.early.length > 0 };
  editor.early = [];
  if (!document.activeElement?.matches(BOXES)) editor.notice.focus({ preventScroll: true });
  state(editor);
}

function haltWords({ words, canRetry, isDropped }) {
  if (isDropped) return `${words}; what was typed after it was dropped. Esc to go on`;
  return canRetry ? `${words}: Enter tries again` : `${words}: decide below, or Esc to go on`;
}

// All keys of the page come here first.
function press(event) {
  const editor = shown;
  if (!editor?.root.isConnected || MODIFIERS.has(event.key) || document.querySelector(DIALOG)) return;
  const isInside = event.composedPath().includes(editor.root);
  if (!isInside && event.composedPath()[0].closest?.(BOXES)) return;
  const take = isHalted(editor) ? dismiss : isReady(editor) ? apply : hold;
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
  editor.early.push({ key: isCommand(event) ? "" : event.key, isShift: event.shiftKey, of });
  if (!isInside) editor.label.focus({ preventScroll: true });
  return !isCommand(event);
}

function dismiss(editor, event) {
  const { halted } = editor;
  if (isCommand(event)) return false;
  if (event.key === "Escape") {
    editor.notice.blur();
    editor.halted = null;
  } else if (event.key === "Enter" && halted.canRetry && !halted.isDropped) {
    save(editor, !event.shiftKey);
  } else {
    halted.isDropped = true;
  }
  state(editor);
  return true;
}

function isCommand(event) {
  return (event.ctrlKey || event.altKey || event.metaKey) && !event.getModifierState("AltGraph");
}

function isOurs(editor, event) {
  if (event.key === "Enter") return !event.composedPath()[0].closest?.(CONTROLS);
  return event.key === "a" || event.key === "n" || Boolean(editor.data.verdicts[Number(event.key) - 1]);
}

function boxOf(editor, key) {
  return { a: editor.label, n: editor.note }[key] ?? null;
}

function replay(editor) {
  const early = editor.early;
  editor.early = [];
  let box = null; // that they are typed into
  for (const [i, { key, isShift, of }] of early.entries()) {
    const verdict = editor.data.verdicts[Number(key) - 1]?.[0];
    if (of !== editor.data.shown) break; // of a feature that is not shown any more
    if (key === "Enter") {
      save(editor, !isShift);
      if (editor.waiting) editor.early = early.slice(i + 1).map((one) => ({ ...one, of: null }));
      return;
    }
    if (key === "Escape") box = null;
    else if (box && key.length === 1) box.value += key;
    else if (box && key === "Backspace") box.value = box.value.slice(0, -1);
    else if (box || !key) break; // not to be done again: what follows is dropped, and nothing saved
    else if (key.length > 1) continue;
    else if (verdict) judge(editor, verdict);
    else box = boxOf(editor, key);
    if (box) typed(editor);
  }
  if (box) box.focus();
}
