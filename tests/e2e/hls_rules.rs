//! HLS playlists keep to RFC 8216 whatever the publisher does: it comes back, changes its codec, its clock jumps, it
//! pauses, it falls silent.

use std::fs;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::flv::{self, Tag};
use crate::support::media::Sample;
use crate::support::playlist::{History, Segment};
use crate::support::rtmp::{Rtmp, send_paced};
use crate::support::server::Setup;
use crate::support::wait::wait_for;
use crate::support::web::Web;

/// How long a stretch of media is, ms.
const STRETCH: u32 = 2_500;

fn start(hls: &str) -> Web {
    Web::start(Setup::default().vhost(&format!(
        "publish {{ normal_timeout 2500; }}
        hls {{ enabled on; hls_fragment 1; hls_window 4; hls_ctx off; hls_dispose 0; hls_path ./html; {hls} }}"
    )))
}

/// The begin of a sample, with its first timestamp moved to `at`.
fn stretch(sample: Sample, at: u32) -> Vec<Tag> {
    let tags = flv::read(&sample.path());
    let moved = tags.into_iter().filter(|tag| tag.timestamp < STRETCH).map(|tag| Tag {
        timestamp: tag.timestamp + at,
        ..tag
    });
    moved.collect()
}

fn publisher(site: &Web) -> Rtmp {
    // The one before may still be leaving.
    wait_for("a publisher", 10, || {
        Rtmp::connect(site.server.port(), "live")
            .ok()?
            .publish("live", "s")
            .ok()
    })
}

fn misbehave(site: &Web) {
    let send = |client: &mut Rtmp, sample, at| send_paced(client, &stretch(sample, at)).expect("send");
    let mut client = publisher(site);
    send(&mut client, Sample::H264Aac, 0);
    drop(client);

    let mut client = publisher(site);
    send(&mut client, Sample::H264Aac, 0);
    send(&mut client, Sample::HevcAac, STRETCH);
    send(&mut client, Sample::H264Aac, 500_000);
    send(&mut client, Sample::H264Aac, 1_000);
    std::thread::sleep(Duration::from_millis(1_500));
    send(&mut client, Sample::H264Aac, 1_000 + STRETCH + 1_500);
    assert!(client.is_closed_within(10), "a silent publisher is cut off");

    let mut client = publisher(site);
    send(&mut client, Sample::H264Aac, 0);
    drop(client);
}

/// Looks at each version of a playlist while the publisher does its worst, and gives what was seen.
fn watch(site: &Web, look: impl Fn() -> Option<String> + Send + 'static, pause: Duration) -> History {
    let (done, ended) = std::sync::mpsc::channel::<()>();
    let folder = site.server.file("html/live");
    let watcher: JoinHandle<History> = std::thread::spawn(move || {
        let mut history = History::default();
        let mut last = String::new();
        loop {
            let is_over = ended.recv_timeout(pause) == Err(std::sync::mpsc::RecvTimeoutError::Disconnected);
            if let Some(text) = look().filter(|text| *text != last) {
                history.see(&text).unwrap_or_else(|fault| panic!("{fault}"));
                if let Some(name) = history.newest() {
                    let name = name.split('?').next().unwrap_or(name);
                    assert!(folder.join(name).exists(), "{name} is listed and not there\n{text}");
                }
                last = text;
            }
            if is_over {
                return history;
            }
        }
    });
    misbehave(site);
    // The last segment is listed when its publisher has left.
    site.server
        .wait_for_lines(2, &["client disconnect peer", "receive publish message"]);
    let (path, mut last, mut unchanged) = (site.file("s.m3u8"), String::new(), 0);
    wait_for("the end of the playlist", 10, || {
        let text = fs::read_to_string(&path).ok()?;
        unchanged = if text == last { unchanged + 1 } else { 0 };
        last = text;
        (unchanged > 25).then_some(())
    });
    drop(done);
    watcher.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause))
}

#[track_caller]
fn assert_told(history: &History, least: usize) {
    let segments: Vec<&Segment> = history.segments.values().collect();
    assert!(segments.len() >= least && history.versions >= least, "{segments:#?}");
    let total: f64 = segments.iter().map(|segment| segment.seconds).sum();
    // Seven stretches; the pause belongs to the segment that it is in.
    let media = 7.0 * f64::from(STRETCH) / 1_000.0;
    assert!(
        total > media - 2.0 && total < media + 4.0,
        "{total} s of {media} s\n{segments:#?}"
    );
    // Two republishes, two changes of codec, of which the second is a jump too, and the jump back.
    let discontinuities = segments.iter().filter(|segment| segment.is_discontinuity).count();
    assert_eq!(discontinuities, 5, "{segments:#?}");
    assert!(!segments[0].is_discontinuity, "the first segment follows nothing");
}

#[test]
fn playlists_of_ts_keep_to_the_rules() {
    let site = start("");
    let path = site.file("s.m3u8");
    let history = watch(&site, move || fs::read_to_string(&path).ok(), Duration::from_millis(20));
    assert_told(&history, 14);
}

#[test]
fn low_latency_playlists_keep_to_the_rules() {
    let site = start("hls_low_latency on; hls_part 0.25;");
    let url = site.url("/live/s.m3u8");
    let look = move || {
        let mut command = std::process::Command::new("curl");
        let answer = command
            .args(["-sf", "--max-time", "5", &url])
            .output()
            .expect("run curl");
        answer
            .status
            .success()
            .then(|| String::from_utf8(answer.stdout).expect("text"))
    };
    let history = watch(&site, look, Duration::from_millis(100));
    assert_told(&history, 14);
    let maps: Vec<_> = history
        .segments
        .values()
        .map(|segment| segment.map.as_deref())
        .collect();
    assert!(maps.iter().all(Option::is_some), "{maps:?}");
}
