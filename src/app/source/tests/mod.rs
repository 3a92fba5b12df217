//! The path of a packet as a player sees it: what is published, sent over a socket, and read back by a chunk decoder.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::{AudioConsumer, Delivery, FlvConsumer, MergedWrite, Publication, Source, Tracks};
use crate::app::config::section::play::{Play, TimeJitter};
use crate::app::stream::Stream;
use crate::core::clock::Moment;
use crate::core::coroutine::{self, spawn};
use crate::core::limits::SOURCE_JOURNAL_BYTES;
use crate::core::runtime::run;
use crate::core::tcp::{ListenOptions, TcpListener, TcpStream};
use crate::kernel::codec::AudioCodec;
use crate::kernel::error_code::ErrorCode;
use crate::kernel::flv::demux::{Demuxer, Item};
use crate::kernel::frame::{Frame, Kind};
use crate::protocol::rtmp::chunk::{Decoder, Message};

mod courier;
mod delivery;
mod follower;
mod views;

const CHUNK: usize = 4096;
const AT_ONCE: MergedWrite = MergedWrite {
    messages: 0,
    latency: Duration::ZERO,
};

fn source(play: Play) -> (Rc<Source>, Publication) {
    let source = Source::new("live/s".into(), "__defaultVhost__".into(), Rc::new(play));
    let publication = source.publish().unwrap();
    (source, publication)
}

fn video(timestamp: u32, key: bool, size: usize) -> Frame {
    let mut body = vec![if key { 0x17 } else { 0x27 }, 1, 0, 0, 0];
    body.extend((0..size).map(|index| (index as u32).wrapping_add(timestamp) as u8));
    Frame::new(Kind::Video, timestamp, Bytes::from(body))
}

fn audio(timestamp: u32) -> Frame {
    Frame::new(Kind::Audio, timestamp, Bytes::from(vec![0xaf, 1, timestamp as u8]))
}

fn headers(publication: &Publication) {
    publication.push(Frame::new(
        Kind::Data,
        0,
        Bytes::from_static(b"\x02\x00\x0aonMetaData\x05"),
    ));
    publication.push(Frame::new(Kind::Audio, 0, Bytes::from_static(b"\xaf\x00\x12\x10")));
    publication.push(Frame::new(Kind::Video, 0, Bytes::from_static(b"\x17\x00\0\0\0\x01")));
}

fn socket_pair() -> (TcpStream, TcpStream) {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listener = TcpListener::bind(any, ListenOptions::default()).unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = spawn("accept", move || listener.accept().unwrap().0);
    let client = TcpStream::connect(address, Duration::from_secs(5)).unwrap();
    (client, accepting.join().unwrap())
}

/// A player on a socket of its own, and the decoder behind it.
struct Player {
    client: TcpStream,
    server: Rc<Stream>,
    delivery: Rc<Delivery>,
    decoder: Decoder,
    input: BytesMut,
}

impl Player {
    fn join(source: &Rc<Source>) -> Self {
        Self::join_merged(source, AT_ONCE)
    }

    fn join_merged(source: &Rc<Source>, merged: MergedWrite) -> Self {
        let (client, server) = socket_pair();
        let server = Rc::new(Stream::from(server));
        let delivery = Delivery::join(source, CHUNK, &server, merged, true);
        client.set_read_timeout(Some(Duration::from_millis(300)));
        let mut decoder = Decoder::new();
        decoder.set_chunk_size(CHUNK as u32).unwrap();
        Player {
            client,
            server,
            delivery,
            decoder,
            input: BytesMut::new(),
        }
    }

    fn send(&mut self) {
        while self.delivery.send(u64::MAX).unwrap() > 0 {}
    }

    /// Sends all there is and reads it back.
    fn messages(&mut self) -> Vec<Message> {
        self.send();
        let mut messages = Vec::new();
        let mut buffer = vec![0; 256 << 10];
        coroutine::sleep(Duration::from_millis(2));
        while let Some(count) = self.client.try_read(&mut buffer).unwrap() {
            self.input.extend_from_slice(&buffer[..count]);
            while let Some(message) = self.decoder.decode(&mut self.input).unwrap() {
                messages.push(message);
            }
            self.send();
            coroutine::sleep(Duration::from_millis(2));
        }
        messages
    }
}

fn shape(messages: &[Message]) -> Vec<(u8, u32)> {
    messages
        .iter()
        .map(|message| (message.kind, message.timestamp))
        .collect()
}

