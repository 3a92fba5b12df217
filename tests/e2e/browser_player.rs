//! The player page in Chromium: FLV over HTTP and WebSocket, what it says when something is wrong, links.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::browser::Browser;
use crate::support::clients::Ffmpeg;
use crate::support::media::Sample;
use crate::support::port::Port;
use crate::support::program::{Program, run};
use crate::support::server::{Server, Setup};

/// A server with live streams as FLV, and a browser.
pub struct Site {
    // The browser goes first.
    pub browser: Browser,
    pub server: Server,
    web: Port,
}

impl Site {
    pub fn start() -> Self {
        Site::with(Setup::default().vhost("http_remux { enabled on; }"))
    }

    pub fn with(setup: Setup) -> Self {
        Site::at(Port::free(), setup)
    }

    pub fn at(web: Port, setup: Setup) -> Self {
        let listen = format!("127.0.0.1:{}", web.number());
        let server = setup
            .globals(&format!("http_server {{ enabled on; listen {listen}; dir ./html; }}\n"))
            .start();
        server.wait_for_line(&["HTTP-Server listen at tcp://"]);
        let browser = Browser::start(server.folder());
        browser.resize(1280, 860, false);
        Site { browser, server, web }
    }

    pub fn url(&self, target: &str) -> String {
        format!("http://127.0.0.1:{}{target}", self.web.number())
    }

    pub fn publish(&self, sample: Sample, stream: &str) -> Program {
        let encoder = match sample {
            Sample::HevcAac | Sample::Av1Opus | Sample::Vp9Opus => Ffmpeg::Eight,
            _ => Ffmpeg::Debian,
        };
        let publisher = encoder.publish(self.server.folder(), &sample.path(), &self.server.url(stream));
        // Its header: players that come now get it at once.
        self.server
            .wait_for_line(&["client identified", "publish", &format!("stream={stream},")]);
        publisher
    }

    /// Waits until the page's video goes on by `seconds`, and its decoded pictures with it.
    #[track_caller]
    pub fn assert_plays(&self, seconds: f64) {
        let browser = &self.browser;
        browser.wait_for("document.querySelector('video')?.currentTime > 0.2", 20);
        let state = "(() => { const v = document.querySelector('video'); \
                     return [v.currentTime, v.getVideoPlaybackQuality().totalVideoFrames]; })()";
        let before = browser.eval(state);
        let (time, frames) = (before[0].as_f64().unwrap_or(0.0), before[1].as_u64().unwrap_or(0));
        // Most of the pictures of that time: the machine may be busy.
        let wanted = frames + (seconds * 25.0 * 0.6) as u64;
        browser.wait_for(
            &format!(
                "document.querySelector('video').currentTime > {} && \
                 document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames > {wanted}",
                time + seconds
            ),
            20,
        );
        let size =
            browser.eval("[document.querySelector('video').videoWidth, document.querySelector('video').videoHeight]");
        assert_eq!(size, serde_json::json!([320, 180]));
    }
}

#[test]
fn the_player_page_plays_flv_over_http() {
    let site = Site::start();
    let _publisher = site.publish(Sample::H264Aac, "s");
    let browser = &site.browser;
    browser.open(&site.url("/players/?app=live&stream=s"));
    assert_eq!(browser.text("#message strong"), "Nothing is playing");
    browser.picture("player-idle");
    browser.click("#play");
    site.assert_plays(3.0);
    assert_eq!(
        browser.eval("document.getElementById('stage').dataset.state"),
        "playing"
    );
    let behind = "(() => { const v = document.querySelector('video'); return v.buffered.end(0) - v.currentTime; })()";
    browser.wait_for(&format!("{behind} < 2.5"), 20);
    browser.click("#details + span");
    browser.wait_for(
        "/H\\.264, AAC/.test(document.getElementById('statistics').innerText)",
        5,
    );
    browser.wait_for(
        "/2[0-9] a second/.test(document.getElementById('statistics').innerText)",
        10,
    );
    let shown = browser.text("#statistics");
    assert!(shown.contains("320 × 180"), "{shown}");
    browser.picture("player-light");
    browser.set_appearance("dark");
    browser.picture("player-dark");
    browser.click("#play");
    assert_eq!(browser.eval("document.getElementById('stage').dataset.state"), "idle");
    site.server.wait_for_line(&["http Flv player", "stream=s"]);
    browser.assert_content();
}

