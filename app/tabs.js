// Streamlit's links as those of any page: with Ctrl, Cmd or Shift they open elsewhere.

const LINKS = "[data-testid='stPageLink-NavLink'], [data-testid='stTopNavLink']";

// Streamlit would follow them in this tab all the same.
function isForAnotherTab(event) {
  return (event.ctrlKey || event.metaKey || event.shiftKey) && Boolean(event.target.closest?.(LINKS));
}

// Of links to its first page Streamlit gives the query alone, which is this page's to the browser.
function setPath({ target }) {
  const link = target.closest?.("a[href^='?']");
  link?.setAttribute("href", `./${link.getAttribute("href")}`);
}

