//! Several workers are one server to those who watch over it: API, metrics, HLS, reload and limits are of the whole.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::clients::{Ffmpeg, codecs, probe};
use crate::support::media::Sample;
use crate::support::port::Port;
use crate::support::program::run;
use crate::support::rtmp::Rtmp;
use crate::support::server::Setup;
use crate::support::wait::wait_for;
use crate::support::web::Web;
use crate::workers::{play, tell, two_workers, wait_ready, workers, writer};

/// With this chance all of them go to one of two workers: one in a million.
const PLAYERS: usize = 20;

/// Two workers with HTTP server and API.
struct Whole {
    web: Web,
    api: Port,
}

impl Whole {
    fn start(setup: Setup) -> Self {
        let api = Port::free();
        let directives = "raw_api { enabled on; allow_reload on; }";
        let listen = format!(
            "http_api {{ enabled on; listen 127.0.0.1:{}; {directives} }}\n",
            api.number()
        );
        let web = Web::start(setup.globals(&listen));
        wait_ready(&web.server);
        Whole { web, api }
    }

    fn get_text(&self, path: &str) -> String {
        fetch(&self.web, &self.api, path)
    }

    fn get(&self, path: &str) -> Value {
        let body = self.get_text(path);
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
    }
}

fn fetch(web: &Web, port: &Port, path: &str) -> String {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-f", "-g", "--max-time", "5"]);
    curl.arg(format!("http://127.0.0.1:{}{path}", port.number()));
    run("curl", web.server.folder(), 10, &mut curl).ok().output
}

#[test]
fn api_and_metrics_are_of_the_whole() {
    let port = Port::free();
    let exporter = format!("exporter {{ enabled on; listen 127.0.0.1:{}; }}\n", port.number());
    let whole = Whole::start(two_workers().globals(&exporter));
    let web = &whole.web;
    let _publisher = web.publish(Sample::H264Aac);
    web.server.wait_for_line(&["client identified", "fmle-publish"]);
    let mut players: Vec<Rtmp> = (0..PLAYERS).map(|_| play(&web.server, "s")).collect();
    for player in &mut players {
        player.wait_for_media().expect("media");
    }
    let pid = web.server.pid().to_string();
    for _ in 0..5 {
        let streams = whole.get("/api/v1/streams/");
        assert_eq!(streams["pid"], pid.as_str());
        let [stream] = streams["streams"].as_array().expect("a list").as_slice() else {
            panic!("one stream: {streams}");
        };
        assert_eq!(stream["clients"], PLAYERS + 1, "{stream}");
        assert_eq!(stream["publish"]["active"], true);
        assert_eq!(stream["video"]["codec"], "H264");
        let id = stream["id"].as_str().expect("an id");
        assert_eq!(
            whole.get(&format!("/api/v1/streams/{id}"))["stream"]["clients"],
            PLAYERS + 1
        );
        assert_eq!(whole.get("/api/v1/vhosts/")["vhosts"][0]["clients"], PLAYERS + 1);
        assert_eq!(whole.get("/api/v1/vhosts/")["vhosts"][0]["streams"], 1);
        assert_eq!(
            whole.get("/api/v1/summaries")["data"]["system"]["conn_srs"],
            PLAYERS + 1
        );
        let page = whole.get_text("/metrics");
        assert!(page.contains(&format!("\nsrs_clients {}\n", PLAYERS + 1)), "{page}");
        assert!(page.contains("\nsrs_streams 1\n"), "{page}");
        let own_port = fetch(web, &port, "/metrics");
        assert!(own_port.contains("\nsrs_streams 1\n"), "{own_port}");
    }
    pages_of_clients(&whole);
}

/// All clients, page after page; and each can be kicked off, wherever it is.
fn pages_of_clients(whole: &Whole) {
    let mut ids = Vec::new();
    for start in [0, 10, 20] {
        let page = whole.get(&format!("/api/v1/clients/?start={start}&count=10"));
        let clients = page["clients"].as_array().cloned().expect("a list");
        assert_eq!(clients.len(), 10.min(PLAYERS + 1 - start), "{page}");
        ids.extend(
            clients
                .iter()
                .map(|client| client["id"].as_str().unwrap_or_default().to_owned()),
        );
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), PLAYERS + 1);
    for id in &ids {
        assert_eq!(whole.get(&format!("/api/v1/clients/{id}"))["client"]["id"], id.as_str());
        let answer = whole.get_text(&format!("/api/v1/clients/{id}?method=DELETE&callback=f"));
        assert!(answer.starts_with("f({\"code\":0,"), "{answer}");
    }
    wait_for("all clients to be gone", 10, || {
        let left = whole.get("/api/v1/summaries");
        // The encoder comes again only if somebody starts it again.
        (left["data"]["system"]["conn_srs"] == 0).then_some(())
    });
}

