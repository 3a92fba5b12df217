//! Limits of the system that are watched before they bite: open files, memory maps, memory.

use std::cell::Cell;
use std::rc::Rc;

use crate::app::server::Server;
use crate::core::coroutine;
use crate::core::resources::{self, Resources, Usage};

/// Percent of a limit from which on it is told, and told again.
const NEAR: u64 = 80;
const CLOSE: u64 = 95;
/// Percent below which that is over: values swing.
const NEAR_ENDS: u64 = 75;
const CLOSE_ENDS: u64 = 90;

/// How near a limit is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    #[default]
    Fine,
    Near,
    Close,
}

impl Level {
    /// The level after this one, with so much in use.
    fn next(self, usage: Usage) -> Level {
        let percent = percent(usage);
        match self {
            _ if percent >= CLOSE => Level::Close,
            Level::Close if percent >= CLOSE_ENDS => Level::Close,
            _ if percent >= NEAR => Level::Near,
            Level::Close | Level::Near if percent >= NEAR_ENDS => Level::Near,
            _ => Level::Fine,
        }
    }
}

fn percent(usage: Usage) -> u64 {
    (u128::from(usage.used) * 100 / u128::from(usage.limit.max(1))) as u64
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resource {
    OpenFiles,
    MemoryMaps,
    /// Of the machine, or of the control group.
    Memory {
        is_grouped: bool,
    },
}

impl Resource {
    fn name(self) -> &'static str {
        match self {
            Resource::OpenFiles => "open files",
            Resource::MemoryMaps => "memory maps",
            Resource::Memory { .. } => "memory",
        }
    }

    fn shown(self, usage: Usage) -> String {
        let unit = match self {
            Resource::Memory { .. } => 1 << 20,
            _ => 1,
        };
        let suffix = if unit == 1 { "" } else { " MiB" };
        format!(
            "{} of {}{suffix} ({} %)",
            usage.used / unit,
            usage.limit / unit,
            percent(usage)
        )
    }

    fn advice(self) -> &'static str {
        match self {
            Resource::OpenFiles => {
                "at the limit no client gets in and no file is written; raise it before the start (ulimit -n, LimitNOFILE= of \
                 systemd) or lower max_connections"
            }
            Resource::MemoryMaps => {
                "at the limit no client gets in, each takes two; raise it: sysctl -w vm.max_map_count=262144"
            }
            Resource::Memory { is_grouped: true } => {
                "at the limit the kernel kills the server; raise memory.max of its control group (MemoryMax= of systemd, \
                 --memory of docker) or serve less with it"
            }
            Resource::Memory { is_grouped: false } => {
                "this is all the machine has, the kernel kills the server when it runs out; serve less with it"
            }
        }
    }
}

/// A change that is worth a line.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Warning(String),
    Relief(String),
}

/// Takes the next figures of one limit; gives what there is to tell.
fn observe(level: &Cell<Level>, resource: Resource, usage: Option<Usage>) -> Option<Line> {
    // What is not told any more is forgotten.
    let Some(usage) = usage else {
        level.take();
        return None;
    };
    let before = level.get();
    let now = before.next(usage);
    level.set(now);
    let text = format!("{}: {} in use", resource.name(), resource.shown(usage));
    match now.cmp(&before) {
        std::cmp::Ordering::Greater => Some(Line::Warning(format!("{text}; {}", resource.advice()))),
        std::cmp::Ordering::Less if now == Level::Fine => Some(Line::Relief(format!("{text}, the limit is far again"))),
        std::cmp::Ordering::Less => Some(Line::Relief(format!("{text}, less than before"))),
        std::cmp::Ordering::Equal => None,
    }
}

/// The newest figures, and what was told of them.
#[derive(Default)]
pub struct Limits {
    resources: Cell<Resources>,
    open_files: Cell<Level>,
    memory_maps: Cell<Level>,
    memory: Cell<Level>,
}

impl Limits {
    /// The newest figures.
    pub fn resources(&self) -> Resources {
        self.resources.get()
    }

