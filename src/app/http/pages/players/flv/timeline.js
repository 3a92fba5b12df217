// Maps a stream's clock to one that begins at zero and goes on without leaps: a publisher that comes back may start its
// clock anywhere.

// Further apart than this, two frames of a track are not one after the other; ms.
const LEAP_AHEAD = 10_000;
const LEAP_BACK = 1_000;
// Between the frames before and after a leap, ms.
const STEP = 40;

export class Timeline {
  constructor() {
    this.offset = null;
    this.last = {};
  }

  // The time of a track's next frame, ms since the start.
  place(type, time) {
    this.offset ??= -time;
    let placed = time + this.offset;
    const last = this.last[type] ?? this.latest();
    if (last !== undefined && (placed - last > LEAP_AHEAD || last - placed > LEAP_BACK)) {
      this.offset = this.latest() + STEP - time;
      placed = time + this.offset;
    }
    // Before the very first frame of the other track: there is no time below zero.
    placed = Math.max(0, placed);
    this.last[type] = placed;
    return placed;
  }

  latest() {
    const times = Object.values(this.last);
    return times.length > 0 ? Math.max(...times) : undefined;
  }
}
