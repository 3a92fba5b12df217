//! Entries come and go with their clients, and bytes are counted once.

use crate::kernel::error::Error;
use bytes::Bytes;

use super::*;
use crate::kernel::error_code::ErrorCode;
use crate::kernel::frame::{Frame, Kind};

#[derive(Default)]
struct Fake {
    bytes: Cell<(u64, u64)>,
    kicked: Cell<bool>,
}

impl Carrier for Fake {
    fn received_bytes(&self) -> u64 {
        self.bytes.get().0
    }

    fn sent_bytes(&self) -> u64 {
        self.bytes.get().1
    }

    fn kick(&self) -> bool {
        !self.kicked.replace(true)
    }
}

fn client<'a>(id: &'a str, kind: ClientKind, url: &'a str) -> NewClient<'a> {
    NewClient {
        id,
        kind,
        ip: [127, 0, 0, 1].into(),
        page_url: "",
        swf_url: "",
        tc_url: "rtmp://127.0.0.1/live",
        vhost: "__defaultVhost__",
        app: "live",
        name: "s",
        stream: "s",
        url,
        before: (0, 0),
    }
}

#[test]
fn entries_leave_with_their_clients() {
    let stat = Rc::new(Statistics::default());
    let publisher = stat.enter(client("b", ClientKind::FmlePublish, "/live/s"), Rc::<Fake>::default());
    let publishing = publisher.publish(true);
    let player = stat.enter(client("a", ClientKind::RtmpPlay, "/live/s"), Rc::<Fake>::default());
    let ids = |from, count| -> Vec<String> {
        stat.clients(from, count)
            .iter()
            .map(|client| client.id.clone())
            .collect()
    };
    assert_eq!(ids(0, 10), ["a", "b"]);
    assert_eq!(
        (ids(1, 10), ids(0, 1), ids(5, 1)),
        (vec!["b".into()], vec!["a".into()], vec![])
    );
    let stream = stat.streams(0, 10).remove(0);
    assert_eq!((stream.clients(), stream.is_published()), (2, true));
    assert_eq!(stream.publisher().as_deref(), Some("b"));
    assert_eq!((stat.published_streams(), stat.vhosts()[0].clients()), (1, 2));
    assert!(stat.stream(&stream.id).is_some() && stat.vhost(&stream.vhost.id).is_some());

    drop(publishing);
    publisher.leave(&Err(Error::new(ErrorCode::SocketClosed, "gone")));
    assert_eq!((stream.clients(), stream.is_published()), (1, false));
    assert_eq!((stat.published_streams(), stat.failed(), stat.entered()), (0, 1, 2));
    assert_eq!(stat.streams(0, 10).len(), 1, "a player keeps the stream");
    player.leave(&Ok(()));
    assert_eq!(
        (stat.streams(0, 10).len(), stat.client_count(), stat.failed()),
        (0, 0, 1)
    );
    assert_eq!(stat.vhosts().len(), 1);
    stat.retain_vhosts(|_| false);
    assert!(stat.vhosts().is_empty());
}

#[test]
fn bytes_are_counted_once() {
    let stat = Rc::new(Statistics::default());
    let (first, second) = (Rc::<Fake>::default(), Rc::<Fake>::default());
    let publisher = stat.enter(client("a", ClientKind::FmlePublish, "/live/s"), first.clone());
    second.bytes.set((7, 70));
    let again = NewClient {
        before: (7, 70),
        ..client("b", ClientKind::RtmpPlay, "/live/s")
    };
    let player = stat.enter(again, second.clone());
    first.bytes.set((1000, 10));
    second.bytes.set((17, 570));
    stat.sample();
    stat.sample();
    let stream = stat.stream_by_url("/live/s").unwrap();
    assert_eq!(
        (player.client.traffic.received(), player.client.traffic.sent()),
        (10, 500)
    );
    assert_eq!((stream.traffic.received(), stream.traffic.sent()), (1010, 510));
    first.bytes.set((1500, 10));
    drop(publisher);
    for traffic in [&stream.traffic, &stream.vhost.traffic, &stat.total] {
        assert_eq!(
            (traffic.received(), traffic.sent()),
            (1510, 510),
            "the last bytes count too"
        );
    }
    assert!(player.client.kick() && second.kicked.get());
}

#[test]
fn a_publication_tells_what_it_is() {
    let stat = Rc::new(Statistics::default());
    let entry = stat.enter(client("a", ClientKind::FmlePublish, "/live/s"), Rc::<Fake>::default());
    let stream = entry.client.stream.clone();
    assert_eq!((stream.publisher(), stream.video(), stream.audio()), (None, None, None));
    let mut publishing = entry.publish(true);
    let frames: [(Kind, &[u8]); 4] = [
        (Kind::Audio, b"\xaf\x00\x12\x10"),
        (Kind::Video, b"\x17\x00\x00\x00\x00\x01"),
        (Kind::Video, b"\x17\x01\x00\x00\x00\x00\x00\x00\x01\x65"),
        (Kind::Data, b"\x02\x00\x01a"),
    ];
    for (kind, payload) in frames {
        publishing.see(&Frame::new(kind, 0, Bytes::from_static(payload)));
    }
    assert_eq!(stream.frames(), 2);
    assert_eq!(stream.audio().map(|audio| audio.sample_rate), Some(44_100));
    assert_eq!(
        stream.video().map(|video| video.width),
        Some(0),
        "broken, but known to be there"
    );
    drop(publishing);
    assert_eq!((stream.video(), stream.audio()), (None, None));
    assert_eq!(stream.publisher().as_deref(), Some("a"), "the last one is remembered");
}

#[test]
fn an_id_that_came_back_is_not_taken_out_by_the_old_entry() {
    let stat = Rc::new(Statistics::default());
    let old = stat.enter(client("a", ClientKind::RtmpPlay, "/live/s"), Rc::<Fake>::default());
    let new = stat.enter(client("a", ClientKind::RtmpPlay, "/live/t"), Rc::<Fake>::default());
    drop(old);
    assert!(stat.client("a").is_some_and(|client| Rc::ptr_eq(&client, &new.client)));
}
