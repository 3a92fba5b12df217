// The console: which view is shown, and the polling that feeds it.

import { Api, LoginWanted, Unreachable, originOf } from "./api.js";
import { recall, remember, setUpAppearance } from "./appearance.js";
import { askAddresses, askLogin } from "./dialogs.js";
import { h, update } from "./dom.js";
import { History } from "./history.js";
import { Poll } from "./poll.js";
import { ClientsView } from "./views/clients.js";
import { OverviewView } from "./views/overview.js";
import { ServerView } from "./views/server.js";
import { StreamView } from "./views/stream.js";
import { StreamsView } from "./views/streams.js";

const PERIOD_MS = 3000;
const MEDIA_KEY = "srs.media";
const USUAL_MEDIA_PORT = { "http:": 8080, "https:": 8088 };
const find = (id) => document.getElementById(id);
const main = find("main");

// What the views share.
const context = {
  api: new Api(),
  history: new History(),
  summaries: null,
  vhosts: new Map(),
  media: null,
  go: (hash) => (location.hash = hash),
  refresh: () => poll.now(),
};

const VIEWS = {
  overview: new OverviewView(context),
  streams: new StreamsView(context),
  stream: new StreamView(context),
  clients: new ClientsView(context),
  server: new ServerView(context),
};

let view = null;
const poll = new Poll(work, meet, PERIOD_MS);

// `#/streams/ID` and the like.
function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, id] = path.split("/").map(decodeURIComponent);
  if (name === "streams" && id) return { view: VIEWS.stream, tab: "streams", id };
  const tab = name in VIEWS && name !== "stream" ? name : "overview";
  return { view: VIEWS[tab], tab, query: new URLSearchParams(query) };
}

function navigate() {
  const { view: next, tab, ...rest } = route();
  for (const link of document.querySelectorAll("nav.tabs a")) {
    if (link.dataset.tab === tab) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  view?.leave?.();
  view = next;
  view.enter?.(rest);
  document.title = `${view.title} – Console`;
  main.replaceChildren();
  draw();
  window.scrollTo(0, 0);
  poll.now();
}

async function work() {
  const [summaries, vhosts] = await Promise.all([
    context.api.get("/api/v1/summaries"),
    context.api.get("/api/v1/vhosts/?count=10000"),
  ]);
  context.summaries = summaries.data;
  context.history.add(summaries.data);
  context.vhosts = new Map(vhosts.vhosts.map((vhost) => [vhost.id, vhost]));
  context.media ??= await findMedia();
  const current = view;
  await current.load(context);
  if (current === view) draw();
  setState("live", "Live");
  find("trouble").hidden = true;
}

function draw() {
  if (!context.summaries) {
    update(main, loading());
    return;
  }
  update(main, view.render(context));
  view.drawn?.(main, context);
}

const loading = () =>
  h("div", { class: "loading", role: "status" }, h("span", { class: "spinner", "aria-hidden": "true" }), "Asking the server…");

function setState(state, text) {
  find("state").dataset.state = state;
  update(find("state"), text);
}

// Whether to go on asking.
function meet(error) {
  if (error instanceof LoginWanted) {
    logIn(error.message);
    return false;
  }
  setState("lost", "No answer");
  const trouble = find("trouble");
  trouble.hidden = false;
  const isFirst = !context.summaries;
  if (error instanceof Unreachable) {
    update(
      trouble,
      h("strong", null, "The HTTP API does not answer. "),
      `Asked: ${error.message}. `,
      isFirst ? "Is http_api enabled in the configuration? The console tries again every few seconds. " : "What is shown is from before; the console tries again. ",
      h("button", { type: "button", class: "small", onclick: chooseAddresses }, "Enter its address"),
    );
  } else {
    console.error(error);
    update(trouble, h("strong", null, "The console failed: "), String(error.message));
  }
  if (isFirst) main.replaceChildren();
  return true;
}

async function logIn(address) {
  setState("lost", "Log in");
  const problem = context.api.login ? "This name and this password are not right." : null;
  const given = await askLogin(address, problem);
  if (given) {
    context.api.setLogin(given.name, given.password);
    poll.now();
    return;
  }
  context.api.forgetLogin();
  update(
    main,
    h(
      "div",
      { class: "empty" },
      h("h2", null, "Not logged in"),
      h("p", { class: "muted" }, "The API of this server wants a name and a password."),
      h("button", { type: "button", class: "primary", onclick: () => logIn(address) }, "Log in"),
    ),
  );
}

async function chooseAddresses() {
  let problem = null;
  for (;;) {
    const now = { api: context.api.typed ?? "", media: recall(MEDIA_KEY) ?? "", inUse: context.api.base };
    const given = await askAddresses(now, problem);
    if (!given) return;
    try {
      const media = given.media.trim() === "" ? null : originOf(given.media.trim());
      context.api.setAddress(given.api);
      remember(MEDIA_KEY, media);
      break;
    } catch {
      problem = "That is not an address. One looks like server:1985.";
    }
  }
  context.media = null;
  poll.now();
}

// Where streams are played: what the user typed, this very port if it has the player, or the usual one.
async function findMedia() {
  const typed = recall(MEDIA_KEY);
  if (typed) return typed;
  const { origin, protocol, hostname } = location;
  try {
    const answer = await fetch("/players/", { method: "HEAD", credentials: "omit" });
    if (answer.ok && answer.headers.get("Content-Type")?.includes("html")) return origin;
  } catch {
    // Then it is not here.
  }
  return `${protocol}//${hostname}:${USUAL_MEDIA_PORT[protocol] ?? 8080}`;
}

setUpAppearance(find("appearance"));
find("addresses").onclick = chooseAddresses;
find("skip").onclick = (event) => {
  event.preventDefault();
  main.focus();
};
window.addEventListener("hashchange", navigate);
navigate();
