//! Fatal signals: what the log says when a process dies of one.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::{fs, process};

use srs_may::core::coroutine;
use srs_may::core::crash;
use srs_may::core::id::ContextId;
use srs_may::core::log_file::LogFile;
use srs_may::core::runtime::run;

/// Tells the process of [`dies`] what to die of, and where its log is.
const HOW: &str = "SRS_TEST_DIES_OF";
const LOG: &str = "SRS_TEST_LOG";
const CONTEXT: &str = "crashed1";

#[inline(never)]
fn use_up_the_stack(depth: u64) -> u64 {
    let filled = std::hint::black_box([depth; 64]);
    if filled[2] == u64::MAX {
        return 0;
    }
    filled[0] + use_up_the_stack(depth + 1) + std::hint::black_box(filled[1])
}

/// What the others run in a process of its own.
#[test]
#[ignore = "it dies; the other tests start it"]
fn dies() {
    let how = std::env::var(HOW).expect("started by another test");
    let log = LogFile::open(std::env::var_os(LOG).expect("the log")).expect("open the log");
    log.start_background();
    run(move || {
        crash::install(log.clone()).expect("install the handlers");
        log.write(b"the line before\n");
        let doomed = coroutine::spawn("doomed", move || {
            ContextId::parse(CONTEXT).expect("an id").enter();
            match how.as_str() {
                "overflow" => {
                    use_up_the_stack(0);
                }
                "abort" => process::abort(),
                _ => {
                    let nowhere = std::hint::black_box(16usize) as *const u8;
                    // Reading there is what this is for.
                    #[allow(unsafe_code)]
                    std::hint::black_box(unsafe { nowhere.read_volatile() });
                }
            }
        });
        let _ = doomed.join();
        coroutine::sleep(Duration::from_secs(60));
    })
    .expect("run");
}

/// The signal that the process died of, and what it left in the log and at standard error.
fn die_of(how: &str) -> (i32, String, String) {
    let log: PathBuf = std::env::temp_dir().join(format!("srs-crash-{how}-{}.log", process::id()));
    let program = std::env::current_exe().expect("this program");
    let output = Command::new("sh")
        .args(["-c", "ulimit -c 0; exec \"$0\" dies --exact --ignored --nocapture"])
        .arg(program)
        .env(HOW, how)
        .env(LOG, &log)
        .output()
        .expect("start");
    let text = fs::read_to_string(&log).expect("the log");
    let _ = fs::remove_file(&log);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let signal = output.status.signal();
    (
        signal.unwrap_or_else(|| panic!("{}: {text}{error}", output.status)),
        text,
        error,
    )
}

#[track_caller]
fn assert_reported(text: &str, what: &str) {
    let line = text
        .lines()
        .find(|line| line.contains(what))
        .unwrap_or_else(|| panic!("no \"{what}\" in {text}"));
    assert!(
        line.contains("[ERROR][") && line.contains(&format!("[{CONTEXT}]")),
        "{line}"
    );
}

#[test]
fn a_fault_is_reported_and_kills() {
    let (signal, log, error) = die_of("fault");
    assert_eq!(signal, libc::SIGSEGV);
    assert!(log.starts_with("the line before\n"), "{log}");
    for text in [&log, &error] {
        assert_reported(text, "fatal signal SIGSEGV (11) at address 0x10, pid ");
        assert_reported(text, &format!(", context {CONTEXT}, coroutine \"doomed\""));
        assert_reported(text, "#1 0x");
        assert!(!text.contains("stack overflow"), "{text}");
    }
    // The place of the fault can be looked up.
    let frame = log
        .lines()
        .find(|line| line.contains("] #0 0x"))
        .expect("the first frame");
    let mut words = frame.split(' ').rev();
    let (offset, program) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let found = Command::new("addr2line")
        .args(["-fCie", program, offset])
        .output()
        .expect("addr2line");
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(found.contains("core_crash.rs"), "{frame}: {found}");
}

#[test]
fn an_overflow_of_a_coroutines_stack_is_told_as_such() {
    let (signal, log, _) = die_of("overflow");
    assert_eq!(signal, libc::SIGSEGV);
    assert_reported(&log, "fatal signal SIGSEGV (11) at address 0x");
    assert_reported(&log, "stack overflow in coroutine \"doomed\"");
    assert_reported(&log, "#5 0x");
}

#[test]
fn an_abort_is_reported() {
    let (signal, log, _) = die_of("abort");
    assert_eq!(signal, libc::SIGABRT);
    assert_reported(&log, "fatal signal SIGABRT (6) sent by process ");
    assert_reported(&log, "coroutine \"doomed\"");
}
