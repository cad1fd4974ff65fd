// What a person says of a feature: verdict, label, note, tags. Parts of it are drafts.js, waiting.js (what is
// on its way to the app), leading.js (ways to other features), typing.js (keys) and stop.js (what ends typing ahead).
//
// data: { feature, key, shown, seen, content: {verdict, label, note, tags}, verdicts: [[value, mark]], saved,
// by, conflicts: [{revision, said, current, other}], problem, author, answered, done: [[uid, revision]],
// stays: number }
//
// Whatever is typed is kept in this browser until the app says that it is saved: a crash of the app,
// a full disk or a reload loses nothing. Texts of others reach the page through textContent alone.

const EDITOR = Symbol.for("feature-browser editor"); // of the window: keys typed while there is none wait in ahead.js
const MOST_UNSAVED = 8; // that there is room for
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
  // A run of the page for another reason must not take away what is being typed.
  if (isOther || !draft) fill(editor, draft ?? data.content);
  editor.draft = draft;
  shown = editor;
  if (isOther) takeOver(editor);
  const arrived = arrival(editor);
  if (arrived) answer(editor);
  if (isOther || arrived) leave(editor);
  paint(editor);
  if (arrived?.uid && data.problem) refuse(editor, arrived);
  else if (arrived && !arrived.uid && !isOther) halt(editor, { words: "no other feature came" });
  else if (isClash(editor, arrived, isOther)) halt(editor, { words: "conflict", isConflict: true });
  else if (arrived?.isNext && !isOther) halt(editor, { words: `${data.saved} (the last of the list)` });
  else if (isReady(editor)) replay(editor);
  if (!isListening) {
    window.addEventListener("keydown", press, true);
    window.addEventListener("pointerdown", point, true);
    window.addEventListener("click", click, true); // not earlier: words that go move what was pressed
    window.addEventListener("focusout", left, true);
    window.addEventListener("popstate", back);
    window[EDITOR] = () => shown?.root.isConnected;
    isListening = true;
  }
  return () => { if (shown === editor) shown = null; };
}

function answer(editor) {
  editor.waiting = null;
  address(editor.early, editor.data.shown);
}

// What waits up to the next feature that was asked for is for this one.
function address(early, name) {
  for (const one of early) {
    if (one.isThere) return;
    one.of ??= name;
  }
}

function leave(editor) {
  editor.root.getRootNode().activeElement?.blur(); // 1 2 3 judge the next one
}

// What was just sent came too late, or the feature that it led to has something to decide.
function isClash({ data, early }, arrived, isOther) {
  const isLate = arrived?.uid && data.done.some(([uid, revision]) => uid === arrived.uid && !revision);
  return isLate || ((arrived?.uid || early.length > 0) && isOther && data.conflicts.length > 0);
}

// What is clicked while something is on its way waits as its key does, `waiting`, if it has one.
function button(editor, parent, className, text, title, onClick, waiting) {
  const made = make("button", className, text);
  made.type = "button";
  made.title = title;
  made.addEventListener("click", () => {
    if (isReady(editor)) onClick();
    else if (waiting) keep(editor, { ...waiting, isButton: true });
  });
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
  const editor = { root: make("form", "editor"), parent, early: [], waiting: null };
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
  editor.note.placeholder = "Alt+Enter: a new line";
  const pair = make("div", "pair");
  editor.tags = field(pair, "input", "tags", "Tags");
  editor.tags.placeholder = "syntax; python";
  editor.author = field(pair, "input", "author", "You");
  editor.author.placeholder = "your name";
  editor.author.value = recallAuthor();
  root.append(pair);
  const bar = make("div", "bar");
  editor.next = button(editor, bar, "primary", "Save and next", "Enter", () => save(editor, true), { key: "Enter" });
  editor.save = button(editor, bar, "", "Save", "Shift+Enter", () => save(editor, false), { key: "Enter", isShift: true });
  editor.undo = button(editor, bar, "", "Undo", "Back to what was saved before", () => undo(editor));
  editor.discard = button(editor, bar, "", "Discard", "Drop what is not saved", () => discard(editor));
  editor.state = make("span", "state");
  editor.state.setAttribute("role", "status");
  bar.append(editor.state);
  editor.notice = make("div", "notice");
  editor.notice.tabIndex = -1;
  editor.problem = make("div", "problem");
  editor.problem.setAttribute("role", "alert");
  editor.conflicts = make("div", "conflicts");
  editor.notice.append(editor.problem, editor.conflicts);
  editor.unsaved = make("div", "unsaved");
  root.append(bar, editor.notice, editor.unsaved);
  root.addEventListener("beforeinput", (event) => (isReady(editor) && !stopped()) || event.preventDefault());
  root.addEventListener("input", () => typed(editor));
  parent.append(root);
  return editor;
}

function fill(editor, content) {
  editor.verdict = content.verdict;
  editor.agrees = content.agrees === true;
  editor.label.value = content.label;
  editor.note.value = content.note;
  editor.tags.value = content.tags;
}

function content(editor) {
  return {
    verdict: editor.verdict,
    agrees: editor.agrees,
    label: editor.label.value,
    note: editor.note.value,
    tags: editor.tags.value,
  };
}

function isChanged(editor) {
  return editor.agrees || isReworded(editor);
}

function isReworded(editor) {
  const saved = editor.data.content;
  const now = content(editor);
  return now.verdict !== saved.verdict || now.label !== saved.label || now.note !== saved.note || now.tags !== saved.tags;
}

