// An app that was started again has drawn nothing yet: the first click on a page that stands open since before
// would be lost. So a page whose connection is back is drawn anew.

const STATE = "data-test-connection-state"; // Streamlit's, on the app

function watchConnection(draw) {
  const app = document.querySelector(`[${STATE}]`);
  const isConnected = () => app.getAttribute(STATE) === "CONNECTED";
  let wasConnected = isConnected();
  new MutationObserver(() => {
    if (isConnected() && !wasConnected) draw();
    wasConnected = isConnected();
  }).observe(app, { attributeFilter: [STATE] });
}

