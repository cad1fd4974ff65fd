// Puts the query string that belongs to what is shown into the address bar, without a new step of
// the history: Back's first step has changed the page and left another's query string there.

export default function ({ data }) {
  if (location.search !== data.search) history.replaceState(history.state, "", data.search + location.hash);
}