#[test]
fn a_client_is_looked_into_wherever_it_is() {
    let whole = Whole::start(two_workers());
    let _players: Vec<Rtmp> = (0..PLAYERS).map(|_| play(&whole.web.server, "s")).collect();
    let clients = wait_for("all clients", 10, || {
        let clients = whole.get("/api/v1/clients/?count=100")["clients"].as_array().cloned()?;
        (clients.len() == PLAYERS).then_some(clients)
    });
    let list = whole.get("/api/v1/coroutines?count=1000");
    let all = list["coroutines"].as_array().cloned().expect("a list");
    assert_eq!(list["total"], all.len());
    let mut pids: Vec<_> = all.iter().filter_map(|entry| entry["pid"].as_u64()).collect();
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 2, "{list}");
    for client in clients {
        let id = client["id"].as_str().expect("an id");
        let own = whole.get(&format!("/api/v1/coroutines?cid={id}"));
        let own = own["coroutines"].as_array().cloned().expect("a list");
        assert!(!own.is_empty() && own.iter().all(|entry| entry["cid"] == id), "{own:?}");
        let trace = |on: &str| whole.get(&format!("/api/v1/raw?rpc=trace&cid={id}&on={on}"));
        assert_eq!(trace("1"), serde_json::json!({"code": 0, "traced": [id]}));
        assert_eq!(trace("0"), serde_json::json!({"code": 0, "traced": []}));
    }
}

#[test]
fn low_latency_hls_plays_from_every_worker() {
    let whole = Whole::start(two_workers().vhost(
        "hls { enabled on; hls_path ./html; hls_fragment 1; hls_window 10; hls_low_latency on; hls_part 0.2; hls_ctx off; }",
    ));
    let web = &whole.web;
    let _publisher = web.publish(Sample::H264Aac);
    let mut last = wait_for("a segment", 20, || {
        let (status, text) = web.get("/live/s.m3u8");
        (status == 200 && text.contains("#EXTINF:")).then_some(text)
    });
    for number in 0.. {
        let sequence = last
            .lines()
            .find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"));
        let sequence: usize = sequence.and_then(|text| text.parse().ok()).expect("a sequence number");
        let next = sequence + last.matches("#EXTINF:").count();
        let (status, text) = web.get(&format!("/live/s.m3u8?_HLS_msn={next}&_HLS_part=0"));
        assert_eq!(status, 200, "{text}");
        let part = text
            .rsplit("#EXT-X-PART:")
            .next()
            .and_then(|rest| rest.split("URI=\"").nth(1)?.split('"').next());
        let part = part.expect("a part");
        assert_eq!(web.status(&format!("/live/{part}")), 200, "{part}");
        last = text;
        // One of them has the stream, the other one asks it.
        let served = tell(&web.server, &["GET http://127.0.0.1", "_HLS_msn"]);
        let has_asked = !tell(&web.server, &["127.0.0.1:0", "_HLS_msn"]).is_empty();
        if served.len() == 2 && has_asked {
            break;
        }
        assert!(number < PLAYERS, "one worker alone got all players");
    }
}

#[test]
fn segments_go_on_when_the_publisher_comes_to_another_worker() {
    let web = Web::start(two_workers().vhost("hls { enabled on; hls_path ./html; hls_fragment 0.5; hls_ctx off; }"));
    wait_ready(&web.server);
    let numbers = || {
        let (status, text) = web.get("/live/s.m3u8");
        let segment = |line: &str| line.strip_prefix("s-")?.strip_suffix(".ts")?.parse::<u32>().ok();
        let numbers: Vec<u32> = text.lines().filter_map(segment).collect();
        (status == 200 && !numbers.is_empty()).then_some(numbers)
    };
    for round in 0.. {
        let publisher = web.publish(Sample::H264Aac);
        web.server
            .wait_for_lines(round + 1, &["client identified", "fmle-publish"]);
        // By now that of the publisher before has its last segment.
        let before = numbers().and_then(|numbers| numbers.last().copied());
        wait_for("a new segment", 20, || {
            let last = numbers()?.last().copied();
            assert!(last >= before, "{last:?} after {before:?}");
            (last > before).then_some(())
        });
        drop(publisher);
        web.server.wait_for_lines(round + 1, &["client disconnect peer"]);
        if tell(&web.server, &["client identified", "fmle-publish"]).len() == 2 {
            break;
        }
        assert!(round < PLAYERS, "one worker alone got all publishers");
    }
}

