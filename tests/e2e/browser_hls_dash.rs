//! HLS and DASH in Chromium: through hls.js and dash.js, which sites play them with, and HLS by the browser itself.

use std::fs;

use serde_json::json;

use crate::browser_player::Site;
use crate::support::clients::script;
use crate::support::media::Sample;
use crate::support::program::Program;
use crate::support::server::Setup;
use crate::support::wait::wait_for;

/// A site with these directives in its `hls` block, or `dash` block.
fn site(block: &str, directives: &str) -> Site {
    Site::with(Setup::default().vhost(&format!(
        "{block} {{ enabled on; {block}_fragment 1; {block}_path ./html; {directives} }}"
    )))
}

/// Copies a player to the site.
fn install(site: &Site, name: &str, folder: &str) {
    let folder = site.server.file(folder);
    fs::create_dir_all(&folder).expect("create a folder of the site");
    fs::copy(script(name), folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}; scripts/clients.sh gets it"));
}

/// Publishes, and waits until the list of segments that is `file` has so many lines of a kind.
#[track_caller]
fn publish(site: &Site, file: &str, line: &str, count: usize) -> Program {
    let publisher = site.publish(Sample::H264Aac, "s");
    let list = site.server.file(&format!("html/live/{file}"));
    wait_for(&format!("{count} of {line} in {file}"), 30, || {
        let text = fs::read_to_string(&list).unwrap_or_default();
        (text.matches(line).count() >= count).then_some(())
    });
    publisher
}

/// Writes a page with a video and opens it.
#[track_caller]
fn open(site: &Site, video: &str, scripts: &str) {
    let page = format!(
        "<!doctype html><title>player</title><link rel=icon href=data:,><video muted {video}></video>\n{scripts}"
    );
    let html = site.server.file("html");
    fs::create_dir_all(&html).expect("create the site's folder");
    fs::write(html.join("play.html"), page).expect("write the page");
    site.browser.open(&site.url("/play.html"));
}

/// The addresses that the page has asked for that have `part` in them; of those that do not, with `!` before it.
fn fetched(site: &Site, part: &str) -> Vec<String> {
    let names = site
        .browser
        .eval("performance.getEntriesByType('resource').map(entry => entry.name)");
    let names = names.as_array().expect("names").iter();
    let (wanted, part) = match part.strip_prefix('!') {
        Some(part) => (false, part),
        None => (true, part),
    };
    names
        .filter_map(|name| name.as_str())
        .filter(|name| name.contains(part) == wanted)
        .map(str::to_owned)
        .collect()
}

/// Plays `/live/s.m3u8` with hls.js.
fn play_with_hls_js(site: &Site) -> Program {
    install(site, "hls.min.js", "html");
    let publisher = publish(site, "s.m3u8", "#EXTINF", 2);
    open(
        site,
        "",
        "<script src=hls.min.js></script><script>\n\
         const video = document.querySelector('video');\n\
         const hls = new Hls();\n\
         window.problems = [];\n\
         hls.on(Hls.Events.ERROR, (_, data) => {\n\
           // A machine that is busy may let the buffer run empty.\n\
           if (data.fatal || !data.details.startsWith('buffer')) problems.push(`${data.type} ${data.details} ${data.reason}`);\n\
         });\n\
         hls.loadSource('/live/s.m3u8');\n\
         hls.attachMedia(video);\n\
         video.play().catch(() => {});\n\
         </script>",
    );
    site.assert_plays(4.0);
    assert_eq!(site.browser.eval("problems"), json!([]));
    site.browser.assert_content();
    publisher
}

#[test]
fn hls_js_plays_with_a_session() {
    let site = site("hls", "hls_window 10; hls_ctx on; hls_ts_ctx on;");
    let _publisher = play_with_hls_js(&site);
    site.server.wait_for_line(&["HLS session ", " begins, ip=127.0.0.1"]);
    let segments = fetched(&site, ".ts");
    assert!(
        !segments.is_empty() && segments.iter().all(|name| name.contains("hls_ctx=")),
        "{segments:?}"
    );
}

#[test]
fn hls_js_plays_plain_files() {
    let site = site("hls", "hls_window 10; hls_ctx off;");
    let _publisher = play_with_hls_js(&site);
    assert!(!fetched(&site, ".ts").is_empty());
    assert_eq!(fetched(&site, "hls_ctx"), Vec::<String>::new());
}

#[test]
fn hls_js_decrypts() {
    let keys = "hls_keys on; hls_fragments_per_key 2; hls_key_file_path ./html;";
    let site = site("hls", &format!("hls_window 10; {keys}"));
    let _publisher = play_with_hls_js(&site);
    assert!(fetched(&site, ".key").len() >= 2, "{:?}", fetched(&site, ""));
}

/// Chromium 156 gives up for good (`DEMUXER_ERROR_COULD_NOT_PARSE`) on a live playlist that lists fewer than three
/// segments when it comes, whoever wrote it: it fetches them all, asks for the playlist again, finds nothing new, and
/// calls that a stream without data.
#[test]
fn chromium_plays_hls_by_itself() {
    for directives in ["hls_ctx on;", "hls_ctx off;"] {
        let site = site("hls", &format!("hls_window 10; {directives}"));
        let _publisher = publish(&site, "s.m3u8", "#EXTINF", 3);
        open(&site, "autoplay src=/live/s.m3u8", "");
        let video = "document.querySelector('video')";
        if site
            .browser
            .eval(&format!("{video}.canPlayType('application/vnd.apple.mpegurl')"))
            == ""
        {
            eprintln!("this Chromium plays no HLS by itself");
            return;
        }
        site.assert_plays(4.0);
        assert_eq!(
            site.browser.eval(&format!("{video}.error")),
            json!(null),
            "{directives}"
        );
        site.browser.assert_content();
    }
}

#[test]
fn dash_js_plays_and_asks_nobody_else() {
    let site = site("dash", "dash_update_period 1;");
    install(&site, "dash.all.min.js", "html");
    let _publisher = publish(&site, "s.mpd", "<S ", 4);
    open(
        &site,
        "",
        "<script src=dash.all.min.js></script><script>\n\
         const player = dashjs.MediaPlayer().create();\n\
         window.problems = [];\n\
         player.on('error', event => problems.push(event.error?.message ?? event.error));\n\
         player.on('conformanceViolation', event => problems.push(event.event?.message ?? event.level));\n\
         player.initialize(document.querySelector('video'), location.origin + '/live/s.mpd', true);\n\
         </script>",
    );
    site.assert_plays(4.0);
    assert_eq!(site.browser.eval("problems"), json!([]));
    // Players that are not told a clock go to one of a company's.
    assert_eq!(fetched(&site, "!http://127.0.0.1:"), Vec::<String>::new());
    assert!(!fetched(&site, "/live/s/video-").is_empty());
    site.browser.assert_content();
}

#[test]
fn the_player_page_plays_dash() {
    let site = site("dash", "dash_update_period 1;");
    install(&site, "dash.all.min.js", "html/js");
    let _publisher = publish(&site, "s.mpd", "<S ", 4);
    let browser = &site.browser;
    browser.open(&site.url("/players/"));
    browser.wait_for("document.querySelector('input[name=protocol][value=dash]')", 10);
    browser.open(&site.url("/players/?stream=s.mpd&autostart=true"));
    site.assert_plays(3.0);
    browser.assert_content();
}
