//! What is published is what is played, byte for byte, for each codec, client and chunk size.

use std::time::Duration;

use crate::support::amf::Amf;
use crate::support::bystander::{number_of, numbered_frame, numbered_header};
use crate::support::clients::{Ffmpeg, codecs, probe};
use crate::support::flv::{self, Tag, assert_same_media};
use crate::support::media::Sample;
use crate::support::rtmp::{Rtmp, send_paced};
use crate::support::server::{Server, Setup};

/// Publishes a sample by FFmpeg, plays it by a plain client to compare bytes, and by FFmpeg to decode it.
#[track_caller]
fn round_trip(client: Ffmpeg, sample: Sample, setup: Setup) {
    let server = setup.start();
    let (file, url) = (sample.path(), server.url("livestream"));
    let _publisher = client.publish(server.folder(), &file, &url);

    let mut player = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .play("livestream")
        .expect("play");
    player.wait_for_media().expect("media of the publisher");
    let played = player.collect_media(Duration::from_secs(3));
    assert_same_media(&flv::read(&file), &played, 50);

    let recording = server.file("played.flv");
    client.record(server.folder(), &[], &url, 3, &recording).wait(30).ok();
    let pictures = client.decode(server.folder(), &recording);
    if sample.tracks().0 {
        assert!(pictures >= 50, "3 seconds of 25 pictures hold {pictures}");
    }
    let (sent, came) = (
        probe(server.folder(), &path(&file)),
        probe(server.folder(), &path(&recording)),
    );
    assert_eq!(codecs(&came), codecs(&sent));
}

fn path(path: &std::path::Path) -> String {
    path.display().to_string()
}

#[test]
fn h264_and_aac() {
    round_trip(Ffmpeg::Debian, Sample::H264Aac, Setup::default());
}

#[test]
fn h264_and_mp3() {
    round_trip(Ffmpeg::Debian, Sample::H264Mp3, Setup::default());
}

#[test]
fn h264_alone() {
    round_trip(Ffmpeg::Debian, Sample::H264, Setup::default());
}

#[test]
fn aac_alone() {
    round_trip(Ffmpeg::Debian, Sample::Aac, Setup::default());
}

#[test]
fn the_smallest_chunk_size() {
    round_trip(Ffmpeg::Debian, Sample::H264Aac, Setup::default().chunk_size(128));
}

#[test]
fn the_largest_chunk_size() {
    round_trip(Ffmpeg::Debian, Sample::H264Aac, Setup::default().chunk_size(65_536));
}

#[test]
fn min_latency() {
    let setup = Setup::default().vhost("min_latency on; tcp_nodelay on; publish { mr off; }");
    round_trip(Ffmpeg::Debian, Sample::H264Aac, setup);
}

#[test]
fn h264_and_aac_by_ffmpeg_8() {
    round_trip(Ffmpeg::Eight, Sample::H264Aac, Setup::default());
}

#[test]
fn hevc_and_aac_over_enhanced_rtmp() {
    round_trip(Ffmpeg::Eight, Sample::HevcAac, Setup::default());
}

#[test]
fn av1_and_opus_over_enhanced_rtmp() {
    round_trip(Ffmpeg::Eight, Sample::Av1Opus, Setup::default());
}

#[test]
fn vp9_and_opus_over_enhanced_rtmp() {
    round_trip(Ffmpeg::Eight, Sample::Vp9Opus, Setup::default());
}

#[test]
fn ffmpeg_options_for_live_play_and_connect_arguments() {
    let server = Server::start();
    let (file, url) = (Sample::H264Aac.path(), server.url("livestream"));
    let connect = ["-rtmp_conn", "B:1 S:token O:1 NN:code:1.23 NS:name:x O:0"];
    let input = ["-stream_loop", "-1"];
    let _publisher = Ffmpeg::Debian.publish_with(server.folder(), &file, &input, &connect, &url);
    let recording = server.file("played.flv");
    let options = [&connect[..], &["-rtmp_live", "live", "-rtmp_buffer", "100"]].concat();
    Ffmpeg::Debian
        .record(server.folder(), &options, &url, 2, &recording)
        .wait(30)
        .ok();
    let pictures = Ffmpeg::Debian.decode(server.folder(), &recording);
    assert!(pictures >= 25, "2 seconds hold {pictures} pictures");
}

#[test]
fn a_flash_publisher_says_nothing_before_create_stream() {
    let server = Server::start();
    let tags = flv::read(&Sample::H264Aac.path());
    let player = Rtmp::connect(server.port(), "live").expect("connect").play("flash");
    let publisher = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .publish_as_flash("live", "flash");
    let (mut player, mut publisher) = (player.expect("play"), publisher.expect("publish"));
    send_paced(&mut publisher, &tags[..200]).expect("send");
    assert_same_media(&tags, &player.collect_media(Duration::from_secs(1)), 50);
}

