// What a person says of a feature: verdict, label, note, tags.
//
// data: { feature, key, seen, content: {verdict, label, note, tags}, verdicts: [[value, mark]], saved,
// conflicts: [{revision, said, current, other}], undo, problem, author, done: [[uid, revision]] }
//
// Whatever is typed is kept in this browser until the app says that it is saved: a crash of the app,
// a full disk or a reload loses nothing. Texts of others reach the page through textContent alone.

const DRAFT = "feature-browser draft ";
const AUTHOR = "feature-browser author";
const MODIFIERS = new Set(["Shift", "Control", "Alt", "AltGraph", "Meta", "CapsLock"]);
const editors = new WeakMap();
let shown = null; // the editor that keys of the page go to
let isListening = false;

export default function ({ data, parentElement, setTriggerValue }) {
  let editor = editors.get(parentElement);
  if (!editor) {
    editor = build(parentElement);
    editors.set(parentElement, editor);
  }
  const isOther = editor.data?.key !== data.key;
  editor.data = data;
  editor.send = setTriggerValue;
  forget(data.done);
  const draft = load(data);
  const [, own] = data.done.find(([one]) => one === editor.sent) ?? [];
  if (draft && own && !isOther) draft.seen = own; // typed on while the app was saving
  // A run of the page for another reason must not take away what is being typed.
  if (isOther || !draft) fill(editor, draft ?? data.content);
  if (isOther) editor.root.getRootNode().activeElement?.blur(); // 1 2 3 judge the next one
  editor.draft = draft;
  arrive(editor);
  paint(editor);
  if (isOther) replay(editor);
  else editor.early = [];
  shown = editor;
  if (!isListening) window.addEventListener("keydown", press, true);
  isListening = true;
  return () => { if (shown === editor) shown = null; };
}

function button(parent, className, text, title, onClick) {
  const made = make("button", className, text);
  made.type = "button";
  made.title = title;
  made.addEventListener("click", onClick);
  parent.append(made);
  return made;
}

function field(parent, tag, name, label) {
  const line = make("label", name);
  line.append(make("span", "", label));
  const made = make(tag);
  made.name = name;
  made.autocomplete = "off";
  line.append(made);
  parent.append(line);
  return made;
}

function build(parent) {
  const editor = { root: make("form", "editor"), parent, early: [] };
  const { root } = editor;
  root.setAttribute("aria-label", "Annotation");
  root.addEventListener("submit", (event) => event.preventDefault());
  editor.verdicts = make("div", "verdicts");
  editor.verdicts.setAttribute("role", "group");
  editor.verdicts.setAttribute("aria-label", "Verdict");
  root.append(editor.verdicts);
  editor.label = field(root, "input", "label", "Label");
  editor.label.placeholder = "What makes it active?";
  editor.note = field(root, "textarea", "note", "Note");
  editor.note.rows = 1;
  const pair = make("div", "pair");
  editor.tags = field(pair, "input", "tags", "Tags");
  editor.tags.placeholder = "syntax; python";
  editor.author = field(pair, "input", "author", "You");
  editor.author.placeholder = "your name";
  editor.author.value = recall(AUTHOR) ?? "";
  root.append(pair);
  const bar = make("div", "bar");
  editor.next = button(bar, "primary", "Save and next", "Enter", () => save(editor, true));
  editor.save = button(bar, "", "Save", "Shift+Enter", () => save(editor, false));
  editor.undo = button(bar, "", "Undo", "Back to what was saved before", () => undo(editor));
  editor.discard = button(bar, "", "Discard", "Drop what is not saved", () => discard(editor));
  editor.state = make("span", "state");
  editor.state.setAttribute("role", "status");
  bar.append(editor.state);
  editor.problem = make("div", "problem");
  editor.problem.setAttribute("role", "alert");
  editor.conflicts = make("div", "conflicts");
  root.append(bar, editor.problem, editor.conflicts);
  root.addEventListener("input", () => typed(editor));
  root.addEventListener("keydown", (event) => holdBack(editor, event) || submit(editor, event));
  parent.append(root);
  return editor;
}

function fill(editor, content) {
  editor.verdict = content.verdict;
  editor.label.value = content.label;
  editor.note.value = content.note;
  editor.tags.value = content.tags;
}

function content(editor) {
  return {
    verdict: editor.verdict,
    label: editor.label.value,
    note: editor.note.value,
    tags: editor.tags.value,
  };
}

function isChanged(editor) {
  const { data } = editor;
  const now = content(editor);
  return now.verdict !== data.content.verdict || now.label !== data.content.label
    || now.note !== data.content.note || now.tags !== data.content.tags;
}

