// Where a stream's bytes come from: the body of an answer, or the messages of a WebSocket.

import { lost, ofStatus, probe, unreachable } from "./problems.js";

// Each gives the bytes to `onBytes` as they come, `onOpen` before the first, and returns at the stream's end. They throw a
// Problem, or AbortError when `signal` says so.

export async function readHttp(url, signal, { onOpen, onBytes }) {
  let answer;
  try {
    answer = await fetch(url, { signal, cache: "no-store" });
  } catch (error) {
    throw signal.aborted ? error : unreachable(url);
  }
  if (!answer.ok) throw ofStatus(answer.status, url);
  onOpen();
  const reader = answer.body.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw signal.aborted ? error : lost();
    });
    if (done) return;
    onBytes(value);
  }
}

export async function readWebSocket(url, signal, { onOpen, onBytes }) {
  let isOpen = false;
  const end = await new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      isOpen = true;
      onOpen();
    };
    const fail = (error) => {
      socket.onclose = null;
      socket.close();
      reject(error);
    };
    socket.onmessage = ({ data }) => {
      try {
        if (data instanceof ArrayBuffer) onBytes(new Uint8Array(data));
      } catch (error) {
        fail(error);
      }
    };
    socket.onclose = resolve;
    signal.addEventListener("abort", () => fail(signal.reason), { once: true });
  });
  if (isOpen) {
    if (end.wasClean) return;
    throw lost();
  }
  // The browser does not tell why it was refused; the same address over HTTP does.
  const address = url.replace(/^ws/, "http");
  throw (await probe(address, signal)) ?? unreachable(address);
}
