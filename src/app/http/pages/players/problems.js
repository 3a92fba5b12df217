// What can go wrong, in words that say what to do.

export class Problem extends Error {
  // `isPassing`: it may be over by itself, so it is worth another try.
  constructor(title, advice, isPassing = false) {
    super(title);
    this.advice = advice;
    this.isPassing = isPassing;
  }
}

export function ofStatus(status, url) {
  const extension = new URL(url).pathname.split(".").pop();
  switch (status) {
    case 401:
    case 403:
      return new Problem("The server refuses this stream", `It answers ${status}. The link may lack a token, or the token is no longer valid.`);
    case 404:
      return new Problem(
        "No such stream here",
        `The server answers 404: it does not serve .${extension} at this address. Check the name and the vhost, and that http_remux is on there with a mount that ends in .${extension}.`,
      );
    default:
      return new Problem("The server cannot play this now", `It answers with status ${status}.`, status >= 500);
  }
}

export const unreachable = (url) =>
  new Problem(
    "The server cannot be reached",
    `Nothing answers at ${new URL(url).host}, or it does not let pages of this site in (http_server.crossdomain).`,
    true,
  );

export const lost = () => new Problem("The connection broke", "It is made again by itself.", true);

export const notLive = () => new Problem("The stream has ended", "It plays again as soon as it is published.", true);

export const unknownCodec = (name) =>
  new Problem(
    `This browser cannot play ${name}`,
    "Another browser may be able to, or the encoder can be set to H.264 and AAC, which play everywhere.",
  );

export const undecodable = (detail) =>
  new Problem("The browser cannot decode this stream", detail || "Its media may be damaged, or in a form that this browser does not know.");

export const notMedia = (detail) => new Problem("This is not a stream that can be played", `What comes from there is not FLV: ${detail}.`);

export const noMediaSource = () =>
  new Problem("This browser cannot play FLV", "It has no Media Source Extensions. Try fMP4 or HLS, or another browser.");

// Asks for the head of an answer only; gives a problem, or null if there is none.
export async function probe(url, signal) {
  const stop = new AbortController();
  signal?.addEventListener("abort", () => stop.abort(), { once: true });
  try {
    const answer = await fetch(url, { signal: stop.signal, cache: "no-store" });
    return answer.ok ? null : ofStatus(answer.status, url);
  } catch {
    return unreachable(url);
  } finally {
    stop.abort();
  }
}
