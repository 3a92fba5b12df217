// Asks again and again, never twice at once, and tells of failures.

export class Poll {
  // `work()` asks and shows; `onError(error)` when it fails; `period` in ms.
  constructor(work, onError, period) {
    Object.assign(this, { work, onError, period, timer: null, isRunning: false, isWanted: false });
  }

  // At once, and from now on.
  now() {
    clearTimeout(this.timer);
    this.isWanted = true;
    if (!this.isRunning) this.run();
  }

  stop() {
    clearTimeout(this.timer);
    this.isWanted = false;
  }

  async run() {
    this.isRunning = true;
    while (this.isWanted) {
      this.isWanted = false;
      try {
        await this.work();
        this.timer = setTimeout(() => this.now(), this.period);
      } catch (error) {
        if (this.onError(error)) this.timer = setTimeout(() => this.now(), this.period);
      }
    }
    this.isRunning = false;
  }
}
