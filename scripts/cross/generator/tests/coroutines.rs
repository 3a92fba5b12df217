//! What `may` relies on: values and their order, panics, cancels, nesting, moves between threads, registers, sizes.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use generator::{Generator, Gn, co_get_yield, co_set_para, co_yield_with, get_local_data, is_generator};

type Coroutine = Generator<'static, u32, u64>;

const SMALL_WORDS: usize = 0x2000;
/// Enough for a panic with its backtrace.
const LARGE_WORDS: usize = 0x10000;

fn coroutine(words: usize, body: impl FnOnce() -> u64 + Send + 'static) -> Coroutine {
    let mut coroutine = Gn::new_opt(words, body);
    coroutine.set_local_data(8 as *mut u8);
    coroutine
}

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn values_go_both_ways() {
    assert!(!is_generator() && get_local_data().is_null());
    let mut taker = coroutine(SMALL_WORDS, || {
        assert!(is_generator());
        assert_eq!(get_local_data() as usize, 8);
        co_yield_with(1u64);
        let para = co_get_yield::<u32>().unwrap();
        assert!(co_get_yield::<u32>().is_none());
        co_yield_with(u64::from(para) * 2);
        co_set_para(9u32);
        u64::from(co_get_yield::<u32>().unwrap())
    });
    assert_eq!(taker.resume(), Some(1));
    taker.set_para(21);
    assert_eq!(taker.resume(), Some(42));
    assert_eq!(taker.resume(), Some(9));
    assert!(taker.is_done());
    assert_eq!(taker.resume(), None);
    taker.init_code(|| 5);
    assert_eq!(taker.resume(), Some(5));
    assert!(!is_generator());
}

#[test]
fn a_panic_is_kept_and_unwinds() {
    let drops = Arc::new(AtomicUsize::new(0));
    let counted = Counted(drops.clone());
    let mut panics = coroutine(LARGE_WORDS, move || {
        let _counted = counted;
        co_yield_with(0u64);
        panic!("as wanted, {}", black_box(1))
    });
    panics.resume();
    assert_eq!(panics.resume(), None);
    let payload = panics.get_panic_data().unwrap();
    assert_eq!(*payload.downcast::<String>().unwrap(), "as wanted, 1");
    assert_eq!(drops.load(SeqCst), 1);
}

#[test]
fn a_drop_unwinds_the_body_wherever_it_stands() {
    let drops = Arc::new(AtomicUsize::new(0));
    for resumes in 0..3 {
        let counted = Counted(drops.clone());
        let mut endless = coroutine(SMALL_WORDS, move || {
            let _counted = counted;
            loop {
                co_yield_with(0u64);
            }
        });
        for _ in 0..resumes {
            endless.resume();
        }
        drop(endless);
        assert_eq!(drops.load(SeqCst), resumes + 1);
    }
}

#[test]
fn one_inside_another_goes_on_on_other_threads() {
    let mut outer = coroutine(LARGE_WORDS, || {
        let mut inner = coroutine(SMALL_WORDS, || {
            co_yield_with(10u64);
            11
        });
        for _ in 0..2 {
            let value = inner.resume().unwrap();
            co_yield_with(value);
        }
        let mut half = black_box(0.5f64);
        for _ in 0..10 {
            co_yield_with(half as u64);
            half *= 2.0;
        }
        half as u64
    });
    assert_eq!(outer.resume(), Some(10));
    let wanted = (0..10).map(|power| (0.5 * f64::from(1 << power)) as u64);
    for value in std::iter::once(11).chain(wanted).chain([512]) {
        let elsewhere = thread::spawn(move || {
            let mut outer = outer;
            assert_eq!(outer.resume(), Some(value));
            outer
        });
        outer = elsewhere.join().unwrap();
    }
    assert!(outer.is_done());
}

