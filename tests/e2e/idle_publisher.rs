//! `publish.kickoff_for_idle`: a publisher whom nobody watches.

use std::time::{Duration, Instant};

use crate::support::bystander::{numbered_frame, numbered_header};
use crate::support::rtmp::Rtmp;
use crate::support::server::Setup;

/// Sends a frame every 50 ms until the server hangs up, or `limit`; gives how long that took.
fn publish_until_kicked(publisher: &mut Rtmp, limit: Duration) -> Option<Duration> {
    let begin = Instant::now();
    for number in 0.. {
        if publisher.send_tag(&numbered_frame(number)).is_err() || !publisher.is_open() {
            return Some(begin.elapsed());
        }
        if begin.elapsed() > limit {
            return None;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    None
}

#[test]
fn one_whom_nobody_watches_is_dropped_and_one_with_a_player_stays() {
    let server = Setup::default().vhost("publish { kickoff_for_idle 1.5; }").start();
    let connect = || Rtmp::connect(server.port(), "live").expect("connect");
    let mut publisher = connect().publish("live", "s").expect("publish");
    publisher.send_tag(&numbered_header()).expect("send");
    let player = connect().play("s").expect("play");
    assert_eq!(publish_until_kicked(&mut publisher, Duration::from_secs(3)), None);
    drop(player);
    let kicked = publish_until_kicked(&mut publisher, Duration::from_secs(10)).expect("the end");
    assert!(kicked > Duration::from_secs(1), "{kicked:?}");
    server.wait_for_line(&["server disconnect. ret=2056", "nobody has watched"]);
}