#[test]
fn a_player_starts_with_headers_and_the_newest_gop_at_its_own_zero() {
    run(|| {
        let (source, publication) = source(Play::default());
        headers(&publication);
        for timestamp in [1000, 1040] {
            publication.push(video(timestamp, timestamp == 1000, 10));
        }
        let mut early = Player::join(&source);
        publication.push(video(1080, true, 10));
        publication.push(audio(1090));
        publication.push(video(1120, false, 10));
        let mut late = Player::join(&source);
        let (first, second) = (early.messages(), late.messages());
        assert_eq!(
            shape(&first),
            [(18, 0), (8, 0), (9, 0), (9, 0), (9, 40), (9, 80), (8, 90), (9, 120)]
        );
        assert_eq!(shape(&second), [(18, 0), (8, 0), (9, 0), (9, 0), (8, 10), (9, 40)]);
        assert_eq!(first[5].payload, second[3].payload);
        publication.push(audio(1130));
        publication.push(video(1160, false, 10));
        assert_eq!(shape(&early.messages()), [(8, 130), (9, 160)]);
        assert_eq!(shape(&late.messages()), [(8, 50), (9, 80)]);
    })
    .unwrap();
}

/// Tags of a batch: kind and time.
fn tags(batch: &[u8]) -> Vec<(u8, u32)> {
    let mut demuxer = Demuxer::at_tag(0);
    demuxer.feed(batch);
    let mut tags = Vec::new();
    while let Some(Item::Tag(tag)) = demuxer.pull().unwrap() {
        tags.push((tag.kind as u8, tag.timestamp));
    }
    tags
}

#[test]
fn flv_players_have_their_own_zero_too() {
    run(|| {
        let (source, publication) = source(Play::default());
        let mut waiting = FlvConsumer::join(&source);
        assert_eq!(Tracks::guess(&waiting.place, |_| true), None);
        headers(&publication);
        for frame in [
            video(1000, true, 10),
            video(1080, true, 10),
            audio(1070),
            video(1120, false, 10),
        ] {
            publication.push(frame);
        }
        let mut late = FlvConsumer::join(&source);
        let mut batch = Vec::new();
        assert_eq!(late.take_batch(&mut batch), 3);
        assert_eq!(tags(&batch), [(18, 0), (8, 0), (9, 0), (9, 10), (8, 0), (9, 50)]);
        let mut batch = Vec::new();
        waiting.take_batch(&mut batch);
        assert_eq!(
            tags(&batch),
            [(18, 0), (8, 0), (9, 0), (9, 0), (9, 80), (8, 70), (9, 120)]
        );

        let mut deaf = FlvConsumer::join(&source);
        assert_eq!(
            Tracks::guess(&deaf.place, |_| true),
            Some(Tracks {
                audio: true,
                video: true
            })
        );
        deaf.set_wanted(Tracks {
            audio: false,
            video: true,
        });
        let mut batch = Vec::new();
        deaf.take_batch(&mut batch);
        assert!(tags(&batch).iter().all(|(kind, _)| *kind != 8));
    })
    .unwrap();
}

#[test]
fn large_messages_pass_whole_beside_small_ones() {
    run(|| {
        let (source, publication) = source(Play::default());
        let mut player = Player::join(&source);
        let mut sent = Vec::new();
        for index in 0..40u32 {
            let size = if index % 10 == 0 { 300_000 } else { 3_000 };
            for frame in [video(index * 40, index % 10 == 0, size), audio(index * 40 + 7)] {
                sent.push(frame.payload.clone());
                publication.push(frame);
            }
        }
        let received: Vec<_> = player.messages().into_iter().map(|message| message.payload).collect();
        assert!(received == sent);
    })
    .unwrap();
}

#[test]
fn steps_back_reach_the_player_as_they_are() {
    run(|| {
        let (source, publication) = source(Play {
            time_jitter: TimeJitter::Zero,
            ..Play::default()
        });
        let mut player = Player::join(&source);
        for timestamp in [500, 540, 520, 560] {
            publication.push(video(timestamp, timestamp == 500, 10));
        }
        assert_eq!(shape(&player.messages()), [(9, 0), (9, 40), (9, 20), (9, 60)]);
    })
    .unwrap();
}

#[test]
fn untouched_time_passes_its_wraps() {
    run(|| {
        for start in [(1u32 << 24) - 60, (1 << 31) - 60, u32::MAX - 59] {
            let (source, publication) = source(Play {
                atc: true,
                ..Play::default()
            });
            let mut player = Player::join(&source);
            let times: Vec<u32> = (0..4).map(|index| start.wrapping_add(index * 40)).collect();
            for &timestamp in &times {
                publication.push(video(timestamp, true, 10_000));
                publication.push(audio(timestamp));
            }
            let expected: Vec<_> = times.iter().flat_map(|&time| [(9, time), (8, time)]).collect();
            assert_eq!(shape(&player.messages()), expected);
        }
    })
    .unwrap();
}

