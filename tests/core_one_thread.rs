//! The law of the runtime: application code runs on one thread, whatever it waits for, and a panic ends one coroutine.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use srs_may::core::clock::Moment;
use srs_may::core::coroutine::{self, Panicked, sleep, spawn};
use srs_may::core::id::ContextId;
use srs_may::core::offload::{Class, offload};
use srs_may::core::process::{Child, Command, Signal};
use srs_may::core::runtime::run;
use srs_may::core::sync::{Condition, channel};
use srs_may::core::tcp::TcpStream;

#[path = "core/echo.rs"]
mod echo;

use echo::{echo, start_echo};

const LONG: Duration = Duration::from_secs(60);

fn thread_id() -> i32 {
    nix::unistd::gettid().as_raw()
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn raise_file_limit() {
    let limit = srs_may::core::setup::raise_file_limit().unwrap();
    assert!(limit.after >= 8192, "the tests need 8192 descriptors: ulimit -n");
}

#[test]
fn ten_thousand_coroutines_stay_on_one_thread_whatever_they_wait_for() {
    run(|| {
        let home = thread_id();
        let resumed = Rc::new(Cell::new(0u32));
        let here = {
            let resumed = resumed.clone();
            move || {
                assert_eq!(thread_id(), home);
                resumed.set(resumed.get() + 1);
            }
        };
        let address = start_echo();
        let shared = Rc::new(Condition::new());
        let ended = Rc::new(Cell::new(false));
        let coroutines: Vec<_> = (0..10_000u64)
            .map(|index| {
                let (here, shared, ended) = (here.clone(), shared.clone(), ended.clone());
                spawn("various", move || {
                    let own = Condition::new();
                    for round in 0..4 {
                        here();
                        match (index + round) % 5 {
                            0 => sleep(millis(1 + index % 40)),
                            1 => assert!(!own.wait_until(Moment::after(millis(1 + index % 30)))),
                            2 => {
                                // Woken by others, or not.
                                shared.wait_until(Moment::after(millis(20)));
                            }
                            3 if index % 50 < 5 => {
                                let stream = TcpStream::connect(address, LONG).unwrap();
                                here();
                                stream.set_read_timeout(Some(millis(5)));
                                let error = stream.read(&mut [0]).unwrap_err();
                                assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                            }
                            3 => coroutine::yield_now(),
                            _ if index % 10 == 0 => {
                                let elsewhere = offload(Class::Compute, thread_id).unwrap();
                                assert_ne!(elsewhere, home);
                            }
                            _ => sleep(Duration::ZERO),
                        }
                        here();
                    }
                    assert!(!ended.get());
                })
            })
            .collect();
        let waker = {
            let ended = ended.clone();
            spawn("waker", move || {
                while !ended.get() {
                    shared.notify_one();
                    sleep(Duration::from_micros(500));
                    shared.notify_all();
                }
            })
        };
        for coroutine in coroutines {
            coroutine.join().unwrap();
        }
        assert!(resumed.get() >= 80_000);
        ended.set(true);
        waker.join().unwrap();
    })
    .unwrap();
}

#[test]
fn a_panic_ends_one_coroutine() {
    run(|| {
        let alive = Rc::new(Cell::new(0));
        let others: Vec<_> = (0..100)
            .map(|index| {
                let alive = alive.clone();
                spawn("one of many", move || {
                    sleep(millis(5));
                    assert!(index % 10 != 0, "number {index} fails");
                    sleep(millis(5));
                    alive.set(alive.get() + 1);
                    index
                })
            })
            .collect();
        for (index, other) in others.into_iter().enumerate() {
            match other.join() {
                Ok(value) => assert_eq!(value, index),
                Err(Panicked(text)) => assert_eq!(text, format!("number {index} fails")),
            }
        }
        assert_eq!(alive.get(), 90);
    })
    .unwrap();
}

#[test]
fn a_panic_with_a_guard_that_waits_stops_nobody() {
    struct Waits(Rc<Cell<bool>>);
    impl Drop for Waits {
        fn drop(&mut self) {
            // Each of these returns at once: a coroutine that unwinds may not be switched.
            sleep(LONG);
            coroutine::yield_now();
            Condition::new().wait();
            assert!(offload(Class::Compute, || 1).is_err());
            self.0.set(true);
        }
    }
    run(|| {
        let dropped = Rc::new(Cell::new(false));
        let told = dropped.clone();
        let unwinding = spawn("unwinding", move || {
            let _guard = Waits(told);
            panic!("as wanted");
        });
        assert_eq!(unwinding.join(), Err::<(), _>(Panicked("as wanted".into())));
        assert!(dropped.get());
    })
    .unwrap();
}

#[test]
fn two_thousand_connections_echo_side_by_side() {
    raise_file_limit();
    run(|| {
        let address = start_echo();
        let all_connected = Rc::new(Condition::new());
        let connected = Rc::new(Cell::new(0));
        let clients: Vec<_> = (0..2000usize)
            .map(|index| {
                let (all_connected, connected) = (all_connected.clone(), connected.clone());
                spawn("client", move || {
                    let stream = TcpStream::connect(address, LONG).unwrap();
                    connected.set(connected.get() + 1);
                    if connected.get() == 2000 {
                        all_connected.notify_all();
                    }
                    while connected.get() < 2000 {
                        assert!(all_connected.wait_until(Moment::after(LONG)));
                    }
                    for round in 0..5 {
                        echo(&stream, format!("client {index} round {round}").as_bytes());
                    }
                    stream.received_bytes()
                })
            })
            .collect();
        for client in clients {
            assert!(client.join().unwrap() >= 5 * "client 0 round 0".len() as u64);
        }
    })
    .unwrap();
}

#[test]
fn context_ids_follow_coroutines_and_pass_to_those_they_spawn() {
    run(|| {
        let coroutines: Vec<_> = (0..200)
            .map(|index| {
                spawn("bearer", move || {
                    let own = ContextId::generate();
                    own.enter();
                    for _ in 0..5 {
                        sleep(millis(index % 7));
                        assert_eq!(ContextId::current(), own);
                        coroutine::yield_now();
                        assert_eq!(ContextId::current(), own);
                    }
                    let heir = spawn("heir", || {
                        sleep(millis(1));
                        ContextId::current()
                    });
                    // Changing one's own later does not reach back.
                    ContextId::generate().enter();
                    assert_eq!(heir.join().unwrap(), own);
                    assert_eq!(
                        offload(Class::Compute, ContextId::current).unwrap(),
                        ContextId::current()
                    );
                    own
                })
            })
            .collect();
        let mut ids: Vec<_> = coroutines.into_iter().map(|bearer| bearer.join().unwrap()).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 200);
    })
    .unwrap();
}

