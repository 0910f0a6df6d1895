// Keep the page up to date. Without this file everything works, after a reload.

const state = document.getElementById("live");
let reading = false;
let again = false;

// Read this page again, and replace the parts that have changed.
async function refresh() {
  if (reading || document.hidden) {
    again = true;
    return;
  }
  reading = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.headers.get("Content-Type")?.startsWith("text/html")) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const old of document.querySelectorAll("[data-live]")) {
      const found = fresh.getElementById(old.id);
      if (!found) {
        location.reload(); // another page is here now: logged out, over, or deleted
        return;
      }
      if (found.outerHTML !== old.outerHTML && !isSelected(old)) replace(old, found);
    }
  } catch {
    // The server is gone; the stream of events says so, and comes back with it.
  } finally {
    reading = false;
  }
  catchUp();
}

// Read once for all the changes that came while the page was being read, or was not seen.
function catchUp() {
  if (again && !document.hidden) {
    again = false;
    refresh();
  }
}

// A text that the reader has just marked, to copy it, must not vanish.
function isSelected(part) {
  const selection = getSelection();
  return !selection.isCollapsed && selection.containsNode(part, true);
}

function replace(old, fresh) {
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const place = focused && [...old.querySelectorAll(focused.tagName)].indexOf(focused);
  for (const row of fresh.querySelectorAll("tr[id]")) {
    const before = document.getElementById(row.id);
    if (!before || before.textContent !== row.textContent) row.classList.add("changed");
  }
  for (const open of old.querySelectorAll("details[open][id]")) {
    fresh.querySelector(`#${CSS.escape(open.id)}`)?.setAttribute("open", "");
  }
  old.replaceWith(document.adoptNode(fresh));
  if (focused) {
    const href = focused.getAttribute("href");
    const same = [...fresh.querySelectorAll(focused.tagName)];
    (same.find((each) => href && each.getAttribute("href") === href) ?? same[place])?.focus();
  }
}

const events = new EventSource("/live");
let known = false;
events.addEventListener("open", () => {
  state.textContent = "live";
  state.className = "on";
  if (known) refresh(); // what happened while the server was away
  known = true;
});
events.addEventListener("changed", refresh);
document.addEventListener("visibilitychange", catchUp);
events.addEventListener("error", () => {
  state.textContent = "not connected";
  state.className = "off";
});

// The field of an event: say at once what is no JSON, and send it with Ctrl+Enter.
for (const field of document.querySelectorAll("textarea[data-json]")) {
  field.addEventListener("input", () => {
    try {
      const value = JSON.parse(field.value || "{}");
      const isObject = value !== null && typeof value === "object";
      field.setCustomValidity(isObject ? "" : "An event is a JSON object.");
    } catch (error) {
      field.setCustomValidity(`This is not JSON: ${error.message}`);
    }
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) field.form.requestSubmit();
  });
}
