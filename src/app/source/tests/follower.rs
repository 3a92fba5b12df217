//! What one that writes files gets of a publication.

use std::rc::Rc;
use std::time::Duration;

use super::super::Follower;
use super::{audio, source, video};
use crate::app::config::section::play::Play;
use crate::core::coroutine::{spawn, yield_now};
use crate::core::runtime::run;
use crate::kernel::frame::Frame;

fn times(frames: &[Frame]) -> Vec<u32> {
    frames.iter().map(|frame| frame.timestamp).collect()
}

#[test]
fn a_follower_gets_all_of_one_publication_and_nothing_of_the_next() {
    run(|| {
        let (source, publication) = source(Play::default());
        publication.push(video(0, true, 10));
        let followed = source.clone();
        let follower = spawn("follower", move || {
            let mut follower = Follower::join(&followed, Duration::from_millis(100));
            let (mut all, mut frames, mut batches) = (Vec::new(), Vec::new(), 0);
            while let Some(missed) = follower.next(&mut frames) {
                assert_eq!(missed, 0);
                all.append(&mut frames);
                batches += 1;
            }
            (times(&all), batches)
        });
        for time in (20..=200).step_by(20) {
            publication.push(audio(time));
            yield_now();
        }
        assert_eq!(source.consumer_count(), 0);
        drop(publication);
        let next = source.publish().unwrap();
        next.push(audio(7));
        let (times, batches) = follower.join().unwrap();
        assert_eq!(times, (0..=200).step_by(20).collect::<Vec<_>>());
        // The first message at once, then what spans 100 ms, and the rest at the end.
        assert!((2..=4).contains(&batches), "{batches}");
    })
    .unwrap();
}

#[test]
fn one_that_is_too_slow_is_told_what_it_missed() {
    run(|| {
        let (source, publication) = source(Play {
            queue_length: Duration::from_secs(1),
            ..Play::default()
        });
        let mut follower = Follower::join(&source, Duration::ZERO);
        for index in 0..400u32 {
            publication.push(video(index * 20, index.is_multiple_of(50), 10));
        }
        let mut frames = Vec::new();
        let missed = follower.next(&mut frames).unwrap();
        assert_eq!(missed, 350);
        assert!(frames[0].facts.keyframe);
        assert_eq!(times(&frames)[0], 350 * 20);
        drop(publication);
        assert!(follower.next(&mut frames).is_none());
        assert_eq!(Rc::strong_count(&source), 2);
    })
    .unwrap();
}