#[test]
fn the_player_page_plays_flv_over_websocket() {
    let site = Site::start();
    let _publisher = site.publish(Sample::H264Aac, "s");
    site.browser
        .open(&site.url("/players/?stream=s.flv&schema=ws&autostart=true"));
    site.assert_plays(3.0);
    assert!(
        site.browser
            .eval("document.getElementById('url').value")
            .as_str()
            .is_some_and(|url| url.starts_with("ws://"))
    );
    site.browser.assert_content();
}

#[test]
fn links_of_old_pages_play() {
    let site = Site::start();
    let _publisher = site.publish(Sample::H264Mp3, "s");
    let target = format!(
        "/players/srs_player.html?vhost=__defaultVhost__&app=live&stream=s&server=127.0.0.1&port={}&autostart=true&schema=http",
        site.web.number()
    );
    site.browser.open(&site.url(&target));
    site.assert_plays(2.0);
    site.browser.assert_content();
}

#[test]
fn newer_codecs_play_or_are_named() {
    let site = Site::start();
    for (sample, name) in [
        (Sample::HevcAac, "H.265"),
        (Sample::Av1Opus, "AV1"),
        (Sample::Vp9Opus, "VP9"),
    ] {
        let stream = name.replace('.', "");
        let _publisher = site.publish(sample, &stream);
        site.browser
            .open(&site.url(&format!("/players/?stream={stream}&autostart=true")));
        site.browser.wait_for(
            "['playing', 'failed'].includes(document.getElementById('stage').dataset.state)",
            20,
        );
        if site.browser.eval("document.getElementById('stage').dataset.state") == "playing" {
            site.assert_plays(2.0);
        } else {
            let text = site.browser.text("#message");
            assert!(text.contains(&format!("This browser cannot play {name}")), "{text}");
        }
    }
    site.browser.assert_content();
}

#[test]
fn the_player_page_waits_for_its_publisher_and_comes_back_after_it() {
    let site = Site::start();
    site.browser.open(&site.url("/players/?stream=later&autostart=true"));
    site.browser.wait_for(
        "document.getElementById('message').innerText.includes('Waiting for the publisher')",
        10,
    );
    site.browser.picture("player-waiting");
    let mut publisher = site.publish(Sample::H264Aac, "later");
    site.assert_plays(1.0);
    publisher.signal(Signal::SIGTERM);
    publisher.wait(5);
    site.browser.wait_for(
        "document.getElementById('message').innerText.includes('The stream has ended')",
        10,
    );
    std::thread::sleep(Duration::from_millis(500));
    let _publisher = site.publish(Sample::H264Aac, "later");
    site.browser
        .wait_for("document.getElementById('stage').dataset.state === 'playing'", 20);
    site.assert_plays(1.0);
    site.browser.assert_content();
}

#[test]
fn what_cannot_be_played_is_explained() {
    let site = Site::with(
        Setup::default().vhosts("vhost __defaultVhost__ { http_remux { enabled on; } } vhost plain.com { }"),
    );
    let browser = &site.browser;
    let message = |target: &str, wanted: &str| {
        browser.open(&site.url(target));
        browser.wait_for(
            &format!("document.getElementById('message').innerText.includes('{wanted}')"),
            15,
        );
    };
    message(
        "/players/?stream=s&vhost=plain.com&autostart=true",
        "No such stream here",
    );
    browser.picture("player-missing");
    message(
        "/players/?stream=s&vhost=plain.com&autostart=true&protocol=ws-flv",
        "No such stream here",
    );
    message(
        "/players/?stream=s&autostart=true&server=127.0.0.1&port=1",
        "The server cannot be reached",
    );
    let missing = browser.take_complaints();
    assert!(
        missing
            .iter()
            .all(|line| line.contains("404") || line.contains("ERR_UNSAFE_PORT") || line.contains("WebSocket")),
        "{missing:?}"
    );
    browser.open(&site.url("/players/"));
    browser.type_into("#url", "rtmp://127.0.0.1/live/s");
    assert_eq!(browser.eval("document.getElementById('url-hint').hidden"), false);
    browser.type_into("#url", "http://h:81/a/b/c.mp4?vhost=v&token=x");
    let fields =
        browser.eval("['server', 'port', 'vhost', 'app', 'stream'].map(id => document.getElementById(id).value)");
    assert_eq!(fields, serde_json::json!(["h", "81", "v", "a/b", "c"]));
    assert_eq!(
        browser.eval("document.querySelector('input[name=protocol]:checked').value"),
        "mp4"
    );
    browser.assert_content();
}

