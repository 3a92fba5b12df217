//! Who may publish and play, by signed URL or JSON Web Token. OpenSSL signs, as `docs/security.md` shows.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::clients::{Ffmpeg, codecs, probe};
use crate::support::media::Sample;
use crate::support::port::Port;
use crate::support::program::{Program, run};
use crate::support::rtmp::Rtmp;
use crate::support::server::{Server, Setup};
use crate::support::wait::wait_for;

const KEY: &str = "the-key-of-these-tests";

struct Site {
    server: Server,
    media: Port,
}

impl Site {
    fn start(token: &str, directives: &str) -> Self {
        let media = Port::free();
        let globals = format!(
            "http_server {{ enabled on; listen 127.0.0.1:{}; dir ./html; }}\n",
            media.number()
        );
        let server = Setup::default()
            .globals(&globals)
            .vhost(&format!(
                "http_remux {{ enabled on; }} token {{ enabled on; key an-older-key-than-that {KEY}; {token} }} {directives}"
            ))
            .allow_error("token: ")
            .start();
        server.wait_for_line(&["HTTP-Server listen at"]);
        Site { server, media }
    }

    fn shell(&self, script: &str) -> String {
        let mut command = Command::new("bash");
        command.args(["-c", script]).current_dir(self.server.folder());
        run("bash", self.server.folder(), 20, &mut command)
            .ok()
            .output
            .trim()
            .to_owned()
    }

    /// The query of a URL for so many seconds from now.
    fn signed(&self, action: &str, path: &str, seconds: i64) -> String {
        let expires = unix_now() + seconds;
        let sign = self.shell(&format!(
            "printf '%s' '{expires} {action} - {path}' | openssl dgst -sha256 -hmac {KEY} | awk '{{print $NF}}'"
        ));
        format!("expires={expires}&sign={sign}")
    }

    #[cfg(feature = "jwt")]
    fn token(&self, claims: &str) -> String {
        let claims = format!("{{\"exp\":{},{claims}}}", unix_now() + 60);
        self.shell(&format!(
            "code() {{ openssl base64 -A | tr '+/' '-_' | tr -d =; }}; \
             text=$(printf '{{\"alg\":\"HS256\"}}' | code).$(printf '%s' '{claims}' | code); \
             printf '%s' \"$text\" | openssl dgst -sha256 -hmac {KEY} -binary | code | sed \"s/^/$text./\""
        ))
    }

    fn publish(&self, stream: &str) -> Program {
        let query = self.signed("publish", &format!("/live/{stream}"), 60);
        let url = self.server.url(&format!("{stream}?{query}"));
        let publisher = Ffmpeg::Debian.publish(self.server.folder(), &Sample::H264Aac.path(), &url);
        self.server.wait_for_line(&["start publish"]);
        publisher
    }

    fn may_publish(&self, stream: &str) -> bool {
        let session = Rtmp::connect(self.server.port(), "live").expect("connect");
        session.publish("live", stream).is_ok()
    }

    fn may_play(&self, stream: &str) -> bool {
        let session = Rtmp::connect(self.server.port(), "live").expect("connect");
        session.play(stream).is_ok()
    }

    fn url(&self, target: &str) -> String {
        format!("http://127.0.0.1:{}{target}", self.media.number())
    }

    /// The status and the body of an answer, as far as it comes within a second.
    fn get_with(&self, target: &str, options: &[&str]) -> (String, String) {
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "1", "-o", "answer", "-w", "%{http_code}"]);
        command
            .args(options)
            .arg(self.url(target))
            .current_dir(self.server.folder());
        let _ = std::fs::remove_file(self.server.file("answer"));
        let output = run("curl", self.server.folder(), 10, &mut command).output;
        let body = std::fs::read(self.server.file("answer")).unwrap_or_default();
        (
            output[output.len() - 3..].to_owned(),
            String::from_utf8_lossy(&body).into_owned(),
        )
    }

    fn get(&self, target: &str) -> (String, String) {
        self.get_with(target, &[])
    }

    fn status(&self, target: &str) -> String {
        self.get(target).0
    }

    fn wait_for_file(&self, target: &str) {
        wait_for(target, 20, || {
            self.server.file(&format!("html{target}")).exists().then_some(())
        });
    }
}

fn unix_now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    i64::try_from(now.as_secs()).expect("a time")
}

