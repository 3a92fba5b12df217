//! What one stream to many players, and many publishers, cost beside a bare sender and a bare reader of the same bytes.
//!
//! `taskset -c 0 cargo bench --bench fanout -- [rtmp=2000] [flv=2000] [realtime=500] [publishers=1000] [rounds=5] [seconds=3]`
//! measures each load that is not 0. The other ends live in a child process on core 1. In each round the bare loop works
//! for so many seconds, then the server's code does, over connections that were made alternately; what counts is the
//! median of the rounds' ratios.

mod peers;
mod players;
mod publishers;
mod stream;

use std::time::Duration;

use srs_may::core::runtime::run;
use srs_may::core::setup::raise_file_limit;

/// How a load is measured.
#[derive(Clone, Copy)]
pub struct Rounds {
    /// How often.
    pub count: usize,
    /// How long each side works in one.
    pub span: Duration,
}

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let _ = raise_file_limit();
    if let [role, address, count] = &words[..]
        && let (Ok(address), Ok(count)) = (address.parse(), count.parse())
    {
        return match role.as_str() {
            "publish" => peers::publish(address, count),
            _ => peers::drain(address, count),
        };
    }
    let number = |name: &str, usual: u64| {
        let mut given = words
            .iter()
            .filter_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        given.next().map_or(usual, |text| text.parse().expect("a number"))
    };
    let rounds = Rounds {
        count: number("rounds", 5) as usize,
        span: Duration::from_secs(number("seconds", 3)),
    };
    let (rtmp, flv, realtime) = (number("rtmp", 2000), number("flv", 2000), number("realtime", 500));
    let publishers = number("publishers", 1000);
    run(move || {
        players::measure(players::Load::Rtmp, rtmp as usize, rounds);
        players::measure(players::Load::HttpFlv, flv as usize, rounds);
        players::measure(players::Load::Realtime, realtime as usize, rounds);
        publishers::measure(publishers as usize, rounds);
    })
    .expect("run");
}

/// Median, least and most.
pub fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let least = values.first().copied().unwrap_or(f64::NAN);
    let most = values.last().copied().unwrap_or(f64::NAN);
    (values.get(values.len() / 2).copied().unwrap_or(f64::NAN), least, most)
}
