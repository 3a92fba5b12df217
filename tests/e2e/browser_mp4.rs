//! Live streams as fragmented MP4 in Chromium: in a bare `<video>`, and on our player page.

use std::fs;

use serde_json::json;

use crate::browser_player::Site;
use crate::support::media::Sample;
use crate::support::server::Setup;

fn site() -> Site {
    Site::with(Setup::default().vhost("http_remux { enabled on; mount [vhost]/[app]/[stream].mp4; }"))
}

#[test]
fn a_bare_video_element_plays_mp4() {
    let site = site();
    let html = site.server.file("html");
    fs::create_dir_all(&html).expect("create the site's folder");
    let page = "<!doctype html><title>player</title><link rel=icon href=data:,>\
                <video muted autoplay src=/live/s.mp4></video>";
    fs::write(html.join("play.html"), page).expect("write the page");
    let _publisher = site.publish(Sample::H264Aac, "s");
    site.browser.open(&site.url("/play.html"));
    site.assert_plays(4.0);
    assert_eq!(site.browser.eval("document.querySelector('video').error"), json!(null));
    site.browser.assert_content();
}

#[test]
fn the_player_page_plays_mp4() {
    let site = site();
    let _publisher = site.publish(Sample::H264Aac, "s");
    let browser = &site.browser;
    browser.open(&site.url("/players/?stream=s&protocol=mp4&autostart=true"));
    site.assert_plays(3.0);
    browser.open(&site.url("/players/"));
    browser.wait_for("document.querySelector('input[name=protocol][value=mp4]')", 10);
    browser.assert_content();
}
