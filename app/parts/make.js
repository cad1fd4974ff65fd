// Put before the script of a component that makes elements. Whatever a text holds, it stays text.

function make(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
