// Puts the query string that belongs to what is shown into the address bar, without a new step of
// the history: a page was entered without one, or Back's first step has changed the page and left
// another's there. So every step of the history has the query string of what was shown then.

export default function ({ data }) {
  if (data.search !== null && location.search !== data.search) history.replaceState(history.state, "", data.search + location.hash);
}
