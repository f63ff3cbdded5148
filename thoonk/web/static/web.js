// Live pages, without a framework: what the server renders is put in the place of what was there.

const main = document.getElementById("main");
const ask = document.getElementById("ask");
const light = document.getElementById("light");
const lightText = document.getElementById("light-text");
let dragged = null;
let source = null;
let retry = 0;

document.documentElement.classList.add("scripted");

// --- putting new HTML in the place of old, so that focus, selection and what is unfolded stay ----

function syncAttributes(old, fresh) {
  const keeps = old.localName === "details" ? ["open"] : [];
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !keeps.includes(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && !keeps.includes(name)) old.setAttribute(name, value);
  }
}

function keyOf(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.dataset.key : undefined;
}

function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.data = fresh.data;
    return;
  }
  syncAttributes(old, fresh);
  if (old.localName === "textarea" || old.localName === "input") {
    if (old !== document.activeElement) old.value = fresh.value;
    return;
  }
  morphChildren(old, fresh);
}

function morphChildren(old, fresh) {
  const keyed = new Map();
  for (const child of old.children) {
    if (child.dataset.key !== undefined) keyed.set(child.dataset.key, child);
  }
  let cursor = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const key = keyOf(child);
    let match = null;
    if (key !== undefined) {
      match = keyed.get(key) ?? null;
      keyed.delete(key);
    } else {
      // A page has white space around its regions, its stream has none: an element, which may
      // have the focus, is not replaced because of that.
      while (child.nodeType === Node.ELEMENT_NODE && cursor?.nodeType === Node.TEXT_NODE) {
        const next = cursor.nextSibling;
        cursor.remove();
        cursor = next;
      }
      if (cursor && keyOf(cursor) === undefined && cursor.nodeName === child.nodeName) match = cursor;
    }
    if (match === null) {
      if (child.localName === "tr") child.classList.add("fresh");
      old.insertBefore(child, cursor);
    } else {
      if (match === cursor) cursor = cursor.nextSibling;
      else old.insertBefore(match, cursor);
      morph(match, child);
    }
  }
  while (cursor) {
    const next = cursor.nextSibling;
    cursor.remove();
    cursor = next;
  }
}

function keepingFocus(change) {
  const focused = document.activeElement;
  change();
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
}

function parse(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

// --- live ------------------------------------------------------------------------------------

function show(state, text) {
  light.dataset.state = state;
  light.title = text;
  if (lightText.textContent !== text) lightText.textContent = text;
}

function showStale(since) {
  document.getElementById("stale").hidden = since === null;
  document.getElementById("stale-since").textContent = since ?? "";
}

function stop() {
  clearTimeout(retry);
  source?.close();
  source = null;
}

function start() {
  stop();
  if (!("live" in main.dataset)) {
    show("plain", "");
    return;
  }
  const mine = new EventSource(location.href);
  let since = null;
  source = mine;
  mine.addEventListener("state", (event) => {
    const { template, stale } = JSON.parse(event.data);
    const shown = main.dataset.template;
    showStale(stale);
    show(stale === null ? "live" : "old", stale === null ? "Live" : `No news since ${stale}`);
    if (template !== shown && (template !== "away.html" || shown === "away.html")) load(location.href);
  });
  mine.addEventListener("regions", (event) => {
    if (dragged) return;
    keepingFocus(() => {
      for (const [name, html] of Object.entries(JSON.parse(event.data))) {
        const old = main.querySelector(`[data-region="${CSS.escape(name)}"]`);
        if (old) morphChildren(old, parse(html).body);
      }
    });
  });
  mine.addEventListener("error", () => {
    since ??= new Date().toLocaleTimeString([], { hour12: false });
    show("lost", `This page lost its server at ${since}. It tries again.`);
    showStale(since);
    if (mine.readyState === EventSource.CLOSED) retry = setTimeout(askWhy, 2000);
  });
}

// A stream that is refused for good: because somebody has to log in, or only for now.
async function askWhy() {
  try {
    const response = await fetch(location.href, { redirect: "manual" });
    if (response.type === "opaqueredirect" || response.status === 401) {
      location.reload();
      return;
    }
  } catch {
    // Not there yet.
  }
  start();
}

document.addEventListener("visibilitychange", () => (document.hidden ? stop() : start()));

// --- going from one view to another without loading all of the page --------------------------------

let latest = 0;

async function load(url, options = {}, push = false) {
  const mine = ++latest;
  let response;
  try {
    response = await fetch(url, { headers: { Accept: "text/html" }, ...options });
  } catch {
    say("The server of this page does not answer. Nothing was sent twice; try again.", true);
    return false;
  }
  if (mine !== latest) return false;
  if (!response.headers.get("content-type")?.startsWith("text/html")) {
    say(await response.text(), true);
    return false;
  }
  const page = parse(await response.text());
  const question = page.querySelector("[data-question]");
  if (question && options.method === "POST") {
    ask.replaceChildren(question);
    ask.showModal();
    return false;
  }
  const fresh = page.getElementById("main");
  if (!fresh || response.url.includes("/login")) {
    location.href = response.url;
    return true;
  }
  document.title = page.title;
  const address = new URL(response.url);
  address.searchParams.delete("said");
  if (push && address.href !== location.href) history.pushState(null, "", address);
  else if (options.method !== "POST" || response.redirected) history.replaceState(null, "", address);
  keepingFocus(() => morph(main, fresh));
  start();
  return true;
}

function say(text, isError) {
  const note = document.createElement("p");
  note.className = `note ${isError ? "error" : "done"}`;
  note.textContent = text;
  document.getElementById("said").replaceChildren(note);
}

window.addEventListener("popstate", () => load(location.href));

document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link) return;
  if (link.matches("[data-cancel]") && ask.open) {
    event.preventDefault();
    ask.close();
    return;
  }
  const plain = !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey && event.button === 0;
  if (plain && link.matches("[data-soft]")) {
    event.preventDefault();
    load(link.href, {}, true);
  }
});

