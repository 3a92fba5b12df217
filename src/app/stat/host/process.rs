//! This process: what does not change, and what it has used (getrusage).

use std::sync::OnceLock;

use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::{SysconfVar, sysconf};
use serde::Serialize;

use super::wall_ms;
use crate::core::{clock, setup};

/// What does not change while the process runs.
#[derive(Clone, Debug, Default)]
pub struct SelfInfo {
    /// Its id.
    pub pid: u32,
    /// The command line.
    pub argv: String,
    /// The folder it works in.
    pub cwd: String,
    /// When it was first asked, milliseconds since 1970.
    pub started_ms: u64,
    /// When the program was built, seconds since 1970: the time of its file.
    pub built: u64,
}

impl SelfInfo {
    pub(super) fn look() -> Self {
        let words: Vec<_> = std::env::args_os()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        SelfInfo {
            pid: std::process::id(),
            argv: words.join(" "),
            cwd: std::env::current_dir().unwrap_or_default().display().to_string(),
            started_ms: wall_ms(),
            built: file_time().unwrap_or(0),
        }
    }

    /// The parent's id, which changes when that ends.
    pub fn parent(&self) -> u32 {
        setup::parent_id()
    }
}

fn file_time() -> Option<u64> {
    let modified = std::env::current_exe().ok()?.metadata().ok()?.modified().ok()?;
    Some(clock::unix_time_of(modified).as_secs())
}

/// Clock ticks a second, in which /proc counts time.
pub(super) fn ticks_a_second() -> u64 {
    static TICKS: OnceLock<u64> = OnceLock::new();
    *TICKS.get_or_init(|| match sysconf(SysconfVar::CLK_TCK) {
        Ok(Some(ticks)) => u64::try_from(ticks).unwrap_or(100),
        _ => 100,
    })
}

/// What the process has used since it started, see getrusage(2).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rusage {
    /// Whether it was read.
    pub ok: bool,
    /// When, milliseconds since 1970.
    pub sample_time: u64,
    /// Time in the program, seconds.
    pub ru_utime: i64,
    /// Time in the kernel, seconds.
    pub ru_stime: i64,
    /// The most memory it ever had, KiB.
    pub ru_maxrss: i64,
    /// Shared text.
    pub ru_ixrss: i64,
    /// Data.
    pub ru_idrss: i64,
    /// Stack.
    pub ru_isrss: i64,
    /// Page faults without reading.
    pub ru_minflt: i64,
    /// Page faults with reading.
    pub ru_majflt: i64,
    /// Swaps.
    pub ru_nswap: i64,
    /// Blocks read.
    pub ru_inblock: i64,
    /// Blocks written.
    pub ru_oublock: i64,
    /// Messages sent.
    pub ru_msgsnd: i64,
    /// Messages received.
    pub ru_msgrcv: i64,
    /// Signals.
    pub ru_nsignals: i64,
    /// Waits.
    pub ru_nvcsw: i64,
    /// Times that it was made to wait.
    pub ru_nivcsw: i64,
}

impl Rusage {
    pub(super) fn sample(now_ms: u64) -> Self {
        let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
            return Rusage {
                sample_time: now_ms,
                ..Rusage::default()
            };
        };
        // C's long has 32 bits on small machines; the conversions below widen it there and do nothing elsewhere.
        #[allow(clippy::useless_conversion)]
        Rusage {
            ok: true,
            sample_time: now_ms,
            ru_utime: usage.user_time().tv_sec().into(),
            ru_stime: usage.system_time().tv_sec().into(),
            ru_maxrss: usage.max_rss().into(),
            ru_ixrss: usage.shared_integral().into(),
            ru_idrss: usage.unshared_data_integral().into(),
            ru_isrss: usage.unshared_stack_integral().into(),
            ru_minflt: usage.minor_page_faults().into(),
            ru_majflt: usage.major_page_faults().into(),
            ru_nswap: usage.full_swaps().into(),
            ru_inblock: usage.block_reads().into(),
            ru_oublock: usage.block_writes().into(),
            ru_msgsnd: usage.ipc_sends().into(),
            ru_msgrcv: usage.ipc_receives().into(),
            ru_nsignals: usage.signals().into(),
            ru_nvcsw: usage.voluntary_context_switches().into(),
            ru_nivcsw: usage.involuntary_context_switches().into(),
        }
    }
}