#[test]
fn audio_and_video_keep_their_order() {
    let server = Server::start();
    let tags = flv::read(&Sample::H264Aac.path());
    let mut player = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .play("order")
        .expect("play");
    let mut publisher = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .publish("live", "order")
        .expect("publish");
    send_paced(&mut publisher, &tags[..200]).expect("send");
    let payloads = |tags: &[Tag]| -> Vec<Vec<u8>> {
        let media = tags.iter().filter(|tag| !tag.is_header());
        media.map(|tag| tag.payload.clone()).collect()
    };
    let (sent, played) = (
        payloads(&tags[..200]),
        payloads(&player.collect_media(Duration::from_secs(1))),
    );
    assert!(
        played.len() > 100 && sent.starts_with(&played),
        "{} payloads came, of {}",
        played.len(),
        sent.len()
    );
}

#[test]
fn metadata_tells_the_server_and_no_duration() {
    let server = Server::start();
    let _publisher = Ffmpeg::Debian.publish(server.folder(), &Sample::H264Aac.path(), &server.url("meta"));
    let mut player = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .play("meta")
        .expect("play");
    player.wait_for_media().expect("media");
    let metadata = player
        .seen
        .iter()
        .find(|message| message.name().as_deref() == Some("onMetaData"));
    let values = metadata.expect("metadata before media").values();
    let fields = values.get(1).expect("the object of the metadata");
    assert_eq!(
        fields.get("width").and_then(|width| width.as_number()),
        Some(320.0),
        "{fields:?}"
    );
    assert!(
        fields.get("server").is_some() && fields.get("server_version").is_some(),
        "{fields:?}"
    );
    assert_eq!(fields.get("duration"), None);
}

#[test]
fn many_players_get_the_same() {
    let server = Server::start();
    let mut publisher = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .publish("live", "many")
        .expect("publish");
    let players = (0..40).map(|_| {
        Rtmp::connect(server.port(), "live")
            .expect("connect")
            .play("many")
            .expect("play")
    });
    let players: Vec<_> = players.collect();
    let mut tags = vec![numbered_header()];
    tags.extend((0..100).map(numbered_frame));
    send_paced(&mut publisher, &tags).expect("send");
    drop(publisher);
    for (which, mut player) in players.into_iter().enumerate() {
        let played = player.collect_media(Duration::from_millis(100));
        let numbers: Vec<_> = played.iter().filter_map(number_of).collect();
        // The last few may wait for a full batch when the publisher leaves.
        assert!(
            numbers.len() >= 80 && numbers.iter().copied().eq(0..numbers.len() as u32),
            "player {which}: {numbers:?}"
        );
    }
}

#[test]
fn streams_do_not_mix() {
    let server = Server::start();
    let publish = |stream| {
        Rtmp::connect(server.port(), "live")
            .expect("connect")
            .publish("live", stream)
    };
    let play = |stream| Rtmp::connect(server.port(), "live").expect("connect").play(stream);
    let (mut first, mut second) = (publish("first").expect("publish"), publish("second").expect("publish"));
    let (mut first_player, mut second_player) = (play("first").expect("play"), play("second").expect("play"));
    for client in [&mut first, &mut second] {
        client.send_tag(&numbered_header()).expect("send a header");
    }
    for number in 0..100 {
        first.send_tag(&numbered_frame(1000 + number)).expect("send a frame");
        second.send_tag(&numbered_frame(2000 + number)).expect("send a frame");
    }
    for (player, range) in [(&mut first_player, 1000..1100), (&mut second_player, 2000..2100)] {
        let played = player.collect_media(Duration::from_secs(1));
        let numbers: Vec<_> = played.iter().filter_map(number_of).collect();
        assert!(
            numbers.len() > 20 && numbers.iter().all(|number| range.contains(number)),
            "{numbers:?}"
        );
    }
}

#[test]
fn one_connection_publishes_again_after_unpublishing() {
    let server = Server::start();
    let mut publisher = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .publish("live", "again")
        .expect("publish");
    publisher.send_tag(&numbered_header()).expect("send");
    let name = Amf::text("again");
    publisher
        .command("FCUnpublish", 6.0, 0, &[Amf::Null, name])
        .expect("unpublish");
    publisher
        .status("NetStream.Unpublish.Success")
        .expect("the answer to FCUnpublish");
    let mut publisher = publisher.publish("live", "again").expect("publish again");
    let mut player = Rtmp::connect(server.port(), "live")
        .expect("connect")
        .play("again")
        .expect("play");
    let mut tags = vec![numbered_header()];
    tags.extend((0..50).map(numbered_frame));
    send_paced(&mut publisher, &tags).expect("send");
    let played = player.collect_media(Duration::from_secs(1));
    assert!(played.len() > 20, "{} messages after publishing again", played.len());
}
