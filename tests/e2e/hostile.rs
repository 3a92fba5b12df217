//! Guests that break the rules: each ends with a clear log line, and a good stream beside them is not disturbed.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::support::amf::{self, Amf};
use crate::support::bystander::{Bystander, numbered_header};
use crate::support::flv::{Tag, VIDEO};
use crate::support::rtmp::{COMMAND, Rtmp, SET_CHUNK_SIZE, closes_within};
use crate::support::server::{Server, Setup};

/// Runs a hostile act beside a good stream. The act ends in an error that is logged.
#[track_caller]
fn beside_a_good_stream(act: impl FnOnce(&Server)) {
    let server = Setup::default().allow_error("serve error").start();
    let bystander = Bystander::start(server.port());
    act(&server);
    bystander.finish();
}

fn open(server: &Server) -> TcpStream {
    TcpStream::connect(("127.0.0.1", server.port())).expect("connect")
}

/// Sends bytes after a good handshake; the server must close and log a line with `log`.
#[track_caller]
fn assert_closes_after(bytes: &[u8], log: &str) {
    beside_a_good_stream(|server| {
        let mut guest = Rtmp::open(server.port()).expect("handshake");
        // The server may close while we still send.
        let _ = guest.send_raw(bytes);
        assert!(guest.is_closed_within(5), "still connected after a fault");
        server.wait_for_line(&[log]);
    });
}

#[test]
fn random_bytes_instead_of_a_handshake() {
    beside_a_good_stream(|server| {
        for _ in 0..50 {
            let mut guest = open(server);
            let mut noise: Vec<u8> = (0..4096).map(|_| fastrand::u8(..)).collect();
            // 3 would be a good version, 0xF3 the prefix of a proxy.
            noise[0] = 0x47;
            let _ = guest.write_all(&noise);
            assert!(closes_within(&mut guest, 5), "still connected after noise");
        }
        server.wait_for_lines(50, &["code=2000(RtmpPlainRequired)"]);
    });
}

#[test]
fn handshakes_cut_short() {
    beside_a_good_stream(|server| {
        for length in [0, 1, 2, 100, 1536, 1537, 1538, 3000, 3072] {
            let mut guest = open(server);
            let _ = guest.write_all(&vec![3; length]);
        }
    });
}

#[test]
fn a_handshake_that_never_comes_is_given_up() {
    beside_a_good_stream(|server| {
        let mut guests: Vec<_> = (0..50).map(|_| open(server)).collect();
        for (index, guest) in guests.iter_mut().enumerate() {
            let _ = guest.write_all(&[3; 40][..index % 40]);
        }
        // Waits end after 30 seconds.
        for guest in &mut guests {
            assert!(closes_within(guest, 40), "still connected after a silence");
        }
    });
}

#[test]
fn a_proxy_prefix_that_is_too_long() {
    beside_a_good_stream(|server| {
        let mut guest = open(server);
        let _ = guest.write_all(&[0xf3, 0xff, 0xff]);
        let _ = guest.write_all(&[3; 1537]);
        assert!(closes_within(&mut guest, 5), "still connected after a fault");
        server.wait_for_line(&["code=2054("]);
    });
}

#[test]
fn a_chunk_that_continues_nothing() {
    assert_closes_after(&[0xc0 | 9, 1, 2, 3], "code=2001(RtmpChunkStart)");
}

#[test]
fn a_message_that_begins_inside_another() {
    let mut bytes = vec![6, 0, 0, 0, 0, 0x10, 0, 9, 1, 0, 0, 0];
    bytes.extend([0; 128]);
    bytes.extend([6, 0, 0, 0, 0, 0x10, 0, 9, 1, 0, 0, 0]);
    bytes.extend([0; 128]);
    assert_closes_after(&bytes, "code=2001(RtmpChunkStart)");
}

#[test]
fn a_length_that_changes_inside_a_message() {
    let mut bytes = vec![6, 0, 0, 0, 0, 0x10, 0, 9, 1, 0, 0, 0];
    bytes.extend([0; 128]);
    bytes.extend([0x40 | 6, 0, 0, 0, 0, 0x20, 0, 9]);
    bytes.extend([0; 128]);
    assert_closes_after(&bytes, "code=2013(RtmpPacketSize)");
}