function paint(editor) {
  const { data } = editor;
  editor.root.dataset.feature = data.feature;
  editor.verdicts.replaceChildren();
  data.verdicts.forEach(([value, mark], i) => {
    const made = button(editor.verdicts, value, "", `Key ${i + 1}; again to take it back`, () => judge(editor, value));
    made.append(make("i", "", mark), make("span", "", value), make("kbd", "", String(i + 1)));
    made.setAttribute("aria-pressed", String(editor.verdict === value));
  });
  if (data.author) editor.author.value = data.author; // signed in: the app goes by its own knowledge
  editor.author.readOnly = Boolean(data.author);
  editor.undo.disabled = !data.undo;
  editor.problem.textContent = data.problem;
  editor.problem.hidden = !data.problem;
  editor.conflicts.replaceChildren(...data.conflicts.map((one) => conflict(editor, one)));
  grow(editor.note);
  state(editor);
}

// Buttons keep their places: what does not apply is only disabled.
function state(editor) {
  const changed = isChanged(editor);
  editor.save.disabled = !changed || editor.isSaving;
  editor.next.disabled = editor.isSaving;
  editor.discard.disabled = !changed;
  editor.root.classList.toggle("changed", changed);
  const isNameless = editor.root.classList.contains("nameless");
  const words = editor.isSaving ? "saving" : isNameless ? "your name first"
    : changed ? "not saved" : editor.data.saved;
  if (editor.state.textContent !== words) editor.state.textContent = words;
}

function grow(area) {
  area.style.height = "auto";
  area.style.height = `${Math.min(area.scrollHeight + 2, 220)}px`;
}

function judge(editor, verdict) {
  editor.verdict = editor.verdict === verdict ? null : verdict;
  typed(editor);
  for (const one of editor.verdicts.children) {
    one.setAttribute("aria-pressed", String(one.classList.contains(editor.verdict)));
  }
}

function typed(editor) {
  if (!editor.data.author) store(AUTHOR, editor.author.value);
  editor.root.classList.remove("nameless");
  const { data } = editor;
  const seen = editor.draft?.seen ?? data.seen;
  editor.draft = isChanged(editor) ? { ...content(editor), seen } : null;
  if (editor.draft) store(DRAFT + data.key, JSON.stringify(editor.draft));
  else drop(DRAFT + data.key);
  grow(editor.note);
  state(editor);
}

function save(editor, isNext) {
  const { data } = editor;
  if (editor.isSaving) return;
  if (!isChanged(editor)) {
    if (isNext) editor.send("next", { feature: data.feature });
    return;
  }
  if (!isNamed(editor)) return;
  // The same text keeps its uid, so sending it twice saves it once.
  const draft = editor.draft ?? { ...content(editor), seen: data.seen };
  draft.uid ??= uid();
  store(DRAFT + data.key, JSON.stringify(draft));
  editor.draft = draft;
  editor.sent = draft.uid;
  editor.isSaving = true;
  if (isNext) leave(editor);
  state(editor);
  editor.send("save", { ...draft, author: editor.author.value, key: data.key, feature: data.feature, next: isNext });
  // Were the app gone, its answer would never come.
  setTimeout(() => { arrive(editor); state(editor); }, 6000);
}

// Keys pressed between "save and next" and the next feature are meant for the next: they wait. The
// focus waits in a box, where nothing else on the page listens to them.
function leave(editor) {
  editor.isLeaving = true;
  for (const box of boxes(editor)) box.readOnly = true;
  editor.label.focus({ preventScroll: true });
}

function arrive(editor) {
  editor.isSaving = editor.isLeaving = false;
  for (const box of boxes(editor)) box.readOnly = false;
}

function boxes(editor) {
  return [editor.label, editor.note, editor.tags, editor.author];
}

function holdBack(editor, event) {
  if (!editor.isLeaving || MODIFIERS.has(event.key)) return false;
  const isCommand = (event.ctrlKey || event.altKey || event.metaKey) && !event.getModifierState("AltGraph");
  editor.early.push([isCommand ? "" : event.key, event.shiftKey]);
  if (!isCommand) event.preventDefault();
  return !isCommand;
}