#[test]
fn a_channel_carries_everything_between_coroutines_that_come_and_go() {
    run(|| {
        let (sender, receiver) = channel(7);
        let received = Rc::new(RefCell::new(Vec::new()));
        for seed in 0..20 {
            let sender = sender.clone();
            spawn("sender", move || {
                let mut random = fastrand::Rng::with_seed(seed);
                for value in 0..100 {
                    if random.u32(..10) == 0 {
                        sleep(Duration::from_micros(random.u64(..500)));
                    }
                    sender.send(seed * 100 + value).unwrap();
                }
            });
        }
        drop(sender);
        let receivers: Vec<_> = (0..30u64)
            .map(|index| {
                let (receiver, received) = (receiver.clone(), received.clone());
                spawn("receiver", move || {
                    // Two of three give up now and then, as those with deadlines do.
                    let patience = if index % 3 == 0 { LONG } else { millis(1 + index % 3) };
                    while let Some(value) = receiver.recv_until(Moment::after(patience)) {
                        received.borrow_mut().push(value);
                        coroutine::tick();
                    }
                })
            })
            .collect();
        for receiver in receivers {
            receiver.join().unwrap();
        }
        let mut values = received.take();
        values.sort_unstable();
        assert_eq!(values, (0..2000).collect::<Vec<_>>());
    })
    .unwrap();
}

#[test]
fn fifty_children_at_once_end_as_told_and_leave_no_zombie() {
    run(|| {
        let children: Vec<_> = (0..50i32)
            .map(|index| {
                spawn("parent", move || {
                    let script = format!("sleep 0.0{}; exit {index}", index % 10);
                    let child = Command::new("sh").args(["-c", &script]).spawn().unwrap();
                    let id = child.id();
                    assert_eq!(child.wait().unwrap().code(), Some(index));
                    id
                })
            })
            .collect();
        let mut ids: Vec<u32> = children.into_iter().map(|child| child.join().unwrap()).collect();
        let killed = Command::new("sleep").args(["60"]).spawn().unwrap();
        killed.kill(Signal::SIGKILL).unwrap();
        assert!(!killed.wait().unwrap().success());
        let dropped: Vec<Child> = (0..10)
            .map(|_| Command::new("sleep").args(["60"]).spawn().unwrap())
            .collect();
        ids.extend(dropped.iter().map(Child::id));
        drop(dropped);
        let missing = Command::new("/nonexistent/ffmpeg").spawn().unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let deadline = Moment::after(LONG);
        while let Some(id) = ids
            .iter()
            .find(|id| std::path::Path::new(&format!("/proc/{id}")).exists())
        {
            assert!(Moment::now() < deadline, "child {id} is still there");
            sleep(millis(5));
        }
    })
    .unwrap();
}
