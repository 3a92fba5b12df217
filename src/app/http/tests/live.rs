//! Players of live streams: what ends them.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::super::Timeouts;
use super::{Client, Site};
use crate::app::source::{Publication, Source};
use crate::core::clock::Moment;
use crate::core::coroutine::{sleep, spawn};
use crate::core::id::ContextId;
use crate::core::limits::{SOURCE_GOP_BYTES, SOURCE_JOURNAL_BYTES};
use crate::core::runtime::run;
use crate::kernel::frame::{Frame, Kind};

/// 322x182, High 1.3, by libx264.
const HEADER: &[u8] = &[
    0x17, 0, 0, 0, 0, 0x01, 0x64, 0x00, 0x0d, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x51,
    0x9e, 0x22, 0x6c, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0c, 0x83, 0xc5, 0x0a, 0x65, 0x80, 0x01,
    0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
];

fn site(label: &str, extension: &str) -> Site {
    let directives = format!(
        "http_server {{ dir DIR; }}\nvhost __defaultVhost__ {{ http_remux {{ enabled on; mount \
         [vhost]/[app]/[stream].{extension}; }} }}"
    );
    Site::new(label, "127.0.0.1:0", &directives)
}

fn source(site: &Site) -> Rc<Source> {
    let config = site.server.config();
    let vhost = config.vhost("__defaultVhost__").unwrap();
    site.server.sources.fetch_or_create("/live/s", &vhost)
}

fn picture(time: u32, key: bool, size: u32) -> Frame {
    let head = [if key { 0x17 } else { 0x27 }, 1, 0, 0, 0];
    let body = [&head[..], &size.to_be_bytes(), &vec![0x41; size as usize]].concat();
    Frame::new(Kind::Video, time, body.into())
}

fn header() -> Frame {
    Frame::new(Kind::Video, 0, Bytes::from_static(HEADER))
}

fn sound(time: u32) -> Frame {
    Frame::new(Kind::Audio, time, Bytes::from_static(b"\xaf\x01\x21\x22"))
}

/// As another connection.
fn take_over(source: &Rc<Source>) -> Publication {
    ContextId::generate().enter();
    source.publish().unwrap()
}

/// A second of both.
fn publish(source: &Rc<Source>) -> Publication {
    let publication = take_over(source);
    publication.push(header());
    publication.push(Frame::new(Kind::Audio, 0, Bytes::from_static(b"\xaf\x00\x12\x10")));
    for time in (0..1000).step_by(40) {
        publication.push(picture(time, time == 0, 900));
        publication.push(sound(time));
    }
    publication
}

