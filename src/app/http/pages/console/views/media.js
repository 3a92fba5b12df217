// How streams and clients are written, wherever they appear.

import { h } from "../dom.js";
import { bitrate, count, decimal } from "../format.js";

export const DEFAULT_VHOST = "__defaultVhost__";

export const vhostName = (context, id) => context.vhosts.get(id)?.name ?? "";

export const streamPath = (stream) => `${stream.app}/${stream.name}`;

const CODECS = { H264: "H.264", HEVC: "H.265" };

export function videoText(video) {
  if (!video) return "–";
  const codec = CODECS[video.codec] ?? video.codec;
  return video.width > 0 ? `${codec} ${video.width}×${video.height}` : codec;
}

export function videoDetail(video, fps) {
  if (!video) return "";
  const profile = video.profile && video.profile !== "Other" ? `${video.profile} ${video.level !== "Other" ? video.level : ""}` : "";
  return [profile.trim(), fps === null ? "" : `${decimal(fps, 0)} fps`].filter(Boolean).join(" · ");
}

export function audioText(audio) {
  if (!audio) return "–";
  return `${audio.codec} ${decimal(audio.sample_rate / 1000, audio.sample_rate % 1000 === 0 ? 0 : 1)} kHz`;
}

export function audioDetail(audio) {
  if (!audio) return "";
  const profile = audio.profile && audio.profile !== "Other" ? audio.profile : "";
  return [profile, audio.channel === 1 ? "mono" : "stereo"].filter(Boolean).join(" · ");
}

// The player page with this stream.
export function playLink(context, stream) {
  const media = new URL(context.media ?? location.origin);
  const query = new URLSearchParams({ app: stream.app, stream: stream.name, autostart: "true" });
  const vhost = vhostName(context, stream.vhost);
  if (vhost && vhost !== DEFAULT_VHOST) query.set("vhost", vhost);
  return `${media.origin}/players/?${query}`;
}

export const isPlayed = (stream) => stream.publish.active;

const KINDS = {
  "rtmp-play": "RTMP player",
  "flv-play": "HTTP player",
  "hls-play": "HLS player",
  "rtc-play": "WebRTC player",
  "srt-play": "SRT player",
  "fmle-publish": "RTMP publisher",
  "flash-publish": "RTMP publisher",
  "haivision-publish": "RTMP publisher",
  "rtc-publish": "WebRTC publisher",
  "srt-publish": "SRT publisher",
};

export const kindText = (client) => KINDS[client.type] ?? client.type;

// A cell with its label, which phones show where the table's head has no room.
export const cell = (label, main, detail, properties) =>
  h("td", { "data-label": label, ...properties }, h("span", null, main), detail ? h("small", null, detail) : null);

export const rateCell = (label, kbps) => cell(label, kbps > 0 ? bitrate(kbps) : "–", null, { class: "number" });

export const countCell = (label, value) => cell(label, count(value), null, { class: "number" });