#[test]
fn signed_urls_are_for_one_action_stream_and_time() {
    let site = Site::start("", "");
    let _publisher = site.publish("s");
    let good = site.signed("play", "/live/s", 60);
    let wrong = format!(
        "{}{}",
        &good[..good.len() - 1],
        if good.ends_with('0') { '1' } else { '0' }
    );
    for (query, expected) in [
        (good.clone(), true),
        (format!("a=b&{good}&c"), true),
        (site.signed("play", "/live/s", -60), false),
        (site.signed("publish", "/live/s", 60), false),
        (site.signed("play", "/live/other", 60), false),
        (wrong, false),
        (String::new(), false),
    ] {
        assert_eq!(site.may_play(&format!("s?{query}")), expected, "RTMP {query}");
        let status = if expected { "200" } else { "403" };
        assert_eq!(site.status(&format!("/live/s.flv?{query}")), status, "HTTP {query}");
    }
    assert!(!site.may_publish(&format!("other?{good}")));
    assert!(!site.may_publish("other"));
    let may = site.signed("publish", "/live/other", 60);
    assert!(site.may_publish(&format!("other?{may}")));
    site.server.wait_for_line(&["code=2015", "the URL has expired"]);
    site.server
        .wait_for_line(&["code=2015", "it brings no token and no signature"]);
}

#[test]
fn ffmpeg_plays_by_signed_url() {
    let site = Site::start("", "");
    let _publisher = site.publish("s");
    let query = site.signed("play", "/live/s", 60);
    for url in [
        site.server.url(&format!("s?{query}")),
        site.url(&format!("/live/s.flv?{query}")),
    ] {
        assert_eq!(codecs(&probe(site.server.folder(), &url)).len(), 2, "{url}");
    }
}

#[test]
fn addresses_can_be_part_of_it() {
    let site = Site::start("need play; bind_ip on;", "");
    assert!(site.may_publish("s"));
    let expires = unix_now() + 60;
    let query = |ip: &str| {
        let sign = site.shell(&format!(
            "printf '%s' '{expires} play {ip} /live/s' | openssl dgst -sha256 -hmac {KEY} | awk '{{print $NF}}'"
        ));
        format!("/live/s.flv?expires={expires}&sign={sign}")
    };
    assert_eq!(site.status(&query("127.0.0.1")), "200");
    assert_eq!(site.status(&query("127.0.0.2")), "403");
    assert_eq!(site.status(&query("-")), "403");
}

