//! Panics in the log: where, why, and through which calls.

use std::backtrace::Backtrace;
use std::panic::PanicHookInfo;

use crate::core::coroutine;
use crate::core::id::ContextId;
use crate::core::offload::{self, Class};

/// How much of a backtrace is told, bytes: longer lines of the log are dropped.
const BACKTRACE_BYTES: usize = 6000;

/// Logs a panic. Its backtrace follows in a line of its own: to find the names of functions takes longer, and more of a
/// stack, than a coroutine has.
pub(super) fn report(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied().map(str::to_owned);
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    // may unwinds a cancelled coroutine with a payload that is no text; that is no fault.
    let Some(text) = text else { return };
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let backtrace = Backtrace::force_capture();
    log::error!("panicked at {place}: {text}");
    if !coroutine::with_current_name(|_| {}) {
        return tell(&place, &backtrace);
    }
    let context = ContextId::current();
    let told = offload::post(Class::Compute, move || {
        context.enter();
        tell(&place, &backtrace);
    });
    if let Err(unfinished) = told {
        log::warn!("its backtrace is lost: {unfinished}");
    }
}

fn tell(place: &str, backtrace: &Backtrace) {
    log::error!("backtrace of the panic at {place}:{}", calls(&backtrace.to_string()));
}

/// The calls that led to a panic, each on a line of its own with a line feed before it, without those of the panic itself.
fn calls(backtrace: &str) -> String {
    let mut frames: Vec<String> = Vec::new();
    for line in backtrace.lines() {
        let is_frame = line
            .trim_start()
            .split_once(": ")
            .is_some_and(|(number, _)| number.parse::<u32>().is_ok());
        match frames.last_mut() {
            Some(frame) if !is_frame => *frame += &format!(" {}", line.trim()),
            _ => frames.push(line.trim().to_owned()),
        }
    }
    // The panic begins here for who looks for its cause; a backtrace of no panic begins with its own capture.
    let is_entry = |frame: &String| frame.contains("rust_begin_unwind") || frame.contains("begin_panic::<");
    let entry = frames.iter().take(20).position(is_entry).map_or(0, |entry| entry + 1);
    let is_machinery = |frame: &&String| frame.contains("core::panicking::") || frame.contains("std::backtrace");
    let first = entry + frames[entry..].iter().take_while(is_machinery).count();
    let mut text = String::new();
    for frame in &frames[first..] {
        if text.len() + frame.len() > BACKTRACE_BYTES {
            text.push_str("\n…");
            break;
        }
        text.push('\n');
        text.push_str(frame);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKTRACE: &str = "   0: std::backtrace_rs::backtrace::trace\n             at /rustc/a.rs:1:2\n   1: \
        std::backtrace::Backtrace::create\n   2: rust_begin_unwind\n             at /rustc/b.rs:1:2\n   3: \
        core::panicking::panic_fmt\n             at /rustc/c.rs:1:2\n   4: srs_may::app::fails\n             at \
        ./src/app.rs:3:4\n   5: main\n";

    #[test]
    fn the_calls_of_the_panic_itself_are_left_out() {
        assert_eq!(
            calls(BACKTRACE),
            "\n4: srs_may::app::fails at ./src/app.rs:3:4\n5: main"
        );
        assert_eq!(calls(""), "");
        assert_eq!(calls("disabled backtrace"), "\ndisabled backtrace");
    }

    #[test]
    fn a_backtrace_fits_a_line_of_the_log() {
        let deep: String = (0..1000)
            .map(|number| format!("{number:4}: name::of::a::function\n"))
            .collect();
        let shown = calls(&deep);
        assert!(shown.len() < BACKTRACE_BYTES + 10 && shown.ends_with("\n…"));
        let own = calls(&Backtrace::force_capture().to_string());
        assert!(own.contains("a_backtrace_fits_a_line_of_the_log"), "{own}");
    }
}
