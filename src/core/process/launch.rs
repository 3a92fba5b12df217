//! The start of a child that may end with its parent: what posix_spawn(3) does, and PR_SET_PDEATHSIG, which it cannot do.
//!
//! The child borrows our memory until it runs its own program (CLONE_VM), and the starting thread waits that long
//! (CLONE_VFORK): no page table is copied, however large the server has grown.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::ptr;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, clone};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::unistd::{Pid, pipe2};

/// What the child needs until it runs its program, bytes.
const STACK_BYTES: usize = 64 << 10;
/// Where programs are looked for when nothing tells.
const DEFAULT_PATH: &str = "/usr/local/bin:/bin:/usr/bin";
/// The exit status of a child that could not run its program, which nobody sees.
const FAILED: libc::c_int = 127;

/// How a child is to run.
pub(super) struct Launch<'a> {
    /// Its working folder, if not ours.
    pub folder: Option<PathBuf>,
    /// What its environment has besides ours.
    pub variables: Vec<(OsString, OsString)>,
    /// Descriptors that stay open.
    pub kept: Vec<RawFd>,
    /// The signal that it gets at our end.
    pub end_with_us: Option<Signal>,
    /// What become its standard input, output and errors.
    pub streams: [&'a File; 3],
}

impl Launch<'_> {
    /// Starts a program. The thread that calls this must live as long as the process if the child is to end with it.
    ///
    /// # Errors
    /// `InvalidInput` for a NUL inside the program's name or another text; the system's.
    pub fn start(self, program: OsString, arguments: Vec<OsString>) -> io::Result<Pid> {
        let (fault, report) = pipe2(OFlag::O_CLOEXEC)?;
        let places = places(&program)?;
        let folder = self.folder.map(|path| c_string(path.into_os_string())).transpose()?;
        let all = std::iter::once(program).chain(arguments);
        let arguments = all.map(c_string).collect::<io::Result<Vec<_>>>()?;
        let environment = environment(self.variables);
        let (arguments, environment) = (pointers(&arguments), pointers(&environment));
        let child = Child {
            places: &places,
            arguments: arguments.as_ptr(),
            environment: environment.as_ptr(),
            folder: folder.as_deref(),
            streams: self.streams.map(AsRawFd::as_raw_fd),
            kept: &self.kept,
            end_with_us: self.end_with_us,
            report: report.as_raw_fd(),
            parent: Pid::this().as_raw(),
        };
        let mut stack = vec![0; STACK_BYTES];
        // No handler of ours may run in the child, which would run on our memory.
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
        // SAFETY: `Child::run` makes system calls only, on memory that lives until this call returns: with CLONE_VFORK
        // that is when the child no longer uses it. Its stack is larger than those calls need.
        let started = unsafe { clone(Box::new(|| child.run()), &mut stack, flags, Some(libc::SIGCHLD)) };
        before.thread_set_mask()?;
        let process = started?;
        drop(report);
        match read_fault(File::from(fault)) {
            None => Ok(process),
            Some(error) => {
                while nix::sys::wait::waitpid(process, None) == Err(Errno::EINTR) {}
                Err(error)
            }
        }
    }
}

/// What the child reported before it ended; `None` when its program runs.
fn read_fault(mut pipe: File) -> Option<io::Error> {
    let mut number = [0; 4];
    // A pipe that is closed by exec gives nothing.
    pipe.read_exact(&mut number).ok()?;
    Some(io::Error::from_raw_os_error(i32::from_ne_bytes(number)))
}

/// The child until it runs its program. It shares our memory, so it allocates nothing and never returns into our code.
struct Child<'a> {
    /// Where the program may be, in turn.
    places: &'a [CString],
    arguments: *const *const libc::c_char,
    environment: *const *const libc::c_char,
    folder: Option<&'a CStr>,
    streams: [RawFd; 3],
    kept: &'a [RawFd],
    end_with_us: Option<Signal>,
    report: RawFd,
    parent: libc::pid_t,
}

impl Child<'_> {
    fn run(&self) -> isize {
        let fault = self.become_program() as libc::c_int;
        let number = fault.to_ne_bytes();
        // SAFETY: `number` lives through the call; what cannot be written is not told. `_exit` runs none of our code.
        unsafe {
            libc::write(self.report, number.as_ptr().cast(), number.len());
            libc::_exit(FAILED)
        }
    }

    /// Returns only when it fails.
    fn become_program(&self) -> Errno {
        // SAFETY: system calls on descriptors and memory that the starter keeps until they are done.
        unsafe {
            if let Some(signal) = self.end_with_us {
                if libc::prctl(libc::PR_SET_PDEATHSIG, signal as libc::c_ulong) != 0 {
                    return Errno::last();
                }
                // It may have ended before that, while we waited for nobody.
                if libc::getppid() != self.parent {
                    return Errno::ESRCH;
                }
            }
            if let Some(folder) = self.folder
                && libc::chdir(folder.as_ptr()) != 0
            {
                return Errno::last();
            }
            for (wanted, ours) in (0..).zip(self.streams) {
                // Our descriptors close at exec, their duplicates do not.
                if libc::dup2(ours, wanted) < 0 {
                    return Errno::last();
                }
            }
            for kept in self.kept {
                // The flag is that of the child's descriptor; ours keeps it.
                if libc::fcntl(*kept, libc::F_SETFD, 0) < 0 {
                    return Errno::last();
                }
            }
            reset_signals();
            let mut fault = Errno::ENOENT;
            for place in self.places {
                libc::execve(place.as_ptr(), self.arguments, self.environment);
                match Errno::last() {
                    Errno::ENOENT | Errno::ENOTDIR => {}
                    // Another folder may have one that may be run.
                    Errno::EACCES => fault = Errno::EACCES,
                    other => return other,
                }
            }
            fault
        }
    }
}

/// # Safety
/// For the child only: it changes what signals do in the whole process.
unsafe fn reset_signals() {
    // SAFETY: zeroed sets and actions are valid, and SIG_DFL is 0. Numbers that cannot be set fail without effect.
    unsafe {
        let default: libc::sigaction = std::mem::zeroed();
        // As many as MIPS has; elsewhere there are 64.
        for number in 1..=127 {
            libc::sigaction(number, &default, ptr::null_mut());
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut());
    }
}

/// Where a program of this name may be: itself if it has a slash, else in the folders of PATH.
fn places(program: &OsStr) -> io::Result<Vec<CString>> {
    if program.as_bytes().contains(&b'/') {
        return Ok(vec![c_string(program.to_owned())?]);
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    std::env::split_paths(&path)
        .map(|folder| c_string(folder.join(program).into_os_string()))
        .collect()
}

fn environment(more: Vec<(OsString, OsString)>) -> Vec<CString> {
    std::env::vars_os()
        .chain(more)
        .filter_map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            c_string(name).ok()
        })
        .collect()
}

fn c_string(text: OsString) -> io::Result<CString> {
    // A NUL inside is `InvalidInput`.
    Ok(CString::new(text.into_vec())?)
}

fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    let all = texts.iter().map(|text| text.as_ptr());
    all.chain(std::iter::once(ptr::null())).collect()
}
