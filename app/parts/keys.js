// What is pressed together with Ctrl, Alt or Meta.

function isCommand(event) {
  return (event.ctrlKey || event.altKey || event.metaKey) && !event.getModifierState("AltGraph");
}

function isSave(event) {
  return event.key === "Enter" && (event.ctrlKey || event.metaKey);
}

// In a note, as in the cells of a spreadsheet.
function isNewLine(event) {
  return event.key === "Enter" && event.altKey && isCommand(event) && !isSave(event);
}

// What a key amounts to that waits: nothing, where it is a command that only the browser can do.
function keyOf(event) {
  if (isNewLine(event)) return "\n";
  return !isCommand(event) || isSave(event) ? event.key : "";
}

