// A stop: what waited is dropped, and no key counts until Esc or a click.
//
// Whatever is no plain success stops, so that fingers that ran ahead never write into what was not seen.

const STOP = Symbol.for("feature-browser stop"); // of the window: an app that starts again replaces the editor

function stopped() {
  return window[STOP] ?? null;
}

function halt(editor, why) {
  window[STOP] = { ...why, isDropped: why.isDropped || editor.early.length > 0 };
  editor.early = [];
  if (!document.activeElement?.matches(BOXES)) editor.notice.focus({ preventScroll: true });
  state(editor);
}

// What is typed while a dialog lies over the page is lost: what follows it must not count as keys.
function interrupt(editor) {
  if (isChanged(editor) && !stopped()) halt(editor, { words: "not saved", isDropped: true });
}

// A save may be tried again by Enter; nothing else may, since Enter saves.
function refuse(editor, { isSave }) {
  halt(editor, { words: isSave ? "not saved" : "not done", canRetry: isSave });
}

function goOn() {
  window[STOP] = null;
  if (shown) state(shown);
}

function haltWords({ words, canRetry, isConflict, isNameless, isDropped }) {
  const dropped = isDropped ? "; what was typed after it was dropped" : "";
  if (isNameless) return `${words}: Esc leads to the box "You"${dropped}`;
  if (isDropped) return `${words}${dropped}. Esc to go on`;
  if (canRetry) return `${words}: Enter tries again`;
  return isConflict ? `${words}: decide below, or Esc to go on` : `${words}. Esc to go on`;
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