    fn observe(&self, resources: Resources) -> impl Iterator<Item = Line> {
        self.resources.set(resources);
        let memory = Resource::Memory {
            is_grouped: resources.is_grouped,
        };
        let lines = [
            observe(&self.open_files, Resource::OpenFiles, resources.open_files),
            observe(&self.memory_maps, Resource::MemoryMaps, resources.memory_maps),
            observe(&self.memory, memory, resources.memory),
        ];
        lines.into_iter().flatten()
    }
}

/// Looks now and then until the process ends. Yields.
pub fn run(server: &Rc<Server>) {
    loop {
        let workers = server.identity.seat.as_ref().map_or(1, |seat| seat.count);
        for line in server.limits.observe(look(workers)) {
            match line {
                Line::Warning(text) => log::warn!("{text}"),
                Line::Relief(text) => log::info!("{text}"),
            }
        }
        coroutine::sleep(server.config().threads.interval);
    }
}

/// The figures of this process; of memory each worker has its share. Yields.
fn look(workers: usize) -> Resources {
    let mut resources = resources::look();
    if let Some(memory) = &mut resources.memory {
        memory.limit = (memory.limit / workers.max(1) as u64).max(1);
    }
    resources
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_thousand(used: u64) -> Option<Usage> {
        Some(Usage { used, limit: 1000 })
    }

    /// What is told, by its first letter, of each figure.
    fn told(figures: &[u64]) -> String {
        let level = Cell::default();
        let told = figures
            .iter()
            .map(|used| match observe(&level, Resource::OpenFiles, of_thousand(*used)) {
                Some(Line::Warning(_)) => 'W',
                Some(Line::Relief(_)) => 'r',
                None => '.',
            });
        told.collect()
    }

    #[test]
    fn each_mark_is_told_once() {
        assert_eq!(told(&[1, 799, 800, 949, 950, 1000, 1200]), "..W.W..");
        assert_eq!(told(&[990, 990]), "W.");
    }

    #[test]
    fn values_that_swing_are_not_told_again() {
        assert_eq!(told(&[800, 790, 760, 800, 750, 810]), "W.....");
        assert_eq!(told(&[800, 749, 749, 800]), "Wr.W");
        assert_eq!(told(&[950, 900, 951, 899, 950, 100, 950]), "W..rWrW");
    }

    #[test]
    fn lines_say_how_much_and_what_to_do() {
        let level = Cell::default();
        let text = |line: Option<Line>| match line.unwrap() {
            Line::Warning(text) | Line::Relief(text) => text,
        };
        let line = text(observe(&level, Resource::OpenFiles, of_thousand(812)));
        assert!(
            line.starts_with("open files: 812 of 1000 (81 %) in use; ") && line.contains("ulimit -n"),
            "{line}"
        );
        let line = text(observe(&level, Resource::OpenFiles, of_thousand(10)));
        assert_eq!(line, "open files: 10 of 1000 (1 %) in use, the limit is far again");
        let usage = Some(Usage {
            used: 97 << 20,
            limit: 100 << 20,
        });
        for (is_grouped, part) in [(true, "memory.max"), (false, "all the machine has")] {
            let line = text(observe(&Cell::default(), Resource::Memory { is_grouped }, usage));
            assert!(
                line.starts_with("memory: 97 of 100 MiB (97 %) in use; ") && line.contains(part),
                "{line}"
            );
        }
        let line = text(observe(&Cell::default(), Resource::MemoryMaps, of_thousand(960)));
        assert!(line.contains("sysctl -w vm.max_map_count"), "{line}");
    }

    #[test]
    fn all_limits_are_watched_and_unknown_ones_are_not() {
        let limits = Limits::default();
        let full = Resources {
            open_files: of_thousand(1000),
            memory_maps: of_thousand(1000),
            memory: of_thousand(1000),
            is_grouped: false,
        };
        assert_eq!(limits.observe(full).count(), 3);
        assert_eq!(limits.resources(), full);
        assert_eq!(limits.observe(Resources::default()).count(), 0);
        assert_eq!(limits.observe(full).count(), 3);
    }
}
