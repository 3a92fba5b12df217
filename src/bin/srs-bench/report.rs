//! What came of a run, as a table for people and as JSON for programs.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::histogram::Histogram;
use crate::run::{JobOutcome, Outcome};

/// Above this share of a core the tool may be what limits the figures.
const BUSY_SHARE: f64 = 0.85;
/// So late timers say the same.
const LAG_MAX: Duration = Duration::from_millis(50);

impl Outcome {
    /// Whether no client failed and no fault was found.
    pub fn is_good(&self) -> bool {
        self.jobs
            .iter()
            .all(|job| job.tally.failed.get() == 0 && job.tally.fault_count() == 0)
    }

    /// Why the figures may be the tool's and not the server's.
    fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        let share = self.own_share();
        if share > BUSY_SHARE {
            doubts.push(format!(
                "this tool used {:.0} % of a core: it may be what limits the figures",
                share * 100.0
            ));
        }
        if let Some(lag) = self.lag.quantile(0.99).filter(|lag| *lag > LAG_MAX) {
            doubts.push(format!(
                "this tool's timers were up to {} late: latencies hold that too",
                shown(lag)
            ));
        }
        doubts
    }

    fn own_share(&self) -> f64 {
        self.own_cpu.as_secs_f64() / self.window.as_secs_f64().max(1e-6)
    }

    fn gigabits_played(&self) -> f64 {
        let played = self.jobs.iter().filter(|job| job.job.plays());
        played.map(|job| job.bytes as f64 * 8.0 / 1e9).sum()
    }

    fn players(&self) -> u64 {
        self.jobs
            .iter()
            .filter(|job| job.job.plays())
            .map(|job| job.clients)
            .sum()
    }

    /// The table.
    pub fn table(&self) -> String {
        let mut text = format!("measured for {:.1} s\n", self.window.as_secs_f64());
        for job in &self.jobs {
            text += &job.lines(self.window);
        }
        if let Some(watched) = self.watched {
            let share = watched.cpu.as_secs_f64() / self.window.as_secs_f64().max(1e-6);
            text += &format!("watched: {:.1} % of a core", share * 100.0);
            if self.gigabits_played() > 0.0 {
                let cost = watched.cpu.as_secs_f64() / self.gigabits_played();
                text += &format!(", {cost:.4} CPU s/Gbit played");
            }
            text += &format!(
                ", resident {:.1} MB, before the players {:.1} MB\n",
                watched.resident as f64 / 1e6,
                watched.resident_before as f64 / 1e6
            );
        }
        text += &format!(
            "this tool: {:.1} % of a core, resident {:.1} MB, timers late p99 {}\n",
            self.own_share() * 100.0,
            self.own_resident as f64 / 1e6,
            self.lag.quantile(0.99).map_or_else(|| "-".to_owned(), shown)
        );
        for doubt in self.doubts() {
            text += &format!("warning: {doubt}\n");
        }
        text
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let seconds = self.window.as_secs_f64();
        let jobs: Vec<Value> = self.jobs.iter().map(|job| job.json(self.window)).collect();
        let watched = self.watched.map(|watched| {
            json!({
                "cpu_seconds": watched.cpu.as_secs_f64(),
                "cpu_share": watched.cpu.as_secs_f64() / seconds.max(1e-6),
                "cpu_seconds_per_gbit": watched.cpu.as_secs_f64() / self.gigabits_played(),
                "resident_bytes": watched.resident,
                "resident_before_players_bytes": watched.resident_before,
                "resident_bytes_per_player":
                    (watched.resident as f64 - watched.resident_before as f64) / self.players() as f64,
            })
        });
        json!({
            "good": self.is_good(),
            "seconds": seconds,
            "jobs": jobs,
            "watched": watched,
            "tool": {
                "cpu_share": self.own_share(),
                "resident_bytes": self.own_resident,
                "lag_ms": times(&self.lag),
            },
            "warnings": self.doubts(),
        })
    }
}

