// Keeps a player near the live edge: a little faster when it falls behind, a leap when it is far off, and more room when
// it runs dry.

const LOW = { target: 0.7, slack: 0.5, leap: 4 };
const EASY = { target: 3, slack: 2, leap: 15 };
const MOST_TARGET = 4;
const FAST = 1.1;

export class LiveEdge {
  constructor(video, isLowLatency) {
    this.video = video;
    this.setLowLatency(isLowLatency);
    this.hasRun = false;
    this.onWaiting = () => this.ranDry();
    video.addEventListener("waiting", this.onWaiting);
  }

  setLowLatency(isLowLatency) {
    this.limits = { ...(isLowLatency ? LOW : EASY) };
  }

  // Seconds of media that are there and not yet shown.
  get behind() {
    const { buffered, currentTime } = this.video;
    return buffered.length === 0 ? 0 : Math.max(0, buffered.end(buffered.length - 1) - currentTime);
  }

  // To be called a few times a second.
  tick() {
    const { video } = this;
    if (video.buffered.length === 0 || video.seeking) return;
    this.leaveGap();
    const { behind } = this;
    const { target, slack, leap } = this.limits;
    if (behind > target + leap) this.seekToEdge();
    else if (behind > target + slack) video.playbackRate = FAST;
    else if (behind <= target) video.playbackRate = 1;
    if (!video.paused && video.readyState >= 3) this.hasRun = true;
  }

  seekToEdge() {
    const { buffered } = this.video;
    if (buffered.length === 0) return;
    const last = buffered.length - 1;
    this.video.currentTime = Math.max(buffered.start(last), buffered.end(last) - this.limits.target);
    this.video.playbackRate = 1;
  }

  // Where nothing is buffered the browser would wait for ever.
  leaveGap() {
    const { buffered, currentTime } = this.video;
    for (let i = 0; i < buffered.length; i++) {
      if (currentTime < buffered.start(i) - 0.001) {
        this.video.currentTime = buffered.start(i) + 0.001;
        return;
      }
      if (currentTime < buffered.end(i) - 0.01) return;
    }
  }

  ranDry() {
    this.video.playbackRate = 1;
    if (this.hasRun) this.limits.target = Math.min(MOST_TARGET, this.limits.target + 0.2);
  }

  close() {
    this.video.removeEventListener("waiting", this.onWaiting);
    this.video.playbackRate = 1;
  }
}