/// Many at once, each with more values than there are registers, so that each switch finds others' values in them.
#[test]
fn floats_and_integers_outlive_switches() {
    const ROUNDS: u64 = 200;
    let body = |seed: u64| {
        move || {
            let mut floats: [f64; 8] = std::array::from_fn(|index| black_box((seed * 10 + index as u64) as f64 + 0.5));
            let mut integers: [u64; 8] = std::array::from_fn(|index| black_box(seed + index as u64));
            let (floats_at_first, integers_at_first) = (floats, integers);
            for round in 0..ROUNDS {
                co_yield_with(round);
                for (float, integer) in floats.iter_mut().zip(&mut integers) {
                    *float += 0.25;
                    *integer = integer.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(round);
                }
            }
            for (float, first) in floats.iter().zip(floats_at_first) {
                assert_eq!(*float, first + 0.25 * ROUNDS as f64);
            }
            for (integer, first) in integers.iter().zip(integers_at_first) {
                let step = |value: u64, round| value.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(round);
                assert_eq!(*integer, (0..ROUNDS).fold(first, step));
            }
            seed
        }
    };
    let mut all: Vec<Coroutine> = (0..50).map(|seed| coroutine(LARGE_WORDS, body(seed))).collect();
    for round in 0..ROUNDS {
        assert!(all.iter_mut().all(|one| one.resume() == Some(round)));
    }
    for (seed, one) in all.iter_mut().enumerate() {
        assert_eq!(
            one.resume(),
            Some(seed as u64),
            "{:?}",
            one.get_panic_data().map(|_| "panicked")
        );
    }
}

#[test]
fn floats_in_registers_outlive_switches() {
    let sum = |seed: f64| {
        move || {
            let (mut a, mut b, mut c, mut d) = (black_box(seed), black_box(seed + 1.0), black_box(2.0), black_box(3.0));
            for _ in 0..100 {
                co_yield_with(0u64);
                (a, b, c, d) = (a + 1.0, b + a, c + b, d + c);
            }
            (a + b + c + d) as u64
        }
    };
    let mut all = [1.0, 2.0, 3.0].map(|seed| coroutine(SMALL_WORDS, sum(seed)));
    for _ in 0..100 {
        all.iter_mut().for_each(|one| assert_eq!(one.resume(), Some(0)));
    }
    let wanted = [1.0, 2.0, 3.0].map(|seed| {
        let (mut a, mut b, mut c, mut d) = (seed, seed + 1.0, 2.0, 3.0);
        for _ in 0..100 {
            (a, b, c, d) = (a + 1.0, b + a, c + b, d + c);
        }
        (a + b + c + d) as u64
    });
    assert_eq!(all.each_mut().map(|one| one.resume()), wanted.map(Some));
}

#[test]
fn the_use_of_a_stack_of_odd_size_is_measured() {
    let mut measured = coroutine(SMALL_WORDS + 1, || {
        let array = black_box([1u8; 6000]);
        u64::from(array[5])
    });
    assert_eq!(measured.resume(), Some(1));
    let (size, used) = measured.stack_usage();
    assert_eq!(size, SMALL_WORDS + 1);
    assert!(used * size_of::<usize>() > 6000 && used < SMALL_WORDS, "{used}");
    // SAFETY: the pointer comes from there.
    let again = unsafe { Coroutine::from_raw(measured.into_raw()) };
    assert!(again.is_done());
}

#[test]
fn a_backtrace_ends_at_the_foot_of_the_stack() {
    let mut traced = coroutine(LARGE_WORDS, || {
        let trace = std::backtrace::Backtrace::force_capture().to_string();
        assert!(trace.len() > 100);
        0
    });
    assert_eq!(traced.resume(), Some(0));
}

#[test]
fn thousands_come_and_go() {
    for round in 0..20 {
        let mut all: Vec<Coroutine> = (0..100)
            .map(|number| {
                coroutine(SMALL_WORDS, move || {
                    co_yield_with(round);
                    number
                })
            })
            .collect();
        assert!(all.iter_mut().all(|one| one.resume() == Some(round)));
        assert!(
            all.iter_mut()
                .zip(0..)
                .all(|(one, number)| one.resume() == Some(number))
        );
    }
}