#[test]
fn chunk_sizes_that_are_too_small() {
    for size in [0_u8, 1, 127] {
        assert_closes_after(
            &[2, 0, 0, 0, 0, 0, 4, SET_CHUNK_SIZE, 0, 0, 0, 0, 0, 0, 0, size],
            "code=2010(RtmpChunkSize)",
        );
    }
}

#[test]
fn a_connect_without_a_url() {
    beside_a_good_stream(|server| {
        let mut guest = Rtmp::open(server.port()).expect("handshake");
        guest
            .command("connect", 1.0, 0, &[Amf::object(&[("app", Amf::text("live"))])])
            .expect("send");
        assert!(guest.is_closed_within(5), "still connected after a fault");
        server.wait_for_line(&["code=2005(RtmpConnect)"]);
    });
}

#[test]
fn objects_nested_ten_thousand_deep() {
    let mut payload = amf::encode(&[Amf::text("connect"), Amf::Number(1.0)]);
    for _ in 0..10_000 {
        payload.extend([3, 0, 1, b'a']);
    }
    assert_command_is_refused(&payload);
}

#[test]
fn an_array_of_four_billion_values() {
    let mut payload = amf::encode(&[Amf::text("connect"), Amf::Number(1.0)]);
    payload.extend([0x0a, 0xff, 0xff, 0xff, 0xff]);
    payload.extend([5; 64]);
    assert_command_is_refused(&payload);
}

#[test]
fn a_text_longer_than_its_message() {
    let mut payload = amf::encode(&[Amf::text("connect"), Amf::Number(1.0)]);
    payload.extend([3, 0, 3, b'a', b'p', b'p', 0x0c, 0xff, 0xff, 0xff, 0xff, b'x']);
    assert_command_is_refused(&payload);
}

#[track_caller]
fn assert_command_is_refused(payload: &[u8]) {
    beside_a_good_stream(|server| {
        let mut guest = Rtmp::open(server.port()).expect("handshake");
        let _ = guest.send(3, COMMAND, 0, 0, payload);
        assert!(guest.is_closed_within(5), "still connected after a fault");
        server.wait_for_line(&["serve error code=2003(Amf0Decode)"]);
    });
}

#[test]
fn a_message_of_sixteen_megabytes() {
    beside_a_good_stream(|server| {
        let guest = Rtmp::connect(server.port(), "live")
            .expect("connect")
            .publish("live", "huge");
        let mut guest = guest.expect("publish");
        guest.send_tag(&numbered_header()).expect("send");
        let mut payload = vec![1; 0xff_ffff];
        payload[..5].copy_from_slice(&[0x17, 1, 0, 0, 0]);
        let huge = Tag {
            kind: VIDEO,
            timestamp: 0,
            payload,
        };
        // It is within what RTMP can say: relayed or refused, both are fine.
        let _ = guest.send_tag(&huge);
    });
}

#[test]
fn many_unfinished_large_messages() {
    beside_a_good_stream(|server| {
        let before = server.resident_kilobytes();
        let mut guest = Rtmp::connect(server.port(), "live").expect("connect");
        guest.set_chunk_size(1 << 20).expect("send");
        let megabyte = vec![0; 1 << 20];
        for chunk_stream in 3..63 {
            let header = [chunk_stream, 0, 0, 0, 0xff, 0xff, 0xff, VIDEO, 1, 0, 0, 0];
            if guest
                .send_raw(&header)
                .and_then(|()| guest.send_raw(&megabyte))
                .is_err()
            {
                break;
            }
        }
        assert!(
            guest.is_closed_within(5),
            "still connected with 60 MB of unfinished messages"
        );
        let after = server.resident_kilobytes();
        assert!(
            after < before + 40_000,
            "resident kilobytes grew from {before} to {after}"
        );
    });
}

#[test]
fn aggregates_inside_aggregates() {
    beside_a_good_stream(|server| {
        let guest = Rtmp::connect(server.port(), "live")
            .expect("connect")
            .publish("live", "nested");
        let mut guest = guest.expect("publish");
        let mut payload = vec![0x27, 1, 0, 0, 0];
        for kind in std::iter::once(VIDEO).chain([22; 1000]) {
            let size = (payload.len() as u32).to_be_bytes();
            let mut outer = vec![kind, size[1], size[2], size[3], 0, 0, 0, 0, 0, 0, 0];
            outer.extend(&payload);
            outer.extend((payload.len() as u32 + 11).to_be_bytes());
            payload = outer;
        }
        let _ = guest.send(6, 22, 0, 1, &payload);
        thread::sleep(Duration::from_millis(500));
    });
}