#[cfg(feature = "jwt")]
#[test]
fn json_web_tokens_come_in_the_query_or_the_head() {
    let site = Site::start("", "");
    let both = site.token(r#""actions":["publish","play"],"stream":"/live/*""#);
    assert!(site.may_publish(&format!("s?token={both}")));
    assert!(site.may_play(&format!("s?token={both}")));
    let play = site.token(r#""action":"play","stream":"/live/s""#);
    assert!(!site.may_publish(&format!("s?token={play}")));
    assert_eq!(site.status(&format!("/live/s.flv?token={play}")), "200");
    assert_eq!(site.status(&format!("/live/s2.flv?token={play}")), "403");
    let field = format!("Authorization: Bearer {play}");
    assert_eq!(site.get_with("/live/s.flv", &["-H", &field]).0, "200");
    assert_eq!(site.get_with("/live/s2.flv", &["-H", &field]).0, "403");
    let forged = play.replace("eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJub25lIn0");
    assert_eq!(site.status(&format!("/live/s.flv?token={forged}")), "403");
}

/// The first URI of a playlist, as a path.
fn first_uri(playlist: &str) -> String {
    let uri = playlist.lines().find(|line| !line.is_empty() && !line.starts_with('#'));
    let uri = uri.unwrap_or_else(|| panic!("a URI in {playlist}"));
    match uri.starts_with('/') {
        true => uri.to_owned(),
        false => format!("/live/{uri}"),
    }
}

#[test]
fn hls_passes_by_its_playlist() {
    let hls = "hls { enabled on; hls_path ./html; hls_fragment 1; }";
    let site = Site::start("", hls);
    let _publishers = ["s", "other"].map(|stream| site.publish(stream));
    for playlist in ["/live/s.m3u8", "/live/other.m3u8"] {
        site.wait_for_file(playlist);
    }
    assert_eq!(site.status("/live/s.m3u8"), "403");
    assert_eq!(site.status("/live/s.m3u8?hls_ctx=guessed"), "403");
    let query = site.signed("play", "/live/s", 60);
    assert_eq!(site.status(&format!("/live/other.m3u8?{query}")), "403");

    let (status, master) = site.get(&format!("/live/s.m3u8?{query}"));
    assert_eq!(status, "200", "{master}");
    let session = first_uri(&master);
    let (status, playlist) = site.get(&session);
    assert_eq!(status, "200", "{playlist}");
    let segment = first_uri(&playlist);
    assert!(segment.contains("hls_ctx=") && segment.contains("ticket="), "{segment}");
    assert_eq!(site.status(&segment), "200");
    let bare = segment.split('?').next().unwrap_or_default();
    assert_eq!(site.status(bare), "403");
    assert_eq!(site.get_with(bare, &["--head"]).0, "403");
    let (_, ticket) = segment.split_once('?').expect("a query");
    assert_eq!(site.status(&format!("/live/other-0.ts?{ticket}")), "403");
    // A URI stays the same as long as it is listed.
    let again = site.get(&session).1;
    let first = segment.trim_start_matches("/live/");
    assert!(
        again.contains(first) || !again.contains(bare.trim_start_matches("/live/")),
        "{again}"
    );

    // What opened one stream does not open another.
    let id = session
        .split("hls_ctx=")
        .nth(1)
        .and_then(|rest| rest.split('&').next())
        .expect("an id");
    assert_eq!(site.status(&format!("/live/s.m3u8?hls_ctx={id}")), "200");
    assert_eq!(site.status(&format!("/live/other.m3u8?hls_ctx={id}")), "403");

    let url = site.url(&format!("/live/s.m3u8?{query}"));
    assert_eq!(codecs(&probe(site.server.folder(), &url)).len(), 2);
    // Other files are free.
    std::fs::write(site.server.file("html/index.html"), "page").expect("write a page");
    assert_eq!(site.status("/"), "200");
}

#[test]
fn hls_without_sessions_shows_the_token_each_time() {
    let site = Site::start("", "hls { enabled on; hls_ctx off; hls_path ./html; hls_fragment 1; }");
    let _publisher = site.publish("s");
    site.wait_for_file("/live/s.m3u8");
    assert_eq!(site.status("/live/s.m3u8"), "403");
    let query = site.signed("play", "/live/s", 60);
    let (status, playlist) = site.get(&format!("/live/s.m3u8?{query}"));
    assert_eq!(status, "200");
    assert_eq!(site.status(&first_uri(&playlist)), "200");
}

#[test]
fn low_latency_hls_has_tickets_for_parts() {
    let hls = "hls { enabled on; hls_path ./html; hls_low_latency on; hls_fragment 1; }";
    let site = Site::start("", hls);
    let _publisher = site.publish("s");
    let query = site.signed("play", "/live/s", 60);
    let session = wait_for("a playlist", 20, || {
        let (status, text) = site.get(&format!("/live/s.m3u8?{query}"));
        (status == "200").then_some(text)
    });
    let playlist = wait_for("parts", 10, || {
        let (_, text) = site.get(&first_uri(&session));
        text.contains("#EXT-X-PART:").then_some(text)
    });
    let part = playlist
        .lines()
        .rev()
        .find(|line| line.starts_with("#EXT-X-PART:"))
        .expect("a part");
    let uri = part
        .split("URI=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .expect("a URI");
    let uri = if uri.starts_with('/') {
        uri.to_owned()
    } else {
        format!("/live/{uri}")
    };
    assert_eq!(site.status(&uri), "200", "{uri}");
    assert_eq!(site.status(uri.split('?').next().unwrap_or_default()), "403", "{uri}");
    assert_eq!(site.status("/live/s.m3u8"), "403");
}

#[test]
fn dash_passes_by_its_manifest() {
    let dash = "dash { enabled on; dash_path ./html; dash_fragment 1; }";
    let site = Site::start("", dash);
    let _publisher = site.publish("s");
    site.wait_for_file("/live/s.mpd");
    assert_eq!(site.status("/live/s.mpd"), "403");
    let query = site.signed("play", "/live/s", 60);
    let (status, manifest) = site.get(&format!("/live/s.mpd?{query}"));
    assert_eq!(status, "200");
    let init = manifest
        .split("initialization=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let init = init.expect("a template").replace("$RepresentationID$", "video");
    let (name, ticket) = init.split_once('?').expect("a ticket");
    assert_eq!(site.status(&format!("/live/s/{init}")), "200", "{manifest}");
    assert_eq!(site.status(&format!("/live/s/{name}")), "403");
    assert_eq!(site.status(&format!("/live/other/{name}?{ticket}")), "404");
    let url = site.url(&format!("/live/s.mpd?{query}"));
    assert!(!codecs(&probe(site.server.folder(), &url)).is_empty());
}

#[test]
fn low_latency_dash_gives_nothing_away_in_the_making() {
    let dash = "dash { enabled on; dash_path ./html; dash_fragment 2; dash_low_latency on; }";
    let site = Site::start("", dash);
    let _publisher = site.publish("s");
    site.wait_for_file("/live/s.mpd");
    let query = site.signed("play", "/live/s", 60);
    let manifest = site.get(&format!("/live/s.mpd?{query}")).1;
    let ticket = manifest
        .split("ticket=")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .expect("a ticket");
    let mut with_ticket = Vec::new();
    for number in 0..6 {
        let path = format!("/live/s/video-{number}.m4s");
        assert_ne!(site.status(&path), "200", "{path}");
        with_ticket.push(site.status(&format!("{path}?ticket={ticket}")));
    }
    assert!(with_ticket.iter().any(|status| status == "200"), "{with_ticket:?}");
}
