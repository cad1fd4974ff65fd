// What was typed and is not saved, by the feature's key: kept in this browser.

const DRAFT = "feature-browser draft ";
const AUTHOR = "feature-browser author";

function load(data) {
  const text = recall(DRAFT + data.key);
  if (!text) return null;
  const draft = JSON.parse(text);
  const { verdict, label, note, tags } = data.content;
  const isSaved = !draft.agrees && draft.verdict === verdict && draft.label === label && draft.note === note && draft.tags === tags;
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

// Features that something unsaved is kept of, but this one: [digest, number].
function unsaved(besides) {
  return names().map((name) => name.slice(DRAFT.length)).filter((key) => key !== besides).map((key) => {
    const cut = key.lastIndexOf(" ");
    return [key.slice(0, cut), Number(key.slice(cut + 1))];
  }).sort(([, one], [, other]) => one - other);
}

function uid() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// A tab keeps its name, whoever types another into another tab; a new tab begins with the last of all.
function recallAuthor() {
  let name = "";
  try { name = sessionStorage.getItem(AUTHOR) ?? ""; } catch { /* forbidden */ }
  name ||= recall(AUTHOR) ?? "";
  if (name) pinAuthor(name);
  return name;
}
function storeAuthor(name) {
  store(AUTHOR, name);
  pinAuthor(name);
}
function pinAuthor(name) {
  try { sessionStorage.setItem(AUTHOR, name); } catch { /* forbidden */ }
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
