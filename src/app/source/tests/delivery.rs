//! Who sends what and when: the courier, slow players, and what is kept for them.

use super::*;

#[test]
fn a_slow_player_jumps_to_the_newest_keyframe_and_its_time_goes_on() {
    run(|| {
        let (source, publication) = source(Play {
            queue_length: Duration::from_secs(1),
            ..Play::default()
        });
        headers(&publication);
        publication.push(video(0, true, 10));
        let mut player = Player::join(&source);
        assert_eq!(player.messages().len(), 4);
        for index in 1..=202u32 {
            publication.push(video(index * 40, index % 25 == 0, 10));
        }
        let messages = player.messages();
        assert!(player.delivery.dropped() > 100);
        assert_eq!(shape(&messages), [(18, 0), (8, 10), (9, 10), (9, 10), (9, 50), (9, 90)]);
        assert_eq!(messages[3].payload[0], 0x17);
    })
    .unwrap();
}

#[test]
fn what_nobody_needs_is_forgotten() {
    run(|| {
        let (source, publication) = source(Play::default());
        let mut player = Player::join(&source);
        for index in 0..1000u32 {
            publication.push(video(index * 40, index % 50 == 0, 1000));
            if index % 10 == 0 {
                player.messages();
            }
        }
        assert!(source.state().journal.end() - source.state().journal.first() < 120);
    })
    .unwrap();
}

#[test]
fn the_courier_sends_a_batch_when_it_is_due_and_not_before() {
    run(|| {
        let (source, publication) = source(Play::default());
        let merged = MergedWrite {
            messages: 2,
            latency: Duration::from_millis(100),
        };
        let mut player = Player::join_merged(&source, merged);
        publication.push(video(0, true, 10));
        assert_eq!(player.messages().len(), 1);
        assert_eq!(player.server.try_read(&mut [0; 1]).unwrap(), None);
        // The coroutine stays in one wait while the courier sends.
        let delivery = player.delivery.clone();
        let publisher = spawn("publisher", move || {
            let mut sent = Vec::new();
            for timestamp in [90, 95, 99, 101, 105] {
                publication.push(video(timestamp, false, 10));
                coroutine::sleep(Duration::from_millis(20));
                sent.push(delivery.sent());
            }
            (publication, sent)
        });
        player.delivery.wait(Moment::after(Duration::from_millis(150)));
        let (_publication, sent) = publisher.join().unwrap();
        assert_eq!(sent, [1, 1, 1, 5, 5]);
        // What is left goes out when the stream pauses.
        player.delivery.wait(Moment::after(Duration::from_millis(1500)));
        assert_eq!(player.delivery.sent(), 6);
        assert_eq!(
            shape(&player.messages()),
            [(9, 90), (9, 95), (9, 99), (9, 101), (9, 105)]
        );
    })
    .unwrap();
}

#[test]
fn what_the_socket_does_not_take_is_the_coroutines_matter() {
    run(|| {
        let (source, publication) = source(Play::default());
        let mut player = Player::join(&source);
        // 400 of them are less than what the stream keeps.
        let bytes = 60_000.min(SOURCE_JOURNAL_BYTES / 460);
        let mut sent = Vec::new();
        let mut push = |index: u32| {
            let frame = video(index * 40, index.is_multiple_of(50), bytes);
            sent.push(frame.payload.clone());
            publication.push(frame);
        };
        push(0);
        player.send();
        assert_eq!(player.server.try_read(&mut [0; 1]).unwrap(), None);
        // More than the sockets' buffers hold: the courier must stop, and the coroutine's wait end.
        for index in 1..400 {
            push(index);
        }
        let before = Moment::now();
        player.delivery.wait(Moment::after(Duration::from_secs(5)));
        assert!(Moment::now().since(before) < Duration::from_secs(4));
        let delivery = player.delivery.clone();
        let sender = spawn("sender", move || while delivery.send(u64::MAX).unwrap() > 0 {});
        let mut received = Vec::new();
        let mut buffer = vec![0; 256 << 10];
        while received.len() < 400 {
            let count = player.client.read(&mut buffer).unwrap();
            player.input.extend_from_slice(&buffer[..count]);
            while let Some(message) = player.decoder.decode(&mut player.input).unwrap() {
                received.push(message.payload);
            }
        }
        sender.join().unwrap();
        assert!(received == sent);
    })
    .unwrap();
}

#[test]
fn the_courier_ends_with_the_last_player() {
    run(|| {
        let (source, publication) = source(Play::default());
        let player = Player::join(&source);
        publication.push(video(0, true, 10));
        coroutine::sleep(Duration::from_millis(5));
        assert!(source.courier().runs());
        drop(player);
        coroutine::sleep(Duration::from_millis(5));
        assert!(!source.courier().runs());
    })
    .unwrap();
}

#[test]
fn a_publisher_cannot_fill_the_memory() {
    run(|| {
        let (source, publication) = source(Play::default());
        // Neither keyframes nor time: only the bytes tell.
        publication.push(video(0, true, 10));
        let _stuck = Player::join(&source);
        let large = video(0, false, 4 << 20);
        for _ in 0..60 {
            publication.push(large.clone());
            assert!(source.state().journal.bytes() <= SOURCE_JOURNAL_BYTES + (5 << 20));
        }
        drop(_stuck);
        publication.push(large.clone());
        assert!(source.state().journal.bytes() <= SOURCE_JOURNAL_BYTES);
    })
    .unwrap();
}