impl JobOutcome {
    fn lines(&self, window: Duration) -> String {
        let tally = &self.tally;
        let mut text = format!(
            "{}: {} clients started, {} served, {} failed; {:.2} Mb/s, {:.0} messages/s\n",
            self.job.name,
            tally.started.get(),
            tally.served.get(),
            tally.failed.get(),
            megabits(self.bytes, window),
            self.messages as f64 / window.as_secs_f64().max(1e-6),
        );
        for (name, histogram) in self.histograms() {
            if histogram.count() > 0 {
                text += &format!("  {:<12} {}\n", name.replace('_', " "), quantiles(&histogram));
            }
        }
        if tally.began_late.get() > 0 {
            text += &format!("  {} streams did not begin with a keyframe\n", tally.began_late.get());
        }
        if !tally.stalled.get().is_zero() {
            text += &format!("  viewers stood still for {} in all\n", shown(tally.stalled.get()));
        }
        for (what, count) in tally.failures() {
            text += &format!("  failed {count} times: {what}\n");
        }
        for (fault, count) in tally.faults() {
            text += &format!("  FAULT {}: {count}\n", fault.name());
        }
        for example in tally.examples() {
            text += &format!("    such as: {example}\n");
        }
        text
    }

    fn histograms(&self) -> [(&'static str, Histogram); 5] {
        let tally = &self.tally;
        [
            ("connect", tally.connect.borrow().clone()),
            ("first_frame", tally.first_frame.borrow().clone()),
            ("latency", tally.latency.borrow().clone()),
            ("fetch", tally.fetch.borrow().clone()),
            ("sent_late", tally.sent_late.borrow().clone()),
        ]
    }

    fn json(&self, window: Duration) -> Value {
        let tally = &self.tally;
        let mut value = json!({
            "name": self.job.name,
            "url": self.job.url(),
            "started": tally.started.get(),
            "served": tally.served.get(),
            "failed": tally.failed.get(),
            "running_at_end": self.clients,
            "bytes": self.bytes,
            "mbps": megabits(self.bytes, window),
            "messages": self.messages,
            "total_bytes": tally.bytes.get(),
            "total_messages": tally.messages.get(),
            "total_pictures": tally.pictures.get(),
            "began_without_keyframe": tally.began_late.get(),
            "stalled_ms": tally.stalled.get().as_secs_f64() * 1000.0,
            "failures": tally.failures().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            "faults": tally.faults().iter().map(|(fault, count)| (fault.name(), *count)).collect::<std::collections::BTreeMap<_, _>>(),
            "fault_examples": tally.examples(),
        });
        if let Value::Object(object) = &mut value {
            for (name, histogram) in self.histograms() {
                object.insert(format!("{name}_ms"), times(&histogram));
            }
        }
        value
    }
}

fn megabits(bytes: u64, window: Duration) -> f64 {
    bytes as f64 * 8.0 / 1e6 / window.as_secs_f64().max(1e-6)
}

fn quantiles(histogram: &Histogram) -> String {
    let show = |duration: Option<Duration>| duration.map_or_else(|| "-".to_owned(), shown);
    format!(
        "p50 {}, p90 {}, p99 {}, longest {} ({} times)",
        show(histogram.quantile(0.5)),
        show(histogram.quantile(0.9)),
        show(histogram.quantile(0.99)),
        show(histogram.longest()),
        histogram.count()
    )
}

fn shown(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1000.0;
    match millis {
        ..10.0 => format!("{millis:.2} ms"),
        ..10_000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", millis / 1000.0),
    }
}

/// Milliseconds; null if nothing was counted.
fn times(histogram: &Histogram) -> Value {
    if histogram.count() == 0 {
        return Value::Null;
    }
    let millis = |duration: Option<Duration>| duration.unwrap_or_default().as_micros() as f64 / 1000.0;
    let mut object = Map::new();
    for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
        object.insert(name.to_owned(), millis(histogram.quantile(share)).into());
    }
    object.insert("longest".to_owned(), millis(histogram.longest()).into());
    object.insert("count".to_owned(), histogram.count().into());
    Value::Object(object)
}