#[test]
fn more_connections_than_allowed() {
    // Two are the good stream's.
    let server = Setup::default()
        .globals("max_connections 12;\n")
        .allow_error("code=1074")
        .start();
    let bystander = Bystander::start(server.port());
    let guests: Vec<_> = (0..10)
        .map(|_| Rtmp::connect(server.port(), "live").expect("connect"))
        .collect();
    for _ in 0..5 {
        assert!(
            closes_within(&mut open(&server), 5),
            "one connection too many is still open"
        );
    }
    server.wait_for_line(&["code=1074(ConnectionsExceed)"]);
    drop(guests);
    let again =
        crate::support::wait::wait_for("room for a connection", 5, || Rtmp::connect(server.port(), "live").ok());
    drop(again);
    bystander.finish();
}

#[test]
fn a_player_that_never_reads_holds_no_memory() {
    let setup = Setup::default()
        .allow_error("serve error")
        .vhost("play { queue_length 2; }");
    let server = setup.start();
    let bystander = Bystander::start(server.port());
    let publisher = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .publish("live", "fat");
    let mut publisher = publisher.expect("publish");
    let _sleepers: Vec<_> = (0..5)
        .map(|_| {
            Rtmp::connect(server.port(), "live")
                .expect("connect")
                .play("fat")
                .expect("play")
        })
        .collect();
    publisher.send_tag(&numbered_header()).expect("send");
    let before = server.resident_kilobytes();
    // Ten seconds of four megabytes a second.
    for number in 0..500_u32 {
        let mut payload = vec![number as u8 | 1; 80_000];
        payload[..5].copy_from_slice(&[if number.is_multiple_of(25) { 0x17 } else { 0x27 }, 1, 0, 0, 0]);
        payload[5..9].copy_from_slice(&79_991_u32.to_be_bytes());
        publisher
            .send_tag(&Tag {
                kind: VIDEO,
                timestamp: number * 20,
                payload,
            })
            .expect("send");
        thread::sleep(Duration::from_millis(20));
    }
    let after = server.resident_kilobytes();
    assert!(
        after < before + 30_000,
        "resident kilobytes grew from {before} to {after} for players that do not read"
    );
    bystander.finish();
}

#[test]
fn connections_cut_at_every_step_leave_nothing_behind() {
    beside_a_good_stream(|server| {
        for step in 0..200 {
            let Ok(guest) = Rtmp::connect(server.port(), "live") else {
                continue;
            };
            let stream = format!("cut-{}", step % 7);
            match step % 4 {
                0 => drop(guest),
                1 => drop(guest.play(&stream)),
                2 => drop(guest.publish("live", &stream)),
                _ => drop(guest.publish_as_flash("live", &stream)),
            }
        }
        let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", server.pid())).map_or(0, Iterator::count);
        crate::support::wait::wait_for("the file descriptors to go", 10, || (descriptors() < 40).then_some(()));
    });
}

#[test]
fn names_that_a_shell_a_format_or_a_log_would_misread() {
    beside_a_good_stream(|server| {
        for stream in [
            "%s%n%x",
            "$(touch x)`touch y`;",
            "../../etc/passwd",
            "a\n[2026-01-01 00:00:00.000][ERROR] forged",
            "\u{1b}[31m",
        ] {
            let guest = Rtmp::connect(server.port(), "live").expect("connect");
            let _ = guest
                .publish("live", stream)
                .map(|mut guest| guest.send_tag(&numbered_header()));
        }
        thread::sleep(Duration::from_millis(500));
        let log = server.log();
        assert!(
            !log.lines().any(|line| line.starts_with("[2026-01-01 00:00:00.000]")),
            "a peer wrote a log line:\n{log}"
        );
        assert!(
            !log.contains("\u{1b}[31m\u{1b}") && !log.contains("=\u{1b}"),
            "a peer coloured the log"
        );
    });
}
