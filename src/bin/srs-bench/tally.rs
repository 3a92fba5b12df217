//! What the clients of one job have in common: counts, durations, failures and faults.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::histogram::Histogram;

/// Different texts of failures that are kept; the rest counts as one.
const TEXTS_MAX: usize = 16;
/// Faults that are told in words.
const EXAMPLES_MAX: usize = 8;

/// What verification can find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A timestamp lies before that of the last message of its kind.
    TimeBack,
    /// A timestamp lies too far behind the last one.
    TimeGap,
    /// Coded media came before its sequence header.
    NoHeader,
    /// Pictures are missing, or came twice.
    Lost,
    /// A payload is not what was sent.
    Changed,
    /// Sound between two pictures is missing, or not what was sent.
    Sound,
    /// The container is damaged.
    Broken,
}

impl Fault {
    /// As reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Fault::TimeBack => "time_back",
            Fault::TimeGap => "time_gap",
            Fault::NoHeader => "no_sequence_header",
            Fault::Lost => "pictures_lost",
            Fault::Changed => "payload_changed",
            Fault::Sound => "sound_changed",
            Fault::Broken => "container_broken",
        }
    }
}

/// The shared counts of one job.
#[derive(Debug, Default)]
pub struct Tally {
    /// Clients that were started.
    pub started: Cell<u64>,
    /// Clients that have not ended.
    pub running: Cell<u64>,
    /// Clients that were ever served.
    pub served: Cell<u64>,
    /// Clients that ended before they were told to, with what they said.
    pub failed: Cell<u64>,
    /// Bytes received or sent, with protocol overhead.
    pub bytes: Cell<u64>,
    /// Messages of media.
    pub messages: Cell<u64>,
    /// Pictures among them.
    pub pictures: Cell<u64>,
    /// Streams that did not begin with a keyframe; no fault, but the viewer waits.
    pub began_late: Cell<u64>,
    /// From the connect until the server agreed.
    pub connect: RefCell<Histogram>,
    /// From the connect until the first picture or sound was whole.
    pub first_frame: RefCell<Histogram>,
    /// From the publisher's stamp until the picture was whole here.
    pub latency: RefCell<Histogram>,
    /// From when a frame was due until it was sent.
    pub sent_late: RefCell<Histogram>,
    /// Segments and playlists, each from request to end.
    pub fetch: RefCell<Histogram>,
    /// How long viewers stood still for want of media.
    pub stalled: Cell<Duration>,
    faults: RefCell<BTreeMap<Fault, u64>>,
    failures: RefCell<BTreeMap<String, u64>>,
    examples: RefCell<Vec<String>>,
}

impl Tally {
    /// Adds to a count.
    pub fn add(count: &Cell<u64>, more: u64) {
        count.set(count.get() + more);
    }

    /// A client's end that nobody asked for.
    pub fn fail(&self, text: &str) {
        Self::add(&self.failed, 1);
        let mut failures = self.failures.borrow_mut();
        let text = if failures.len() < TEXTS_MAX || failures.contains_key(text) {
            text
        } else {
            "others"
        };
        *failures.entry(text.to_owned()).or_default() += 1;
    }

    /// Something that verification found; `what` is asked for only while it is kept.
    pub fn fault(&self, fault: Fault, what: impl FnOnce() -> String) {
        *self.faults.borrow_mut().entry(fault).or_default() += 1;
        let mut examples = self.examples.borrow_mut();
        if examples.len() < EXAMPLES_MAX {
            examples.push(what());
        }
    }

    /// Faults by what they are.
    pub fn faults(&self) -> Vec<(Fault, u64)> {
        self.faults
            .borrow()
            .iter()
            .map(|(fault, count)| (*fault, *count))
            .collect()
    }

    /// How many faults there are.
    pub fn fault_count(&self) -> u64 {
        self.faults.borrow().values().sum()
    }

    /// Failures by their words.
    pub fn failures(&self) -> Vec<(String, u64)> {
        self.failures
            .borrow()
            .iter()
            .map(|(text, count)| (text.clone(), *count))
            .collect()
    }

    /// The first faults, in words.
    pub fn examples(&self) -> Vec<String> {
        self.examples.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_and_examples_are_bounded() {
        let tally = Tally::default();
        for number in 0..100 {
            tally.fail(&format!("failure {number}"));
            tally.fail("failure 0");
            tally.fault(Fault::Lost, || format!("fault {number}"));
        }
        assert_eq!(tally.failed.get(), 200);
        assert_eq!(tally.failures().len(), TEXTS_MAX + 1);
        assert!(tally.failures().contains(&("failure 0".to_owned(), 101)));
        assert_eq!(tally.faults(), [(Fault::Lost, 100)]);
        assert_eq!(tally.examples().len(), EXAMPLES_MAX);
    }
}