#[test]
fn a_reload_is_for_all_and_a_bad_file_for_none() {
    let whole = Whole::start(two_workers().allow_error("no_such_directive"));
    let server = &whole.web.server;
    let file = server.file("srs.conf");
    let good = fs::read_to_string(&file).expect("the configuration");
    fs::write(&file, good.clone() + "no_such_directive on;\n").expect("write a bad file");
    server.signal(Signal::SIGHUP);
    server.wait_for_line(&["reload failed", "no_such_directive"]);
    fs::write(&file, good + "vhost new.com { }\n").expect("write a good file");
    server.signal(Signal::SIGHUP);
    wait_for("a reload of all", 10, || {
        (tell(server, &["reload success"]).len() == 2).then_some(())
    });
    assert_eq!(whole.get("/api/v1/raw?rpc=reload")["code"], 0);
    server.wait_for_lines(4, &["reload success"]);
    assert_eq!(tell(server, &["reload success"]), workers(server).into_iter().collect());
}

#[test]
fn the_limit_of_connections_is_of_the_whole() {
    let server = two_workers()
        .globals("max_connections 10;\n")
        .allow_error("code=")
        .start();
    wait_ready(&server);
    let mut players: Vec<Rtmp> = Vec::new();
    wait_for("a client to be refused", 20, || {
        match Rtmp::connect(server.port(), "live").and_then(|client| client.play("s")) {
            Ok(player) => players.push(player),
            Err(_) => return Some(()),
        }
        assert!(players.len() <= 20, "nobody is refused");
        None
    });
    assert!((10..=20).contains(&players.len()), "{} players", players.len());
}

#[test]
fn qualities_that_are_published_at_different_workers_are_one_playlist() {
    let hls = "hls { enabled on; hls_path ./html; hls_fragment 1; hls_window 20; hls_variants _sd; \
               hls_variants_file [app]/[stream]_abr.m3u8; }";
    let web = Web::start(two_workers().vhost(hls));
    wait_ready(&web.server);
    let _source = web.publish(Sample::H264Aac);
    let line = web
        .server
        .wait_for_line(&["client identified", "fmle-publish", "stream=s,"]);
    for number in 0.. {
        let url = web.server.url("s_sd");
        let mut other = Ffmpeg::Debian.publish(web.server.folder(), &Sample::H264Aac.path(), &url);
        let lines = ["client identified", "fmle-publish", "stream=s_sd,"];
        let its = web.server.wait_for_lines(number + 1, &lines);
        if writer(&its) != writer(&line) {
            let playlist = wait_for("both qualities in the playlist", 20, || {
                let (status, text) = web.get("/live/s_abr.m3u8");
                (status == 200 && text.matches("#EXT-X-STREAM-INF").count() == 2).then_some(text)
            });
            assert_eq!(playlist.matches("CODECS=\"avc1.").count(), 2, "{playlist}");
            assert_eq!(playlist.matches("RESOLUTION=").count(), 2, "{playlist}");
            let uris = playlist.lines().filter(|line| !line.starts_with('#'));
            let uris: Vec<&str> = uris
                .map(|uri| uri.split_once('?').map_or(uri, |(name, _)| name))
                .collect();
            assert_eq!(uris, ["s.m3u8", "s_sd.m3u8"]);
            let report = probe(web.server.folder(), &web.url("/live/s_abr.m3u8"));
            assert_eq!(codecs(&report).len(), 4, "{report}");
            // What has ended is listed no more.
            other.stop();
            wait_for("one quality in the playlist", 20, || {
                let (_, text) = web.get("/live/s_abr.m3u8");
                (text.matches("#EXT-X-STREAM-INF").count() == 1).then_some(())
            });
            break;
        }
        assert!(number < 20, "one worker got all publishers");
        other.stop();
    }
}