function replay(editor) {
  const early = editor.early;
  editor.early = [];
  let box = null; // that they are typed into
  for (const [key, isShift] of early) {
    const verdict = editor.data.verdicts[Number(key) - 1]?.[0];
    if (editor.isLeaving) editor.early.push([key, isShift]); // an Enter among them led on
    else if (key === "Enter") save(editor, !isShift);
    else if (key === "Escape") box = null;
    else if (box && key.length === 1) box.value += key;
    else if (box && key === "Backspace") box.value = box.value.slice(0, -1);
    else if (box || !key) break; // not to be done again: what follows is dropped, and nothing saved
    else if (key.length > 1) continue;
    else if (verdict) judge(editor, verdict);
    else box = { a: editor.label, n: editor.note }[key] ?? null;
    if (box) typed(editor);
  }
  if (box && !editor.isLeaving) box.focus();
}

function undo(editor) {
  if (!isNamed(editor)) return;
  const { data } = editor;
  editor.send("undo", { uid: uid(), seen: data.seen, author: editor.author.value, key: data.key, feature: data.feature });
}

function discard(editor) {
  drop(DRAFT + editor.data.key);
  editor.draft = null;
  fill(editor, editor.data.content);
  paint(editor);
}

function settle(editor, revision, isTaken) {
  if (!isNamed(editor)) return;
  const { data } = editor;
  editor.send("settle", { uid: uid(), seen: data.seen, revision, taken: isTaken, author: editor.author.value, key: data.key, feature: data.feature });
}

function isNamed(editor) {
  const isGiven = editor.author.value.trim() !== "";
  editor.root.classList.toggle("nameless", !isGiven);
  state(editor);
  if (!isGiven) editor.author.focus();
  return isGiven;
}

function conflict(editor, one) {
  const made = make("section", "conflict");
  made.dataset.revision = one.revision;
  made.append(make("p", "", one.said));
  const both = make("dl");
  for (const [name, text] of [["in force", one.current], ["the other", one.other]]) {
    both.append(make("dt", "", name), make("dd", "", text));
  }
  const bar = make("div", "bar");
  button(bar, "", "Keep what is in force", "The other stays in the history", () => settle(editor, one.revision, false));
  button(bar, "", "Take the other", "What is in force stays in the history", () => settle(editor, one.revision, true));
  made.append(both, bar);
  return made;
}

function submit(editor, event) {
  if (event.key === "Escape" && event.target.matches?.("input, textarea")) {
    event.target.blur(); // so that 1 2 3 and the arrows work again
    return;
  }
  if (event.key !== "Enter" || event.isComposing || event.target.matches?.("button")) return;
  if (event.target.name === "note" && !event.ctrlKey && !event.metaKey) return;
  event.preventDefault();
  save(editor, !event.shiftKey);
}

// Keys of the page, where nothing is typed and no button or token has the focus.
function press(event) {
  const editor = shown;
  if (!editor?.root.isConnected || event.ctrlKey || event.altKey || event.metaKey) return;
  const target = event.composedPath()[0];
  if (target.closest?.("input, textarea, select, [contenteditable=true], [role=textbox], [role=combobox], [role=listbox]")) return;
  const verdict = editor.data.verdicts[Number(event.key) - 1]?.[0];
  if (verdict) judge(editor, verdict);
  else if (event.key === "a") editor.label.focus();
  else if (event.key === "n") editor.note.focus();
  else if (event.key === "Enter" && !target.closest?.("button, a, .token, [role=tab], summary")) save(editor, !event.shiftKey);
  else return;
  event.preventDefault();
  event.stopImmediatePropagation();
}

function load(data) {
  const text = recall(DRAFT + data.key);
  if (!text) return null;
  const draft = JSON.parse(text);
  const { verdict, label, note, tags } = data.content;
  const isSaved = draft.verdict === verdict && draft.label === label && draft.note === note && draft.tags === tags;
  if (isSaved) drop(DRAFT + data.key);
  return isSaved ? null : draft;
}

// Drafts that the app has saved.
function forget(done) {
  for (const key of names()) {
    const draft = JSON.parse(recall(key) ?? "{}");
    if (done.some(([one]) => one === draft.uid)) drop(key);
  }
}

function uid() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// A browser may forbid this, or have no room left; then a draft lives as long as the page.
const kept = new Map();
function names() {
  let stored = [];
  try { stored = Object.keys(localStorage); } catch { /* forbidden */ }
  return [...new Set([...stored, ...kept.keys()])].filter((key) => key.startsWith(DRAFT));
}
function recall(key) {
  try { return localStorage.getItem(key) ?? kept.get(key) ?? null; } catch { return kept.get(key) ?? null; }
}
function store(key, value) {
  drop(key); // or an older text would hide one that has no room
  try { localStorage.setItem(key, value); } catch { kept.set(key, value); }
}
function drop(key) {
  kept.delete(key);
  try { localStorage.removeItem(key); } catch { /* forbidden */ }
}
