//! What the courier sends for coroutines that wait: the same bytes to all, and yet to each its own.

use super::super::{Envelope, Recipient, Way};
use super::*;

/// An HTTP-FLV player whose coroutine only writes what the courier leaves to it.
struct HttpPlayer {
    client: TcpStream,
    recipient: Rc<Recipient>,
    ended: coroutine::JoinHandle<u64>,
}

impl HttpPlayer {
    /// Joins; its coroutine ends with the publication.
    fn join(source: &Rc<Source>, envelope: Envelope, wanted: Tracks) -> Self {
        let (client, server) = socket_pair();
        let source = source.clone();
        let own = Rc::new(std::cell::RefCell::new(None));
        let told = own.clone();
        let ended = spawn("http player", move || {
            let recipient = Rc::new(Recipient::current());
            own.replace(Some(recipient.clone()));
            let stream = Rc::new(Stream::from(server));
            let mut consumer = FlvConsumer::join(&source);
            consumer.set_wanted(wanted);
            let way = Way {
                stream: &stream,
                envelope,
                merged: AT_ONCE,
                recipient: &recipient,
            };
            let mut own_batches = 0;
            while source.publisher().is_some() {
                let mut out = recipient.take_turn();
                if consumer.take_batch(&mut out) > 0 {
                    own_batches += 1;
                }
                stream.write_all(&out).unwrap();
                let _ = stream.try_read(&mut [0; 16]);
                let deadline = Moment::after(Duration::from_secs(10));
                consumer.place.wait(consumer.parked(&way), AT_ONCE, &stream, deadline);
            }
            own_batches
        });
        coroutine::sleep(Duration::from_millis(2));
        let recipient = told.take().unwrap();
        HttpPlayer {
            client,
            recipient,
            ended,
        }
    }

    fn received(&self) -> Vec<u8> {
        coroutine::sleep(Duration::from_millis(2));
        let mut buffer = vec![0; 256 << 10];
        let count = self.client.try_read(&mut buffer).unwrap().unwrap_or(0);
        buffer.truncate(count);
        buffer
    }

    fn times(&self) -> Vec<u32> {
        tags(&self.received())
    }
}

/// The times of FLV tags.
fn tags(bytes: &[u8]) -> Vec<u32> {
    let mut demuxer = Demuxer::at_tag(0);
    demuxer.feed(bytes);
    let mut times = Vec::new();
    while let Some(item) = demuxer.pull().unwrap() {
        if let Item::Tag(tag) = item {
            times.push(tag.timestamp);
        }
    }
    times
}

fn without_cache() -> Play {
    Play {
        gop_cache: false,
        ..Play::default()
    }
}

#[test]
fn each_player_has_its_own_zero_in_bytes_that_are_packed_once() {
    run(|| {
        let (source, publication) = source(without_cache());
        let early = HttpPlayer::join(&source, Envelope::Bare, Tracks::BOTH);
        publication.push(video(0, true, 10));
        publication.push(video(40, false, 10));
        assert_eq!(early.times(), [0, 40]);
        let late = HttpPlayer::join(&source, Envelope::Bare, Tracks::BOTH);
        publication.push(video(80, false, 10));
        assert_eq!((early.times(), late.times()), (vec![80], vec![0]));
        for time in [120, 160, 200] {
            publication.push(video(time, false, 10));
            assert_eq!((early.times(), late.times()), (vec![time], vec![time - 80]));
        }
        assert!(!early.recipient.is_called(), "the courier sent");
        drop(publication);
        assert_eq!((early.ended.join().unwrap(), late.ended.join().unwrap()), (1, 1));
    })
    .unwrap();
}

#[test]
fn envelopes_and_wanted_tracks_tell_players_of_one_message_apart() {
    run(|| {
        let (source, publication) = source(without_cache());
        let pictures = Tracks {
            audio: false,
            video: true,
        };
        let join = |envelope, wanted| HttpPlayer::join(&source, envelope, wanted);
        let bare = join(Envelope::Bare, Tracks::BOTH);
        let chunked = join(Envelope::Chunk, Tracks::BOTH);
        let message = join(Envelope::Message, Tracks::BOTH);
        let silent = join(Envelope::Bare, pictures);
        publication.push(video(0, true, 10));
        for player in [&bare, &chunked, &message, &silent] {
            assert_eq!(player.times(), [0]);
        }
        publication.push(video(40, false, 300));
        publication.push(audio(50));
        let bytes = bare.received();
        assert_eq!(tags(&bytes), [40, 50]);
        assert_eq!(bytes.len(), 11 + 305 + 4 + 11 + 3 + 4);
        let chunk = [b"152\r\n", &bytes[..], b"\r\n"].concat();
        assert_eq!(chunked.received(), chunk);
        assert_eq!(message.received(), [b"\x82\x7e\x01\x52", &bytes[..]].concat());
        assert_eq!(silent.times(), [40]);
    })
    .unwrap();
}

#[test]
fn a_track_that_is_new_to_an_rtmp_player_is_its_coroutines_matter() {
    run(|| {
        let (source, publication) = source(Play::default());
        publication.push(video(0, true, 10));
        let mut players = [Player::join(&source), Player::join(&source)];
        for player in &mut players {
            assert_eq!(shape(&player.messages()), [(9, 0)]);
            assert_eq!(player.server.try_read(&mut [0; 1]).unwrap(), None);
        }
        let publisher = spawn("publisher", move || {
            for time in [40, 80] {
                publication.push(video(time, false, 10));
                coroutine::sleep(Duration::from_millis(5));
            }
            publication
        });
        let first = &players[0];
        first.delivery.wait(Moment::after(Duration::from_millis(40)));
        assert!(!first.delivery.is_due());
        assert_eq!(first.delivery.sent(), 3);
        let publication = publisher.join().unwrap();
        // Sound is new to it.
        let publisher = spawn("publisher", move || publication.push(audio(90)));
        let before = Moment::now();
        first.delivery.wait(Moment::after(Duration::from_secs(10)));
        assert!(first.delivery.is_due() && Moment::now().since(before) < Duration::from_secs(5));
        publisher.join().unwrap();
        assert_eq!(shape(&players[0].messages()), [(9, 40), (9, 80), (8, 90)]);
        assert_eq!(shape(&players[1].messages()), [(9, 40), (9, 80), (8, 90)]);
    })
    .unwrap();
}