#[test]
fn the_player_page_fits_a_phone() {
    let site = Site::start();
    let _publisher = site.publish(Sample::H264Aac, "s");
    let browser = &site.browser;
    browser.resize(390, 844, true);
    browser.open(&site.url("/players/?stream=s&autostart=true"));
    site.assert_plays(1.0);
    assert_eq!(browser.eval("document.documentElement.scrollWidth"), 390);
    browser.picture("player-phone");
    browser.eval("document.querySelector('details').open = true");
    assert_eq!(browser.eval("document.documentElement.scrollWidth"), 390);
    browser.assert_content();
}

/// What the remuxer makes of a file, a track alone, as FFmpeg sees it.
fn remux(site: &Site, sample: Sample, kind: &str) -> usize {
    let script = format!(
        "(async () => {{
            const {{ Remuxer }} = await import('/players/flv/remuxer.js');
            const bytes = new Uint8Array(await (await fetch('/sample.flv', {{ cache: 'no-store' }})).arrayBuffer());
            const parts = [];
            const keep = (type, part) => {{ if (type === '{kind}') parts.push(part); }};
            const remuxer = new Remuxer({{
                onTracks() {{}}, onInit: (type, track, part) => keep(type, part), onMedia: keep,
            }});
            // In pieces of any length, as a network gives them.
            for (let at = 0, size = 1; at < bytes.length; at += size, size = size * 7 % 9973 + 1) {{
                remuxer.push(bytes.subarray(at, at + size));
            }}
            remuxer.finish();
            const blob = new Blob(parts);
            return await new Promise((resolve) => {{
                const reader = new FileReader();
                reader.onload = () => resolve(reader.result.split(',')[1]);
                reader.readAsDataURL(blob);
            }});
        }})()"
    );
    let html = site.server.file("html");
    std::fs::create_dir_all(&html).expect("create the site's folder");
    std::fs::copy(sample.path(), html.join("sample.flv")).expect("copy the sample");
    let coded = site.browser.eval(&script);
    let coded = coded.as_str().unwrap_or_default();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, coded).expect("what was remuxed");
    let file = site.server.file(&format!("{sample:?}-{kind}.mp4"));
    std::fs::write(&file, bytes).expect("write what was remuxed");
    count_packets(site.server.folder(), &file)
}

/// Packets that FFmpeg decodes without complaint.
fn count_packets(folder: &Path, file: &Path) -> usize {
    Ffmpeg::Eight.decode(folder, file);
    let mut command = Command::new("ffprobe");
    command.args([
        "-v",
        "error",
        "-count_packets",
        "-show_entries",
        "stream=nb_read_packets",
        "-of",
        "csv=p=0",
    ]);
    let output = run("ffprobe", folder, 20, command.arg(file)).ok().output;
    output
        .trim()
        .parse()
        .unwrap_or_else(|e| panic!("{}: {output}: {e}", file.display()))
}

#[test]
fn the_remuxer_loses_nothing() {
    use crate::support::flv::{self, AUDIO, VIDEO};
    let site = Site::start();
    site.browser.open(&site.url("/players/"));
    for sample in [
        Sample::H264Aac,
        Sample::H264Mp3,
        Sample::HevcAac,
        Sample::Av1Opus,
        Sample::Vp9Opus,
    ] {
        let tags = flv::read(&sample.path());
        for (kind, number) in [("video", VIDEO), ("audio", AUDIO)] {
            let sent = flv::media(&tags, number).len();
            assert_eq!(remux(&site, sample, kind), sent, "{kind} of {sample:?}");
        }
    }
    site.browser.assert_content();
}
