// The HTTP API: where it is, and calls with a name and a password where it wants them.

import { recall, remember } from "./appearance.js";

const ADDRESS_KEY = "srs.api";
const LOGIN_KEY = "srs.login";
const TIME_LIMIT_MS = 8000;
// The ports that the API has unless the configuration says otherwise.
const USUAL_PORT = { "http:": 1985, "https:": 1990 };
const session = () => sessionStorage;

// Nobody answers, or somebody else than the API.
export class Unreachable extends Error {}
// A name and a password are wanted, and there are none or wrong ones.
export class LoginWanted extends Error {}

export class Api {
  constructor() {
    this.base = null;
    // Only for as long as the tab is open.
    this.login = recall(LOGIN_KEY, session);
  }

  // What the user typed, if anything.
  get typed() {
    return recall(ADDRESS_KEY);
  }

  // `address` as typed, `server:1985` will do; an empty one means to look for the API again.
  setAddress(address) {
    const text = address.trim();
    remember(ADDRESS_KEY, text === "" ? null : originOf(text));
    this.base = null;
  }

  setLogin(name, password) {
    const bytes = new TextEncoder().encode(`${name}:${password}`);
    this.login = `Basic ${btoa(String.fromCharCode(...bytes))}`;
    remember(LOGIN_KEY, this.login, session);
  }

  forgetLogin() {
    this.login = null;
    remember(LOGIN_KEY, null, session);
  }

  candidates() {
    const { origin, protocol, hostname } = location;
    const usual = `${protocol}//${hostname}:${USUAL_PORT[protocol] ?? 1985}`;
    return [...new Set([this.typed, origin, usual].filter(Boolean))];
  }

  async find() {
    if (this.base) return;
    let guarded = null;
    for (const base of this.candidates()) {
      // Media ports tell versions too; only the API has summaries.
      const answer = await this.send(base, "/api/v1/summaries", "GET").catch(() => null);
      if (answer?.ok && isJson(answer)) {
        this.base = base;
        return;
      }
      // A media port wants the password as well, for an API that it does not have: only a login tells which it is.
      if (answer?.status === 401) guarded ??= base;
    }
    if (guarded) throw new LoginWanted(guarded);
    throw new Unreachable(this.candidates().join(", "));
  }

  async get(path) {
    return this.call(path, "GET");
  }

  async delete(path) {
    return this.call(path, "DELETE");
  }

  async call(path, method) {
    await this.find();
    const base = this.base;
    const answer = await this.send(base, path, method).catch(() => {
      // It may have moved: look for it anew next time.
      this.base = null;
      throw new Unreachable(base);
    });
    if (answer.status === 401) throw new LoginWanted(base);
    if (!answer.ok || !isJson(answer)) throw new Unreachable(`${base} (status ${answer.status})`);
    return answer.json();
  }

  send(base, path, method) {
    // Without the browser's own credentials it does not ask for a password itself; the console does.
    return fetch(base + path, {
      method,
      headers: this.login ? { Authorization: this.login } : {},
      credentials: "omit",
      cache: "no-store",
      signal: AbortSignal.timeout(TIME_LIMIT_MS),
    });
  }
}

const isJson = (answer) => (answer.headers.get("Content-Type") ?? "").includes("application/json");

// The origin that somebody means.
export function originOf(text) {
  const url = new URL(/^https?:\/\//.test(text) ? text : `${location.protocol}//${text}`);
  return url.origin;
}