fn play(site: &Site, extension: &str) -> Client {
    let mut client = site.connect();
    client.send(&format!("GET /live/s.{extension} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    assert_eq!(client.answer(true).status, 200);
    client
}

#[test]
fn players_of_each_format_end_with_their_publisher_and_not_later() {
    run(|| {
        for (extension, start) in [
            ("flv", &b"FLV\x01\x05"[..]),
            ("ts", b"\x47\x40\x00"),
            ("mp4", b"\0\0\0\x18ftyp"),
            ("aac", b"\xff\xf1"),
        ] {
            let site = site(&format!("live-{extension}"), extension);
            let source = source(&site);
            source.keep_sound(Duration::from_secs(9));
            let publication = publish(&source);
            let playing = play(&site, extension);
            sleep(Duration::from_millis(400));
            // Another one takes over before the player looks.
            drop(publication);
            let again = take_over(&source);
            let body = playing.rest();
            assert!(body.ends_with(b"\r\n0\r\n\r\n"), "{extension}: the body has an end");
            let chunk = body.windows(2).position(|two| two == b"\r\n").unwrap() + 2;
            assert!(
                body[chunk..].starts_with(start),
                "{extension}: {:x?}",
                &body[chunk..chunk + 8]
            );
            // Its players are those who ask again.
            drop(again);
            let publication = publish(&source);
            let playing = play(&site, extension);
            sleep(Duration::from_millis(400));
            drop(publication);
            assert!(playing.rest().ends_with(b"\r\n0\r\n\r\n"));
            site.wait_until_empty();
        }
    })
    .unwrap();
}

#[test]
fn an_mp4_player_ends_where_codec_parameters_change() {
    run(|| {
        let site = site("live-change", "mp4");
        let source = source(&site);
        let publication = publish(&source);
        let playing = play(&site, "mp4");
        sleep(Duration::from_millis(400));
        // Equal headers change nothing.
        publication.push(header());
        publication.push(picture(1000, true, 900));
        sleep(Duration::from_millis(50));
        assert_eq!(source.consumer_count(), 1);
        publication.push(Frame::new(Kind::Audio, 1000, Bytes::from_static(b"\xaf\x00\x11\x90")));
        for time in (1040..2000).step_by(40) {
            publication.push(picture(time, time == 1040, 900));
            publication.push(sound(time));
        }
        assert!(playing.rest().ends_with(b"\r\n0\r\n\r\n"));
        site.wait_until_empty();
        // One that asks now gets the new parameters: 48,000 Hz.
        let playing = play(&site, "mp4");
        sleep(Duration::from_millis(400));
        drop(publication);
        let body = playing.rest();
        let config = b"\x05\x80\x80\x80\x02\x11\x90";
        assert!(body.windows(config.len()).any(|found| found == config));
    })
    .unwrap();
}

#[test]
fn a_player_that_takes_nothing_is_cut_off() {
    // A GOP of 25 of them is within what a stream keeps.
    const PICTURE_BYTES: u32 = (SOURCE_GOP_BYTES / 48) as u32;
    for extension in ["flv", "mp4"] {
        run(move || {
            let site = site(&format!("live-slow-{extension}"), extension);
            let source = source(&site);
            let publication = publish(&source);
            let stuck = play(&site, extension);
            let taking = play(&site, extension);
            let reader = spawn("reader", move || taking.rest().len());
            let before = Moment::now();
            let mut time = 1000;
            while source.consumer_count() > 1 {
                // 25 a second, which are soon more than the sockets' buffers hold.
                publication.push(picture(time, time % 1000 == 0, PICTURE_BYTES));
                time += 40;
                sleep(Duration::from_millis(40));
                assert!(Moment::now().since(before) < Duration::from_secs(8), "{extension}");
            }
            // The time limit of these tests is 300 ms.
            assert!(Moment::now().since(before) >= Duration::from_millis(300));
            drop((publication, stuck));
            assert!(reader.join().unwrap() > 5 * PICTURE_BYTES as usize);
            site.wait_until_empty();
        })
        .unwrap();
    }
}

#[test]
fn a_player_that_keeps_up_gets_all_of_a_stream_however_large_its_pictures_are() {
    // What comes within one batch's time is more than the stream keeps.
    const PICTURE_BYTES: usize = SOURCE_JOURNAL_BYTES / 8;
    for extension in ["flv", "mp4"] {
        run(move || {
            let site = site(&format!("live-large-{extension}"), extension);
            // On a slow machine a client may take longer than the tests' own limits to read.
            site.server.http.timeouts.set(Timeouts::default());
            let source = source(&site);
            let publication = publish(&source);
            let mut taking = play(&site, extension);
            let reader = spawn("reader", move || {
                let mut taken = 0;
                while taking.fill() > 0 {
                    taken += taking.unread.len();
                    taking.unread.clear();
                }
                taken
            });
            sleep(Duration::from_millis(400));
            for time in (1000..1200).step_by(10) {
                publication.push(picture(time, time == 1000, PICTURE_BYTES as u32));
                sleep(Duration::from_millis(40));
            }
            drop(publication);
            let taken = reader.join().unwrap() / PICTURE_BYTES;
            assert_eq!(taken, 20, "{extension}");
            site.wait_until_empty();
        })
        .unwrap();
    }
}
