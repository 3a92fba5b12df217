// A stream's address: from the page's own address (also as the pages of SRS write it), from the fields, and back.

// What the page keeps for itself; everything else in a link belongs to the stream, such as a token.
const OWN = new Set(["url", "vhost", "app", "stream", "server", "port", "schema", "autostart", "protocol", "low_latency"]);
// What links of SRS's pages carry for other uses.
const IGNORED = new Set(["api", "api_port", "eip", "buffer", "hls_autostart", "bps", "dir", "query"]);
export const DEFAULT_VHOST = "__defaultVhost__";

export const PROTOCOLS = {
  flv: { name: "HTTP-FLV", extension: "flv", schema: "http" },
  "ws-flv": { name: "WebSocket-FLV", extension: "flv", schema: "ws" },
  mp4: { name: "fMP4", extension: "mp4", schema: "http" },
  hls: { name: "HLS", extension: "m3u8", schema: "http" },
};

const PROTOCOL_OF = { flv: "flv", mp4: "mp4", m3u8: "hls" };

// What the page's address asks for; the server is the page's own unless it says otherwise.
export function readLink(location) {
  const query = new URLSearchParams(location.search);
  const isSecure = location.protocol === "https:";
  const server = query.get("server") || query.get("host") || location.hostname || "127.0.0.1";
  const isOwn = server === location.hostname;
  const port = query.get("port") || (isOwn ? location.port : "") || (isSecure ? "443" : isOwn ? "80" : "8080");
  const wanted = {
    server,
    port,
    isSecure: query.get("schema") === "https" || query.get("schema") === "wss" || (isSecure && isOwn),
    vhost: query.get("vhost") || DEFAULT_VHOST,
    app: query.get("app") || "live",
    stream: query.get("stream") || "livestream",
    protocol: query.get("protocol") in PROTOCOLS ? query.get("protocol") : null,
    isAutomatic: query.get("autostart") === "true",
    isLowLatency: query.get("low_latency") !== "false",
    extra: [...query].filter(([name]) => !OWN.has(name) && !IGNORED.has(name) && name !== "host"),
  };
  if (/^wss?$/.test(query.get("schema") ?? "")) wanted.protocol ??= "ws-flv";
  const match = /^(.+)\.(flv|mp4|m3u8)$/.exec(wanted.stream);
  if (match) {
    wanted.stream = match[1];
    wanted.protocol ??= PROTOCOL_OF[match[2]];
  }
  wanted.protocol ??= "flv";
  const url = parseUrl(query.get("url"));
  return url ? { ...wanted, ...url } : wanted;
}

// The parts of a stream's own address; null if it is none that can be played here.
export function parseUrl(text) {
  let url;
  try {
    url = new URL(text);
  } catch {
    return null;
  }
  const match = /^\/(.+)\/([^/]+)\.(flv|mp4|m3u8)$/.exec(url.pathname);
  if (!/^(https?|wss?):$/.test(url.protocol) || !match) return null;
  const extra = [...url.searchParams].filter(([name]) => name !== "vhost");
  const isSocket = url.protocol.startsWith("ws");
  return {
    server: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port || (/s:$/.test(url.protocol) ? "443" : "80"),
    isSecure: url.protocol === "https:" || url.protocol === "wss:",
    vhost: url.searchParams.get("vhost") || DEFAULT_VHOST,
    app: decode(match[1]),
    stream: decode(match[2]),
    protocol: isSocket && match[3] === "flv" ? "ws-flv" : PROTOCOL_OF[match[3]],
    extra,
  };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// The address to play.
export function buildUrl(wanted) {
  const { extension, schema } = PROTOCOLS[wanted.protocol];
  const scheme = wanted.isSecure ? `${schema}s` : schema;
  const host = wanted.server.includes(":") ? `[${wanted.server}]` : wanted.server;
  const isUsual = wanted.port === (wanted.isSecure ? "443" : "80");
  const path = [...wanted.app.split("/"), wanted.stream].map(encodeURIComponent).join("/");
  const query = new URLSearchParams(wanted.extra);
  if (wanted.vhost !== DEFAULT_VHOST && wanted.vhost !== wanted.server) query.set("vhost", wanted.vhost);
  const tail = query.size > 0 ? `?${query}` : "";
  return `${scheme}://${host}${isUsual ? "" : `:${wanted.port}`}/${path}.${extension}${tail}`;
}

// The page's address that plays this, for others: by names where they say all, as they are easier to read and to change.
export function shareLink(location, wanted) {
  const query = new URLSearchParams();
  if (wanted.server === location.hostname && wanted.port === (location.port || "80") && !wanted.isSecure) {
    query.set("app", wanted.app);
    query.set("stream", wanted.stream);
    query.set("protocol", wanted.protocol);
    if (wanted.vhost !== DEFAULT_VHOST) query.set("vhost", wanted.vhost);
    for (const [name, value] of wanted.extra) query.append(name, value);
  } else {
    query.set("url", buildUrl(wanted));
  }
  if (!wanted.isLowLatency) query.set("low_latency", "false");
  query.set("autostart", "true");
  return `${location.origin}${location.pathname}?${query}`;
}
