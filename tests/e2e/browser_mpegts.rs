//! mpegts.js, which many sites play HTTP-FLV and HTTP-TS with, in Chromium.

use std::fs;

use crate::browser_player::Site;
use crate::support::clients::script;
use crate::support::media::Sample;
use crate::support::server::Setup;

/// Plays a live stream of the site, whose server serves it as `extension`.
fn play(extension: &str, kind: &str) {
    let mount = format!("http_remux {{ enabled on; mount [vhost]/[app]/[stream].{extension}; }}");
    let site = Site::with(Setup::default().vhost(&mount));
    let html = site.server.file("html");
    fs::create_dir_all(&html).expect("create the site's folder");
    fs::copy(script("mpegts.js"), html.join("mpegts.js")).expect("copy mpegts.js; scripts/clients.sh gets it");
    let page = format!(
        "<!doctype html><title>player</title><link rel=icon href=data:,><video muted></video><script src=mpegts.js></script>\n\
         <script>\n\
         const player = mpegts.createPlayer({{ type: '{kind}', isLive: true, url: location.origin + '/live/s.{extension}' }});\n\
         window.problems = [];\n\
         player.on(mpegts.Events.ERROR, (type, detail, info) => problems.push(`${{type}} ${{detail}} ${{info?.msg}}`));\n\
         player.attachMediaElement(document.querySelector('video'));\n\
         player.load();\n\
         player.play();\n\
         </script>"
    );
    fs::write(html.join("play.html"), page).expect("write the page");
    let _publisher = site.publish(Sample::H264Aac, "s");
    site.browser.open(&site.url("/play.html"));
    site.assert_plays(4.0);
    assert_eq!(site.browser.eval("problems"), serde_json::json!([]));
    site.browser.assert_content();
}

#[test]
fn mpegts_js_plays_flv() {
    play("flv", "flv");
}

#[test]
fn mpegts_js_plays_ts() {
    play("ts", "mpegts");
}
