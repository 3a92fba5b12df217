// Numbers as people read them.

const number = (value, digits) =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

function scaled(value, units, base) {
  let index = 0;
  while (Math.abs(value) >= base && index < units.length - 1) {
    value /= base;
    index++;
  }
  const digits = index === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${number(value, digits)} ${units[index]}`;
}

// From kilobits a second.
export const bitrate = (kbps) => scaled(kbps, ["kbit/s", "Mbit/s", "Gbit/s"], 1000);

export const bytes = (count) => scaled(count, ["B", "KiB", "MiB", "GiB", "TiB"], 1024);

export const count = (value) => number(value, 0);

// A ratio, 1 being the whole.
export const percent = (ratio) => `${number(ratio * 100, ratio < 0.1 ? 1 : 0)}%`;

export const decimal = (value, digits = 1) => number(value, digits);

export function duration(seconds) {
  const s = Math.floor(seconds);
  const [days, hours, minutes] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  if (minutes > 0) return `${minutes} min ${s % 60} s`;
  return `${s} s`;
}
