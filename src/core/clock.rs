//! Clocks: a monotonic one for waits and rates, the wall clock for names and logs. The only place that reads them.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Readings of two clocks that are so near each other are of one moment.
const AT_ONCE: Duration = Duration::from_millis(5);
/// How often that is tried.
const READINGS: usize = 5;
/// What a time of 32 bits has lost once it is negative; nothing where there are 64.
const WRAPPED_SECONDS: Duration = match cfg!(target_pointer_width = "32") {
    true => Duration::from_secs(1 << 32),
    false => Duration::ZERO,
};

/// A moment of the monotonic clock, microseconds since the process first asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Moment(u64);

impl Moment {
    /// Later than every other moment.
    pub const NEVER: Moment = Moment(u64::MAX);

    /// The moment it is now.
    pub fn now() -> Self {
        static START: OnceLock<Instant> = OnceLock::new();
        let elapsed = START.get_or_init(Instant::now).elapsed();
        // 584,000 years fit.
        Moment(elapsed.as_micros() as u64)
    }

    /// The moment that far from now; saturates at [`Moment::NEVER`].
    pub fn after(delay: Duration) -> Self {
        Self::now() + delay
    }

    /// Time from `earlier` until this moment, zero if it lies before.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// Microseconds since the clock's origin.
    pub fn as_micros(self) -> u64 {
        self.0
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, delay: Duration) -> Moment {
        Moment(
            self.0
                .saturating_add(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}

/// Wall-clock time since 1970-01-01 UTC. A signal handler may ask, too.
#[cfg(not(all(target_env = "musl", target_pointer_width = "32")))]
pub fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Wall-clock time since 1970-01-01 UTC. A signal handler may ask, too.
#[cfg(all(target_env = "musl", target_pointer_width = "32"))]
pub fn unix_time() -> Duration {
    // The standard library has 32 bits for seconds here, and panics when January 2038 is over.
    #[repr(C)]
    #[derive(Default)]
    struct Timespec64 {
        seconds: i64,
        #[cfg(target_endian = "big")]
        padding: u32,
        nanoseconds: u32,
        #[cfg(target_endian = "little")]
        padding: u32,
    }
    unsafe extern "C" {
        fn __clock_gettime64(clock: libc::clockid_t, time: *mut Timespec64) -> libc::c_int;
    }

    let mut time = Timespec64::default();
    // SAFETY: musl since 1.2 has this, for kernels that count with 32 bits too, and fills what we hand over.
    unsafe { __clock_gettime64(libc::CLOCK_REALTIME, &raw mut time) };
    Duration::new(u64::try_from(time.seconds).unwrap_or(0), time.nanoseconds)
}

/// Whether the wall clock has gone beyond what the standard library can tell, which would panic when it is asked: from
/// January 2038 on where it has 32 bits for seconds.
pub fn is_beyond_std() -> bool {
    cfg!(all(target_env = "musl", target_pointer_width = "32")) && i32::try_from(unix_time().as_secs()).is_err()
}

/// The time of a file, as the standard library tells it, since 1970-01-01 UTC.
pub fn unix_time_of(file: SystemTime) -> Duration {
    match file.duration_since(UNIX_EPOCH) {
        Ok(time) => time,
        // Where a file's time has 32 bits it goes on at 1901 when January 2038 is over.
        Err(before) => WRAPPED_SECONDS.saturating_sub(before.duration()),
    }
}

/// Both clocks at one moment, as far as one thread can tell: the wall clock's reading is that of [`unix_time`].
pub fn both() -> (Moment, Duration) {
    let mut nearest = (Duration::MAX, Moment::default(), Duration::ZERO);
    // The thread may be held up between the readings.
    for _ in 0..READINGS {
        let before = Moment::now();
        let wall = unix_time();
        let apart = Moment::now().since(before);
        if apart < nearest.0 {
            nearest = (apart, before, wall);
        }
        if apart <= AT_ONCE {
            break;
        }
    }
    (nearest.1, nearest.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_add_and_saturate() {
        let now = Moment::now();
        assert_eq!((now + Duration::from_millis(5)).since(now), Duration::from_millis(5));
        assert_eq!(now + Duration::MAX, Moment::NEVER);
        assert_eq!(now.since(now + Duration::from_secs(1)), Duration::ZERO);
        assert!(Moment::now() >= now);
        let (monotonic, wall) = both();
        assert!(monotonic >= now && wall <= unix_time());
    }

    #[test]
    fn the_wall_clock_is_the_systems() {
        let system = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock beyond 1970");
        assert!(unix_time().abs_diff(system) < Duration::from_secs(60), "{system:?}");
    }

    #[test]
    fn a_file_of_the_year_2040_keeps_its_time_on_32_bits() {
        let path = std::env::temp_dir().join(format!("srs-clock-{}", std::process::id()));
        let file = std::fs::File::create(&path).expect("create a file");
        for seconds in [1_000_000_000, 2_208_988_800] {
            // Rust sets no time of more than 32 bits there, but another program does.
            let date = format!("--date=@{seconds}");
            let set = std::process::Command::new("touch").arg(date).arg(&path).status();
            assert!(set.expect("run touch").success());
            let told = file.metadata().and_then(|metadata| metadata.modified());
            assert_eq!(unix_time_of(told.expect("a time")).as_secs(), seconds);
        }
        std::fs::remove_file(path).expect("remove the file");
    }

    #[test]
    fn what_is_before_1970_has_no_time_on_64_bits() {
        let early = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(
            unix_time_of(early),
            WRAPPED_SECONDS.saturating_sub(Duration::from_secs(1))
        );
    }
}