function paint(editor) {
  const { data } = editor;
  editor.root.dataset.feature = data.feature;
  editor.verdicts.replaceChildren();
  data.verdicts.forEach(([value, mark], i) => {
    const tip = judgeTip(editor, value, i + 1);
    const made = button(editor, editor.verdicts, value, "", tip, () => judge(editor, value), { key: String(i + 1) });
    made.append(make("i", "", mark), make("span", "", value), make("kbd", "", String(i + 1)));
    made.setAttribute("aria-pressed", String(editor.verdict === value));
  });
  if (data.author) editor.author.value = data.author; // signed in: the app goes by its own knowledge
  tell(editor, data.problem);
  editor.conflicts.replaceChildren(...data.conflicts.map((one) => conflict(editor, one)));
  others(editor);
  grow(editor.note);
  state(editor);
}

function judgeTip(editor, verdict, key) {
  const agree = isSaidByAnother(editor, verdict) ? `${editor.data.by} said so; you agree: ` : "";
  return `${agree}key ${key}; again to take it back`;
}

// What is kept of other features of the dictionary, a way to each.
function others(editor) {
  const { key, feature } = editor.data;
  const found = unsaved(key).filter(([digest]) => `${digest} ${feature}` === key);
  editor.unsaved.replaceChildren(...(found.length ? [`${found.length} not saved:`] : []));
  for (const [, number] of found.slice(0, MOST_UNSAVED)) {
    button(editor, editor.unsaved, "", String(number), "Go there", () => send(editor, "open", { wanted: number }));
  }
  if (found.length > MOST_UNSAVED) editor.unsaved.append("…");
}

// Buttons keep their places: what does not apply is only disabled.
function state(editor) {
  const { data } = editor;
  const changed = isChanged(editor);
  const isSaving = Boolean(editor.waiting?.uid);
  editor.save.disabled = !changed || isSaving;
  editor.next.disabled = isSaving;
  const whyNot = noUndo(editor, changed);
  editor.undo.disabled = !data.by || whyNot !== "";
  editor.undo.title = whyNot || "Back to what was saved before";
  editor.discard.disabled = !changed || isSaving;
  for (const box of [editor.label, editor.note, editor.tags]) box.readOnly = isSaving;
  editor.author.readOnly = isSaving || Boolean(data.author);
  editor.root.classList.toggle("changed", changed);
  const words = isSaving ? "saving" : stopped() ? haltWords(stopped()) : changed ? unsavedWords(editor) : data.saved;
  if (editor.state.textContent !== words) editor.state.textContent = words;
}

function unsavedWords(editor) {
  return editor.agrees && !isReworded(editor) ? "you agree: not saved" : "not saved";
}

// Why what is in force is not to be undone now, though there is something before it.
function noUndo(editor, changed) {
  const { data } = editor;
  if (changed) return "Save or discard first what is not saved";
  if (data.conflicts.length) return "Decide below instead: which of the two texts is to be in force";
  if (!isAnothers(editor)) return "";
  return `${data.by} saved what is in force. To change it, type over it and save: History keeps all`;
}

function grow(area) {
  area.style.height = "auto";
  area.style.height = `${Math.min(area.scrollHeight + 2, 220)}px`;
}

// The key of a verdict that is another's says first that one agrees; again, it takes the verdict back.
function judge(editor, verdict) {
  editor.agrees = !editor.agrees && editor.verdict === verdict && isSaidByAnother(editor, verdict);
  if (!editor.agrees) editor.verdict = editor.verdict === verdict ? null : verdict;
  typed(editor);
  for (const one of editor.verdicts.children) {
    one.setAttribute("aria-pressed", String(one.classList.contains(editor.verdict)));
  }
}

function isSaidByAnother(editor, verdict) {
  return verdict === editor.data.content.verdict && isAnothers(editor);
}

// Whether what is in force is somebody else's.
function isAnothers({ data, author }) {
  return data.by !== "" && data.by !== author.value.trim();
}

function typed(editor) {
  if (!editor.data.author) storeAuthor(editor.author.value);
  editor.root.classList.remove("nameless");
  window[STOP] = null;
  editor.agrees &&= isSaidByAnother(editor, editor.verdict); // not with oneself, once one's name is typed
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
  if (!isChanged(editor)) {
    if (isNext) send(editor, "next", {});
  } else if (isNamed(editor)) {
    // The same text keeps its uid, so sending it twice saves it once.
    const draft = editor.draft ?? { ...content(editor), seen: data.seen };
    draft.uid ??= uid();
    store(DRAFT + data.key, JSON.stringify(draft));
    editor.draft = draft;
    send(editor, "save", { ...draft, next: isNext });
  }
  if (editor.waiting) editor.label.focus({ preventScroll: true }); // what is typed now waits there
}

function undo(editor) {
  if (isNamed(editor)) send(editor, "undo", { seen: editor.data.seen });
}

function discard(editor) {
  drop(DRAFT + editor.data.key);
  editor.draft = null;
  editor.data = { ...editor.data, problem: "" };
  fill(editor, editor.data.content);
  paint(editor);
}

function settle(editor, revision, isTaken) {
  if (isNamed(editor)) send(editor, "settle", { seen: editor.data.seen, revision, taken: isTaken });
}

function isNamed(editor) {
  const isGiven = editor.author.value.trim() !== "";
  editor.root.classList.toggle("nameless", !isGiven);
  if (!isGiven) halt(editor, { words: "your name first", isNameless: true });
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
  button(editor, bar, "", "Keep what is in force", "The other stays in the history", () => settle(editor, one.revision, false));
  button(editor, bar, "", "Take the other", "What is in force stays in the history", () => settle(editor, one.revision, true));
  const merge = make("p", "", "To merge them, save above what both should be, and then keep it.");
  made.append(both, merge, bar);
  return made;
}
