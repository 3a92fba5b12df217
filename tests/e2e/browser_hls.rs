//! HLS on our player page in Chromium: by the browser itself, or through hls.js where the site has it.

use std::fs;

use crate::browser_player::Site;
use crate::support::clients::script;
use crate::support::media::Sample;
use crate::support::server::Setup;

#[test]
fn the_player_page_plays_hls() {
    let hls = "hls { enabled on; hls_path ./html; hls_fragment 2; hls_window 10; hls_wait_keyframe on; }";
    let site = Site::with(Setup::default().vhost(hls));
    let folder = site.server.file("html/js");
    fs::create_dir_all(&folder).expect("create a folder");
    fs::copy(script("hls.min.js"), folder.join("hls.min.js")).expect("copy hls.js; scripts/clients.sh gets it");
    let _publisher = site.publish(Sample::H264Aac, "s");
    let browser = &site.browser;
    browser.open(&site.url("/players/"));
    browser.wait_for("document.querySelector('input[name=protocol][value=hls]')", 10);
    let list = site.server.file("html/live/s.m3u8");
    crate::support::wait::wait_for("two segments", 20, || {
        let text = fs::read_to_string(&list).unwrap_or_default();
        (text.matches("#EXTINF").count() >= 2).then_some(())
    });
    browser.open(&site.url("/players/?stream=s.m3u8&autostart=true"));
    site.assert_plays(3.0);
    browser.assert_content();
}
