//! The end by a fatal signal: what is known is written before the process dies of it.
//!
//! What runs in the handler may be called there: no memory is allocated, no lock is waited for, and what it reads it reads
//! with plain system calls. The first line stands before anything is tried that could fail itself. Then the signal gets its
//! default action, so that the system writes its core file as if there were no handler.
//!
//! `may` has a handler of its own for the stacks of coroutines: it lets the server go on without the one whose stack was too
//! small, and with whatever that left half done. [`install`] takes its place.

mod maps;
mod text;
mod unwind;

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::fmt::Write;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use self::maps::{FRAMES, Findings};
use self::text::{Line, Stamp};
use super::coroutine;
use super::id::ContextId;
use super::log_file::LogFile;

/// The signals, and their names.
const SIGNALS: [(c_int, &str); 5] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGABRT, "SIGABRT"),
];
/// The stack that the handler runs on, bytes: a coroutine's own may be used up.
const STACK_BYTES: usize = 128 << 10;

static LOG: OnceLock<LogFile> = OnceLock::new();
/// How many seconds local time, as the log tells it, is ahead of UTC.
static OFFSET: AtomicI32 = AtomicI32::new(0);
static IS_TAKEN: AtomicBool = AtomicBool::new(false);
static SCRATCH: Scratch = Scratch(UnsafeCell::new(Findings::NONE));

/// What the report is made of; too much for the stack of a handler.
struct Scratch(UnsafeCell<Findings>);

// SAFETY: only the thread that has taken `IS_TAKEN`, which nobody gives back, looks inside.
unsafe impl Sync for Scratch {}

/// Has fatal signals reported, to this log and to standard error. To be called by the worker, once coroutines run: the
/// handler's stack is that of the calling thread.
///
/// # Errors
/// The system's.
pub fn install(log: LogFile) -> io::Result<()> {
    let _ = LOG.set(log);
    take_stack()?;
    // What it needs is loaded by the first use, which must not be in the handler.
    unwind::frames(&mut [0; FRAMES]);
    for (signal, _) in SIGNALS {
        let flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESETHAND;
        // SAFETY: an all-zero sigaction is a valid one, and the handler has the type that SA_SIGINFO asks for.
        let done = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_flags = flags;
            action.sa_sigaction = handle as *const () as libc::sighandler_t;
            libc::sigemptyset(&mut action.sa_mask);
            libc::sigaction(signal, &action, ptr::null_mut())
        };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Tells how many seconds the time of log lines is ahead of UTC.
pub fn set_utc_offset(seconds: i32) {
    OFFSET.store(seconds, Ordering::Relaxed);
}

/// Gives the calling thread a stack for handlers, for good.
fn take_stack() -> io::Result<()> {
    // SAFETY: new anonymous memory, which nothing else knows and nobody unmaps.
    let stack = unsafe {
        libc::mmap(
            ptr::null_mut(),
            STACK_BYTES,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if stack == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let described = libc::stack_t {
        ss_sp: stack,
        ss_flags: 0,
        ss_size: STACK_BYTES,
    };
    // SAFETY: the memory is that long and stays mapped.
    match unsafe { libc::sigaltstack(&described, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    if IS_TAKEN.swap(true, Ordering::Relaxed) {
        let pause = libc::timespec {
            // Enough for the report of the thread that failed first.
            tv_sec: 2,
            tv_nsec: 0,
        };
        // SAFETY: a valid time.
        unsafe { libc::nanosleep(&pause, ptr::null_mut()) };
    } else {
        // SAFETY: the system passes a siginfo_t, and `IS_TAKEN` says that nobody else has the scratch.
        let (info, findings) = unsafe { (&*info, &mut *SCRATCH.0.get()) };
        report(signal, info, context, findings);
    }
    // SAFETY: plain calls. The default action is set by SA_RESETHAND; the signal is sent once more for those that nothing
    // would raise again, and comes when the handler returns.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

fn report(signal: c_int, info: &libc::siginfo_t, context: *mut c_void, findings: &mut Findings) {
    let stamp = Stamp::now(OFFSET.load(Ordering::Relaxed), ContextId::current());
    let name = SIGNALS
        .iter()
        .find(|(number, _)| *number == signal)
        .map_or("?", |(_, name)| *name);
    let mut line = Line::begin(&stamp);
    let _ = write!(line, "fatal signal {name} ({signal})");
    let is_fault = info.si_code > 0 && signal != libc::SIGABRT;
    // SAFETY: those that the kernel raises have an address, those that a process sends have its id.
    let (address, sender) = unsafe { (info.si_addr() as usize, info.si_pid()) };
    let _ = match is_fault {
        true => write!(line, " at address {address:#x}"),
        false => write!(line, " sent by process {sender}"),
    };
    let _ = write!(line, ", pid {}, context {}, ", std::process::id(), stamp.context);
    tell_runner(&mut line);
    put(line);
    findings.count = unwind::interrupted_frames(&mut findings.frames, context);
    findings.fault = if is_fault { address } else { 0 };
    maps::read(findings);
    if findings.is_guard {
        let mut line = Line::begin(&stamp);
        let _ = line.write_str("stack overflow in ");
        tell_runner(&mut line);
        put(line);
    }
    for index in 0..findings.count {
        let mut line = Line::begin(&stamp);
        findings.tell(&mut line, index);
        put(line);
    }
    let mut line = Line::begin(&stamp);
    let _ = line.write_str("addr2line -fCpe FILE OFFSET... names the places above");
    put(line);
}

/// Who runs: the coroutine, or the thread.
fn tell_runner(line: &mut Line) {
    let is_coroutine = coroutine::with_current_name(|name| {
        let _ = write!(line, "coroutine \"{name}\"");
    });
    if is_coroutine {
        return;
    }
    let mut name = MaybeUninit::<[u8; 16]>::zeroed();
    // SAFETY: the call writes at most 16 bytes, the last of which is 0.
    let name = unsafe {
        libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr());
        name.assume_init()
    };
    let length = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    let _ = write!(
        line,
        "thread \"{}\"",
        std::str::from_utf8(&name[..length]).unwrap_or("?")
    );
}

/// Writes a line to the log and to standard error, once if they are the same.
fn put(line: Line) {
    let bytes = line.end();
    let Some(log) = LOG.get() else {
        return write_all(libc::STDERR_FILENO, bytes);
    };
    log.write_at_crash(bytes);
    if !is_same_file(log.descriptor(), libc::STDERR_FILENO) {
        write_all(libc::STDERR_FILENO, bytes);
    }
}

/// Writes what the descriptor takes at once.
pub(super) fn write_all(fd: c_int, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the bytes are there; a descriptor that is closed is an error.
        let written = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(written) {
            Ok(count) if count > 0 => bytes = &bytes[count..],
            _ => return,
        }
    }
}

fn is_same_file(one: c_int, other: c_int) -> bool {
    let status = |fd| {
        let mut status = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: it is only read when the call says that it has been written.
        unsafe { (libc::fstat(fd, status.as_mut_ptr()) == 0).then(|| status.assume_init()) }
    };
    match (status(one), status(other)) {
        (Some(one), Some(other)) => (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino),
        _ => false,
    }
}