#[test]
fn one_publisher_at_a_time() {
    run(|| {
        let (source, publication) = source(Play::default());
        assert_eq!(
            source.publish().err().map(|error| error.code()),
            Some(ErrorCode::StreamBusy)
        );
        drop(publication);
        assert!(source.publish().is_ok());
        assert!(source.idle_since().is_some());
    })
    .unwrap();
}

#[test]
fn players_stay_over_a_republish() {
    run(|| {
        let (source, publication) = source(Play::default());
        headers(&publication);
        publication.push(video(5000, true, 10));
        let mut player = Player::join(&source);
        assert_eq!(shape(&player.messages()).last(), Some(&(9, 0)));
        drop(publication);
        let again = source.publish().unwrap();
        headers(&again);
        again.push(video(20, true, 10));
        let messages = player.messages();
        assert_eq!(
            messages.iter().map(|message| message.kind).collect::<Vec<_>>(),
            [18, 8, 9, 9]
        );
        assert!(
            messages
                .windows(2)
                .skip(1)
                .all(|pair| pair[0].timestamp <= pair[1].timestamp)
        );
        assert!(messages[3].timestamp < 100);
    })
    .unwrap();
}

#[test]
fn equal_headers_are_left_out_when_asked() {
    run(|| {
        let (source, publication) = source(Play {
            reduce_sequence_header: true,
            ..Play::default()
        });
        let mut player = Player::join(&source);
        headers(&publication);
        headers(&publication);
        publication.push(video(0, true, 10));
        assert_eq!(shape(&player.messages()), [(18, 0), (8, 0), (9, 0), (9, 0)]);
    })
    .unwrap();
}

#[test]
fn mixed_up_audio_and_video_are_put_in_order() {
    run(|| {
        let (source, publication) = source(Play {
            mix_correct: true,
            ..Play::default()
        });
        let mut player = Player::join(&source);
        for base in [0, 100, 200] {
            publication.push(video(base, true, 10));
            publication.push(video(base + 40, false, 10));
            publication.push(audio(base + 10));
            publication.push(audio(base + 30));
        }
        drop(publication);
        let times: Vec<u32> = player.messages().iter().map(|message| message.timestamp).collect();
        assert_eq!(times, [0, 10, 30, 40, 100, 110, 130, 140, 200, 210, 230, 240]);
    })
    .unwrap();
}

#[test]
fn a_player_gets_all_headers_though_metadata_comes_first_in_its_journal() {
    run(|| {
        let (source, publication) = source(Play {
            gop_cache: false,
            ..Play::default()
        });
        headers(&publication);
        let mut player = Player::join(&source);
        publication.push(Frame::new(
            Kind::Data,
            0,
            Bytes::from_static(b"\x02\x00\x0aonMetaData\x06"),
        ));
        publication.push(video(0, true, 10));
        assert_eq!(shape(&player.messages()), [(8, 0), (9, 0), (18, 0), (9, 0)]);
    })
    .unwrap();
}

#[test]
fn a_cache_that_is_turned_on_late_starts_with_the_next_keyframe() {
    run(|| {
        let (source, publication) = source(Play {
            gop_cache: false,
            ..Play::default()
        });
        for index in 0..100u32 {
            publication.push(video(index * 40, index == 0, 10));
        }
        source.set_play(Rc::new(Play::default()));
        let mut player = Player::join(&source);
        assert_eq!(player.messages().len(), 0);
        publication.push(video(4000, false, 10));
        assert_eq!(shape(&player.messages()), [(9, 0)]);
    })
    .unwrap();
}

#[test]
fn sound_is_kept_for_players_to_come_but_not_past_its_publisher() {
    run(|| {
        let (source, publication) = source(Play::default());
        source.keep_sound(Duration::from_secs(2));
        headers(&publication);
        for index in 0..500 {
            publication.push(audio(index * 20));
        }
        let take = |consumer: &mut AudioConsumer| {
            let mut out = Vec::new();
            while consumer.take_batch(&mut out) > 0 {}
            out.len()
        };
        // Frames of one byte behind headers of seven, over two seconds with both ends.
        assert_eq!(take(&mut AudioConsumer::join(&source, AudioCodec::Aac)), 101 * 8);
        assert_eq!(take(&mut AudioConsumer::join(&source, AudioCodec::Mp3)), 0);
        drop(publication);
        let publication = source.publish().unwrap();
        let mut late = AudioConsumer::join(&source, AudioCodec::Aac);
        assert_eq!(take(&mut late), 0);
        headers(&publication);
        publication.push(audio(0));
        assert_eq!(take(&mut late), 8);
    })
    .unwrap();
}
