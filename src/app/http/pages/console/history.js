// What was measured over the last hour, for the charts. The page keeps it; the server does not.

const KEEP_MS = 60 * 60 * 1000;

export class History {
  constructor() {
    this.points = [];
    this.last = null;
  }

  // Takes an answer of /api/v1/summaries.
  add({ self, system, now_ms: now }) {
    const last = this.last;
    // A clock that went back, or counters that began anew, mean another server.
    if (last && (now < last.now || system.srs_recv_bytes < last.received || system.srs_send_bytes < last.sent)) {
      this.points = [];
      this.last = null;
    }
    const rates = this.rates(system);
    if (!rates) return;
    this.last = { ...this.last, now };
    this.points.push({
      time: now,
      ...rates,
      connections: system.conn_srs,
      cpu: self.cpu_percent,
      machineCpu: system.cpu_percent,
      memory: self.mem_kbyte * 1024,
    });
    const first = this.points.findIndex((point) => point.time > now - KEEP_MS);
    if (first > 0) this.points.splice(0, first);
  }

  // The server counts every few seconds; between two counts there is nothing new to tell.
  rates(system) {
    const { srs_sample_time: time, srs_recv_bytes: received, srs_send_bytes: sent, now } = { ...system, now: 0 };
    const last = this.last;
    if (last && time <= last.time) return null;
    const milliseconds = last ? time - last.time : 0;
    this.last = { time, received, sent, now };
    // Bits a millisecond are kilobits a second.
    const rate = (bytes, before) => ((bytes - before) * 8) / milliseconds;
    return last ? { in: rate(received, last.received), out: rate(sent, last.sent) } : { in: null, out: null };
  }

  get latest() {
    return this.points.at(-1) ?? null;
  }
}

// Pictures a second of many streams, from their counters.
export class FrameRates {
  constructor() {
    this.samples = new Map();
  }

  // Takes the streams that are looked at now; forgets the others.
  add(streams) {
    const before = this.samples;
    this.samples = new Map();
    for (const { id, frames, live_ms: time } of streams) {
      const old = before.get(id) ?? [];
      const isSame = old.length > 0 && old.at(-1).frames === frames;
      const isNew = old.length > 0 && frames < old.at(-1).frames;
      const list = isNew ? [] : old;
      // The server counts in steps of some seconds: only changes are of use.
      this.samples.set(id, isSame && !isNew ? list : [...list, { frames, time }].slice(-6));
    }
  }

  // Null while it is not known yet.
  of(id) {
    const list = this.samples.get(id) ?? [];
    // The first sample lies anywhere between two steps.
    const steps = list.length > 2 ? list.slice(1) : list;
    if (steps.length < 2) return null;
    const [first, last] = [steps[0], steps.at(-1)];
    return last.time > first.time ? ((last.frames - first.frames) * 1000) / (last.time - first.time) : null;
  }
}
