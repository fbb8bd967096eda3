// Has the page fetch again what may have changed, when the event stream says so. Parts of it listen for "news".
"use strict";

const AT_MOST_EVERY_MS = 2000;
// Temporal's lists lag behind what the stream tells.
const AND_ONCE_MORE_MS = 2500;

function follow(url) {
  const told = document.getElementById("live");
  let source = null;
  let due = null;
  let last = 0;

  const tell = () => {
    due = null;
    last = Date.now();
    document.body.dispatchEvent(new Event("news"));
  };
  const soon = () => {
    due = due || setTimeout(tell, Math.max(100, last + AT_MOST_EVERY_MS - Date.now()));
  };
  const news = () => {
    soon();
    clearTimeout(follow.again);
    follow.again = setTimeout(soon, AND_ONCE_MORE_MS);
  };
  const open = () => {
    source = new EventSource(url);
    source.onopen = () => { told.textContent = "Live"; soon(); };
    source.onerror = () => { told.textContent = "Not live at present"; };
    for (const kind of ["added", "changed", "deleted", "started", "ended", "stale"]) {
      source.addEventListener(kind, news);
    }
  };
  // A browser has but a few connections to one server: a page that nobody sees needs none.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source.close();
    } else if (source.readyState === EventSource.CLOSED) {
      open();
    }
  });
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) { open(); } });
  open();
}

if (document.body.dataset.news) {
  follow(document.body.dataset.news);
}
