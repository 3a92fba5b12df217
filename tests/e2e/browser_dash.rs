//! DASH in Chromium through dash.js: on a page of a site, and on our player page.

use std::fs;

use serde_json::json;

use crate::browser_player::Site;
use crate::support::clients::script;
use crate::support::media::Sample;
use crate::support::program::Program;
use crate::support::server::Setup;
use crate::support::wait::wait_for;

const PAGE: &str = "<!doctype html><title>player</title><link rel=icon href=data:,><video muted></video>\n\
     <script src=dash.all.min.js></script><script>\n\
     window.player = dashjs.MediaPlayer().create();\n\
     window.problems = [];\n\
     player.on('error', event => problems.push(event.error?.message ?? event.error));\n\
     player.on('conformanceViolation', event => problems.push(event.event?.message ?? event.level));\n\
     player.initialize(document.querySelector('video'), location.origin + '/live/s.mpd', true);\n\
     </script>";

/// A site with DASH that has dash.js in this folder, and a page that plays with it.
fn site(folder: &str, directives: &str) -> Site {
    let dash = format!("dash {{ enabled on; dash_path ./html; dash_fragment 2; dash_window_size 10; {directives} }}");
    let site = Site::with(Setup::default().vhost(&dash));
    let folder = site.server.file(folder);
    fs::create_dir_all(&folder).expect("create a folder of the site");
    fs::copy(script("dash.all.min.js"), folder.join("dash.all.min.js"))
        .expect("copy dash.js; scripts/clients.sh gets it");
    fs::write(site.server.file("html/play.html"), PAGE).expect("write the page");
    site
}

/// Publishes, and waits until the manifest lists two segments of each track.
#[track_caller]
fn publish(site: &Site) -> Program {
    let publisher = site.publish(Sample::H264Aac, "s");
    let manifest = site.server.file("html/live/s.mpd");
    wait_for("a manifest of four segments", 30, || {
        let text = fs::read_to_string(&manifest).unwrap_or_default();
        (text.matches("<S ").count() >= 4).then_some(())
    });
    publisher
}

#[test]
fn dash_js_plays_and_asks_nobody_else() {
    let site = site("html", "dash_update_period 2;");
    let _publisher = publish(&site);
    site.browser.open(&site.url("/play.html"));
    site.assert_plays(4.0);
    assert_eq!(site.browser.eval("problems"), json!([]));
    // A player that is told no clock goes to one that somebody else runs.
    let strangers = "performance.getEntriesByType('resource').map(entry => entry.name)\
                     .filter(name => !name.startsWith(location.origin))";
    assert_eq!(site.browser.eval(strangers), json!([]));
    site.browser.assert_content();
}

#[test]
fn dash_js_plays_with_low_latency() {
    let site = site("html", "dash_low_latency on;");
    let _publisher = publish(&site);
    site.browser.open(&site.url("/play.html"));
    site.assert_plays(4.0);
    assert_eq!(site.browser.eval("problems"), json!([]));
    // From the server's first byte of a picture to the screen; with whole segments it would be 6 s.
    site.browser.wait_for("player.getCurrentLiveLatency() < 2.5", 20);
    let behind = site.browser.eval("player.getCurrentLiveLatency()");
    println!("low-latency DASH is {behind} s behind");
    // What it has buffered is less than a segment: it cannot have waited for whole ones.
    site.assert_plays(6.0);
    assert_eq!(site.browser.eval("problems"), json!([]));
    println!("and then {} s", site.browser.eval("player.getCurrentLiveLatency()"));
    println!(
        "stalls: {}",
        site.browser.eval("player.getDashMetrics().getCurrentDroppedFrames()")
    );
}

#[test]
fn the_player_page_plays_dash() {
    let site = site("html/js", "dash_update_period 2;");
    let _publisher = publish(&site);
    let browser = &site.browser;
    browser.open(&site.url("/players/"));
    browser.wait_for("document.querySelector('input[name=protocol][value=dash]')", 10);
    browser.open(&site.url("/players/?stream=s.mpd&autostart=true"));
    site.assert_plays(3.0);
    browser.assert_content();
}
