// What is on its way to the app: a save or another message, or a move to another feature.
//
// A message is answered by its uid; a move, once the editor shows another feature.

const LONGEST_WAIT = 15_000; // ms
const SILENT = "The app has not answered for 15 s. What you typed is kept here.";
const GONE = "The app does not answer. What you typed is kept here: start it again, then save.";
const BACK = "The app is back. What you typed is not saved yet.";

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

function isConnected() {
  const state = document.querySelector("[data-test-connection-state]")?.dataset.testConnectionState;
  return state === undefined || state === "CONNECTED";
}

// Everything that is sent has a uid, by which the app answers.
function send(editor, name, value) {
  const sent = { uid: uid(), ...value, author: editor.author.value, key: editor.data.key, feature: editor.data.feature };
  const isNext = name === "next" || value.next === true;
  const awaited = { uid: sent.uid, isSave: name === "save", isNext, from: editor.data.shown };
  if (!isConnected()) return fail(editor, awaited, GONE);
  wait(editor, awaited);
  editor.send(name, sent);
}

function wait(editor, awaited) {
  awaited.stays = editor.data.stays; // a move may lead nowhere
  editor.waiting = awaited;
  editor.asking = null;
  goOn();
  const until = Date.now() + LONGEST_WAIT;
  const watch = setInterval(() => {
    const why = !isConnected() ? GONE : Date.now() > until ? SILENT : "";
    if (editor.waiting !== awaited || !editor.root.isConnected) clearInterval(watch);
    else if (why) fail(editor, awaited, why);
  }, 200);
}

function fail(editor, awaited, words) {
  editor.waiting = null;
  tell(editor, words);
  refuse(editor, awaited);
  const watch = words === GONE && setInterval(() => {
    if (editor.problem.textContent === GONE && !isConnected()) return;
    clearInterval(watch);
    if (editor.problem.textContent === GONE) tell(editor, BACK);
  }, 200);
}

function tell(editor, words) {
  editor.problem.textContent = words;
  editor.problem.hidden = !words;
}

// What has come of what was on its way; null as long as nothing has.
function arrival({ waiting, data }) {
  if (!waiting) return null;
  const isThere = waiting.uid ? waiting.uid === data.answered : waiting.from !== data.shown || waiting.stays !== data.stays;
  return isThere ? waiting : null;
}
