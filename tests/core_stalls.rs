//! What blocks elsewhere delays nobody. Alone in its process, since all tests of one process share the worker and this
//! one measures time.

use std::io;
use std::sync::mpsc;
use std::time::Duration;

use srs_may::core::clock::Moment;
use srs_may::core::coroutine::{sleep, spawn};
use srs_may::core::dns;
use srs_may::core::offload::{self, Class, Lane, offload};
use srs_may::core::runtime::run;
use srs_may::core::tcp::TcpStream;

#[path = "core/echo.rs"]
mod echo;

use echo::{echo, start_echo};

const LONG: Duration = Duration::from_secs(60);

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn a_blocked_disk_and_a_blocked_resolver_delay_nobody_else() {
    run(|| {
        const BLOCKED: Duration = Duration::from_secs(2);
        let lane = Lane::new(Class::Disk, 1 << 20);
        let (finished, finishes) = mpsc::channel();
        let started = Moment::now();
        for name in ["first", "second"] {
            let finished = finished.clone();
            lane.post(0, move || {
                std::thread::sleep(BLOCKED / 2);
                finished.send(name).unwrap();
            })
            .unwrap();
        }
        for _ in 0..32 {
            // More than there are threads: names cannot be resolved now.
            offload::post(Class::Resolver, || std::thread::sleep(BLOCKED / 8)).unwrap();
        }
        let starved = spawn("resolve", || {
            dns::resolve("localhost", 80, millis(50)).unwrap_err().kind()
        });
        let address = start_echo();
        let stream = TcpStream::connect(address, LONG).unwrap();
        let mut slowest = Duration::ZERO;
        let other_lane = Lane::new(Class::Disk, 1 << 20);
        let mut rounds = 0;
        while Moment::now().since(started) < BLOCKED * 2 / 5 {
            let before = Moment::now();
            echo(&stream, b"ping");
            sleep(millis(1));
            other_lane.run(|| ()).unwrap();
            offload(Class::Process, || ()).unwrap();
            slowest = slowest.max(Moment::now().since(before));
            rounds += 1;
        }
        assert!(slowest < millis(500), "a round took {slowest:?}");
        assert!(rounds > 10);
        assert_eq!(starved.join().unwrap(), io::ErrorKind::TimedOut);
        assert_eq!(lane.waiting(), 2);
        // In its own lane a job waits for those before it.
        let order: Vec<&str> = lane.run(move || finishes.try_iter().collect()).unwrap();
        assert_eq!(order, ["first", "second"]);
        assert!(Moment::now().since(started) >= BLOCKED);
    })
    .unwrap();
}
