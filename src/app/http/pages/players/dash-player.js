// Plays DASH through dash.js: no browser plays it by itself.

import { VideoPlayer, insertScript } from "./native-player.js";
import { Problem } from "./problems.js";

// Where a site that wants DASH puts dash.js: below `http_server.dir`.
const DASH_SCRIPT = "/js/dash.all.min.js";

export class DashPlayer extends VideoPlayer {
  load() {
    this.loadScript()
      .catch(() => null)
      .then((dashjs) => {
        if (this.isStopped) return;
        if (dashjs?.supportsMediaSource()) this.attach(dashjs);
        else this.fail(noDash());
      });
  }

  async loadScript() {
    if (!globalThis.dashjs) await insertScript(DASH_SCRIPT);
    return globalThis.dashjs;
  }

  attach(dashjs) {
    this.dash = dashjs.MediaPlayer().create();
    this.dash.on("error", ({ error }) => this.explain(error?.message));
    // The session starts the video itself, with its sound off if need be.
    this.dash.initialize(this.video, this.url, false);
  }

  // Segments are the measure here: the manifest says how near the edge players stay.
  tick() {}

  stop() {
    this.dash?.destroy();
    super.stop();
  }
}

const noDash = () =>
  new Problem("This browser cannot play DASH by itself", `The site can install dash.js as ${DASH_SCRIPT} below http_server.dir.`);