function searchOf(form) {
  const url = new URL(form.action);
  for (const [name, value] of new FormData(form)) {
    if (value !== "") url.searchParams.set(name, value);
  }
  return url;
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.matches("[data-hard]")) return;
  event.preventDefault();
  if (form.method === "get") {
    load(searchOf(form), {}, true);
    return;
  }
  const body = new URLSearchParams(new FormData(form, event.submitter));
  ask.close();
  const answered = await load(form.action, { method: "POST", body });
  const isDone = answered && !main.querySelector(".note.error");
  if (isDone && form.isConnected && form.closest(".publish")) form.reset();
});

let typing = 0;

document.addEventListener("input", (event) => {
  const form = event.target.closest("[data-as-you-type]");
  if (!form) return;
  clearTimeout(typing);
  typing = setTimeout(() => load(searchOf(form)), 180);
});

// --- drag and drop in a sorted feed ----------------------------------------------------------------

function unmark() {
  for (const row of main.querySelectorAll(".drop-before, .drop-after")) {
    row.classList.remove("drop-before", "drop-after");
  }
}

document.addEventListener("dragstart", (event) => {
  if (!event.target.matches?.(".handle")) return;
  dragged = event.target.closest("tr");
  dragged.classList.add("dragged");
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", dragged.dataset.id);
  event.dataTransfer.setDragImage(dragged, 12, 12);
});

document.addEventListener("dragover", (event) => {
  const row = dragged && event.target.closest?.("tr[data-move]");
  unmark();
  if (!row || row === dragged) return;
  event.preventDefault();
  const { top, height } = row.getBoundingClientRect();
  row.classList.add(event.clientY < top + height / 2 ? "drop-before" : "drop-after");
});

document.addEventListener("drop", (event) => {
  const row = dragged && event.target.closest?.("tr[data-move]");
  if (!row || row === dragged) return;
  event.preventDefault();
  const reversed = "reversed" in row.closest("table").dataset;
  const before = row.classList.contains("drop-before") !== reversed;
  const form = dragged.querySelector("form[data-stay]");
  const body = new URLSearchParams(new FormData(form));
  body.set("position", before ? `:${row.dataset.id}` : `${row.dataset.id}:`);
  const action = dragged.dataset.move;
  end();
  load(action, { method: "POST", body });
});

function end() {
  unmark();
  dragged?.classList.remove("dragged");
  dragged = null;
}

document.addEventListener("dragend", end);
// A row that is replaced while it is dragged gets no dragend. No pointer moves during a drag.
document.addEventListener("pointermove", () => {
  if (dragged) end();
});

// --- begin -----------------------------------------------------------------------------------------

const here = new URL(location.href);
if (here.searchParams.has("said")) {
  here.searchParams.delete("said");
  history.replaceState(null, "", here);
}
start();
