// The player page: its fields, its stage, and the session that plays.

import { setUpAppearance } from "./appearance.js";
import { h, update } from "./dom.js";
import { PROTOCOLS, buildUrl, parseUrl, readLink, shareLink } from "./link.js";
import { Session } from "./session.js";
import { Statistics } from "./statistics.js";

const find = (id) => document.getElementById(id);
const video = find("video");
const stage = find("stage");
const FIELDS = ["vhost", "app", "stream", "server", "port"];

const wanted = readLink(location);
let session = null;
let abilities = {};
const statistics = new Statistics(video, find("statistics"));

async function main() {
  setUpAppearance(find("appearance"));
  offerProtocols();
  listen();
  fillFields();
  show("idle");
  find("console").href = `../console/`;
  if (wanted.isAutomatic) play();
  abilities = await askAbilities();
  offerProtocols();
}

// What the server can do; nothing where it does not tell.
async function askAbilities() {
  try {
    const answer = await fetch("abilities.json", { credentials: "omit" });
    return answer.ok ? await answer.json() : {};
  } catch {
    return {};
  }
}

// Those that every server has, those that this one has, and what a link asks for.
function offerProtocols() {
  const names = ["flv", "ws-flv", ...["mp4", "hls"].filter((name) => abilities[name] || name === wanted.protocol)];
  const choices = names.map((name) =>
    h(
      "label",
      { class: "choice" },
      h("input", { type: "radio", name: "protocol", value: name, checked: name === wanted.protocol, onchange: choose }),
      h("span", null, PROTOCOLS[name].name),
    ),
  );
  find("protocols").replaceChildren(...choices);
}

function choose(event) {
  wanted.protocol = event.target.value;
  fillFields();
  if (session) play();
}

function listen() {
  find("form").onsubmit = (event) => {
    event.preventDefault();
    if (session) stop();
    else play();
  };
  find("start").onclick = play;
  find("url").oninput = () => {
    const parts = parseUrl(find("url").value.trim());
    find("url").setAttribute("aria-invalid", String(!parts));
    find("url-hint").hidden = Boolean(parts);
    if (!parts) return;
    Object.assign(wanted, parts);
    if (!document.querySelector(`input[name=protocol][value=${wanted.protocol}]`)) offerProtocols();
    fillFields("url");
  };
  for (const name of FIELDS) {
    find(name).oninput = () => {
      wanted[name] = find(name).value.trim();
      fillFields(name);
    };
  }
  find("low-latency").onchange = (event) => {
    wanted.isLowLatency = event.target.checked;
    session?.player?.edge.setLowLatency(wanted.isLowLatency);
  };
  find("details").onchange = (event) => {
    if (event.target.checked) statistics.start(() => session);
    else statistics.stop();
  };
  find("share").onclick = share;
  find("unmute").onclick = () => {
    video.muted = false;
    find("unmute").hidden = true;
  };
  video.onvolumechange = () => {
    if (!video.muted) find("unmute").hidden = true;
  };
  // Whoever pauses a live stream wants to see what is live afterwards.
  video.addEventListener("pause", () => (video.dataset.wasPaused = "true"));
  video.addEventListener("play", () => {
    if (video.dataset.wasPaused) session?.player?.edge.seekToEdge();
    delete video.dataset.wasPaused;
  });
}

// Shows what is wanted, except in the field that is being typed into.
function fillFields(except) {
  for (const name of FIELDS) {
    if (name !== except) find(name).value = wanted[name];
  }
  if (except !== "url") {
    find("url").value = buildUrl(wanted);
    find("url").setAttribute("aria-invalid", "false");
    find("url-hint").hidden = true;
  }
  find("low-latency").checked = wanted.isLowLatency;
  for (const input of document.querySelectorAll("input[name=protocol]")) input.checked = input.value === wanted.protocol;
}

function play() {
  session?.end();
  notice("");
  find("unmute").hidden = true;
  document.title = `${wanted.app}/${wanted.stream} – Player`;
  session = new Session(video, { ...wanted }, { show, onNotice: notice, onMuted: () => (find("unmute").hidden = false) });
}

function stop() {
  session?.end();
  session = null;
  find("unmute").hidden = true;
  show("idle");
}

const TEXTS = {
  idle: () => ["Nothing is playing", "Choose a stream below, then press Play."],
  connecting: ({ url }) => ["Connecting", url],
  waiting: () => ["Waiting for the publisher", "The server is reached, but nothing comes yet. It plays as soon as the stream is published."],
  blocked: () => ["Press play", "This browser does not start a player by itself."],
  retrying: ({ problem, pause }) => [problem.message, `${problem.advice} Next try in ${pause / 1000} s.`],
  failed: ({ problem }) => [problem.message, problem.advice],
  playing: () => null,
};

function show(state, details = {}) {
  stage.dataset.state = state;
  const lines = TEXTS[state](details);
  find("message").hidden = !lines;
  if (lines) update(find("message-text"), h("strong", null, lines[0]), h("span", null, lines[1]));
  if (state === "failed") {
    session = null;
    notice("");
  }
  const isOn = Boolean(session) || state === "connecting";
  find("play").textContent = isOn ? "Stop" : "Play";
  find("play").classList.toggle("primary", !isOn);
}

function notice(text) {
  find("notice").textContent = text;
  find("notice").hidden = !text;
}

async function share() {
  const link = shareLink(location, wanted);
  history.replaceState(null, "", link);
  const said = find("share-said");
  try {
    await navigator.clipboard.writeText(link);
    said.textContent = "Link copied";
  } catch {
    // Pages without TLS may not write to the clipboard.
    said.textContent = "The link is in the address bar";
  }
  setTimeout(() => (said.textContent = ""), 4000);
}

main();
