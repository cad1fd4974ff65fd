// What is typed on the way from another page to a feature: the feature's editor takes it when it comes.

const AHEAD = Symbol.for("feature-browser ahead"); // of the window: what is typed since the last way
const EDITOR = Symbol.for("feature-browser editor"); // of the window: tells whether there is an editor
const WAYS = "a, button, tr, canvas";
const FIRST = ["1", "2", "3", "4", "a", "n", "r", "ArrowLeft", "ArrowRight"]; // keys of the editor
const MODIFIERS = ["Shift", "Control", "Alt", "AltGraph", "Meta", "CapsLock"];
const LONGEST_WAY = 5000; // ms

// A click, a number that is asked for, or the browser's Back may lead to a feature.
function setOut(isWay) {
  window[AHEAD] = isWay ? { typed: [], until: Date.now() + LONGEST_WAY, isLate: false } : null;
}

// Whether a key waits for the editor: one that the page has no use for, and then all that follow it.
function waits(event, hasUse) {
  const ahead = window[AHEAD];
  if (!ahead || window[EDITOR]?.() || MODIFIERS.includes(event.key)) return false;
  const { key } = event;
  const isFirst = ahead.typed.length === 0;
  if (isFirst && (hasUse || isCommand(event) || !FIRST.includes(key))) return false;
  if (Date.now() > ahead.until) {
    ahead.isLate = !isFirst; // the editor says that all of it was dropped
    return false;
  }
  if (key === "Escape") setOut(false);
  else ahead.typed.push({ key: keyOf(event), isShift: event.shiftKey, isRepeat: event.repeat });
  return true;
}
