//! HLS in Chromium: with hls.js, which sites play it with, and by the browser itself.

use std::fs;

use serde_json::json;

use crate::browser_player::Site;
use crate::support::clients::script;
use crate::support::media::Sample;
use crate::support::server::Setup;
use crate::support::wait::wait_for;

/// A site with a page that runs `code` after the library `name`; the video is `video`, errors go to `problems`.
fn site(directives: &str, name: &str, code: &str) -> Site {
    let site = Site::with(Setup::default().vhost(directives));
    let html = site.server.file("html");
    fs::create_dir_all(&html).expect("create the site's folder");
    fs::copy(script(name), html.join(name)).expect("copy the library; scripts/clients.sh gets it");
    let page = format!(
        "<!doctype html><title>player</title><link rel=icon href=data:,><video muted autoplay></video>\n\
         <script src={name}></script><script>\n\
         window.problems = [];\n\
         const video = document.querySelector('video');\n\
         {code}\n\
         </script>"
    );
    fs::write(html.join("play.html"), page).expect("write the page");
    site
}

const HLS: &str = "window.player = new Hls({ lowLatencyMode: LOW });\n\
     player.on(Hls.Events.ERROR, (_, error) => { if (error.fatal) problems.push(`${error.type} ${error.details}`); });\n\
     player.loadSource('/live/s.m3u8');\n\
     player.attachMedia(video);\n\
     video.play();";

fn hls(directives: &str, is_low: bool) -> Site {
    let block = format!("hls {{ enabled on; hls_path ./html; {directives} }}");
    site(&block, "hls.min.js", &HLS.replace("LOW", &is_low.to_string()))
}

#[track_caller]
fn wait_for_file(site: &Site, name: &str) {
    let path = site.server.file(&format!("html/live/{name}"));
    wait_for(&format!("the file {name}"), 20, || path.exists().then_some(()));
}

#[track_caller]
fn assert_plays(site: &Site) {
    site.browser.open(&site.url("/play.html"));
    site.assert_plays(3.0);
    assert_eq!(site.browser.eval("problems"), json!([]));
}

#[test]
fn hls_js_plays_with_and_without_sessions() {
    for ctx in ["on", "off"] {
        let site = hls(&format!("hls_fragment 2; hls_window 10; hls_ctx {ctx};"), false);
        let _publisher = site.publish(Sample::H264Aac, "s");
        wait_for_file(&site, "s-1.ts");
        assert_plays(&site);
        let segments =
            "performance.getEntriesByType('resource').map(entry => entry.name).filter(name => name.includes('.ts'))";
        let with_id = format!(
            "{segments}.length > 0 && {segments}.every(name => name.includes('hls_ctx=') === {})",
            ctx == "on"
        );
        assert_eq!(
            site.browser.eval(&with_id),
            json!(true),
            "hls_ctx {ctx}: {}",
            site.browser.eval(segments)
        );
    }
}

#[test]
fn hls_js_decrypts() {
    let site = hls(
        "hls_fragment 1; hls_window 10; hls_keys on; hls_fragments_per_key 2;",
        false,
    );
    let _publisher = site.publish(Sample::H264Aac, "s");
    wait_for_file(&site, "s-2.ts");
    assert_plays(&site);
}

#[test]
fn hls_js_plays_av1_in_fragmented_mp4() {
    let site = hls("hls_fragment 2; hls_window 10; hls_use_fmp4 on;", false);
    let _publisher = site.publish(Sample::Av1Opus, "s");
    wait_for_file(&site, "s-1.m4s");
    assert_plays(&site);
}

#[test]
fn hls_js_plays_with_low_latency() {
    let site = hls(
        "hls_fragment 2; hls_window 20; hls_low_latency on; hls_part 0.33;",
        true,
    );
    let _publisher = site.publish(Sample::H264Aac, "s");
    wait_for_file(&site, "s-1.m4s");
    assert_plays(&site);
    assert_eq!(
        site.browser.eval("player.levels[0].details.canBlockReload"),
        json!(true)
    );
    // From the server's first byte of a segment to the screen; without parts it would be 6 s and more.
    site.browser
        .wait_for("Date.now() - player.playingDate.getTime() < 3000", 20);
    let behind = site.browser.eval("Date.now() - player.playingDate.getTime()");
    println!("low-latency HLS is {behind} ms behind");
    let asked = site.server.log();
    assert!(
        asked.contains("_HLS_msn=") && asked.contains(".part"),
        "it plays by parts"
    );
}

/// Chromium 156 gives up for good (`DEMUXER_ERROR_COULD_NOT_PARSE`) on a live playlist that lists fewer than three
/// segments when it comes, whoever wrote it and however long they are: it takes them all, asks for the playlist again,
/// finds nothing new, and calls that a stream without data.
#[test]
fn the_browser_itself_plays_hls() {
    for directives in ["", "hls_use_fmp4 on;"] {
        let site = hls(&format!("hls_fragment 2; hls_window 10; {directives}"), false);
        let page = "<!doctype html><title>player</title><link rel=icon href=data:,>\
                    <video muted autoplay src=/live/s.m3u8></video>";
        fs::write(site.server.file("html/native.html"), page).expect("write the page");
        let _publisher = site.publish(Sample::H264Aac, "s");
        let list = site.server.file("html/live/s.m3u8");
        wait_for("three segments", 20, || {
            let text = fs::read_to_string(&list).unwrap_or_default();
            (text.matches("#EXTINF").count() >= 3).then_some(())
        });
        site.browser.open(&site.url("/native.html"));
        site.assert_plays(3.0);
    }
}

#[test]
fn hls_js_chooses_among_variants() {
    let directives = "hls_fragment 2; hls_window 10; hls_variants _sd _ld;";
    let site = hls(directives, false);
    let page = fs::read_to_string(site.server.file("html/play.html")).expect("the page");
    let page = page.replace("/live/s.m3u8", "/live/s_abr.m3u8");
    fs::write(site.server.file("html/play.html"), page).expect("write the page");
    let _plain = site.publish(Sample::H264Aac, "s");
    let _small = site.publish(Sample::H264Aac, "s_ld");
    wait_for_file(&site, "s-1.ts");
    wait_for_file(&site, "s_ld-1.ts");
    let text = wait_for("both in one playlist", 20, || {
        let text = fs::read_to_string(site.server.file("html/live/s_abr.m3u8")).ok()?;
        (text.contains("\ns.m3u8\n") && text.contains("\ns_ld.m3u8\n")).then_some(text)
    });
    assert!(
        text.contains("CODECS=\"avc1.64000c,mp4a.40.2\",RESOLUTION=320x180\ns.m3u8\n"),
        "{text}"
    );
    assert!(!text.contains("s_sd"), "{text}");
    assert_plays(&site);
    let log = site.server.log();
    let begun = log
        .lines()
        .filter(|line| line.contains("HLS session") && line.contains("begins"));
    assert_eq!(begun.count(), 1, "one player, whatever it chooses");
}
