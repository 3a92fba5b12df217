//! The load tool's command line; `docs/srs-bench.md` tells how it is used.
//!
//! Virtual players and publishers are coroutines on the server's own runtime. Modules: [`options`], [`job_file`] and [`plan`]
//! say what is to be done, [`run`] does it, [`report`] tells what came of it; [`rtmp`], [`flv`], [`ts`], [`hls`] and
//! [`bandcheck`] are the clients, [`observer`] is their eyes, and [`floor`] is what servers are compared with.

mod bandcheck;
mod floor;
mod flv;
mod histogram;
mod hls;
mod http;
mod job_file;
mod line;
mod observer;
mod options;
mod plan;
mod reel;
mod report;
mod rtmp;
mod run;
mod stamp;
mod synthetic;
mod tally;
mod ts;
mod usage;

use std::fs;
use std::process::ExitCode;

use srs_may::core::runtime;
use srs_may::core::setup;
use srs_may::core::signal::{self, Signal};
use srs_may::kernel::error::{IoWrap, Result, Wrap};
use srs_may::kernel::error_code::ErrorCode;

use options::{Command, Given, Raw, RawJob, wrong};
use plan::{Plan, Role};

/// Some client failed, or a fault was found.
const BAD: u8 = 1;
/// The command line or the job file is wrong.
const MISTAKE: u8 = 2;

fn main() -> ExitCode {
    match options::parse(std::env::args_os().skip(1)).and_then(act) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("srs-bench: {}", error.summary());
            ExitCode::from(MISTAKE)
        }
    }
}

fn act(command: Command) -> Result<u8> {
    // Where it cannot be raised, connecting says what that means.
    let _ = setup::raise_file_limit();
    match command {
        Command::Help => print!("{}", options::help()),
        Command::Version => println!("srs-bench {}", env!("CARGO_PKG_VERSION")),
        Command::Run(raw) => return run_jobs(&raw),
        Command::File(path, given) => {
            let text = fs::read_to_string(&path).io_wrap(ErrorCode::ConfigInvalid, || format!("read {path}"))?;
            return run_jobs(&job_file::read(&text, &given).wrap_with(|| path.clone())?);
        }
        Command::Floor(address, given) => be_floor(&address, given)?,
    }
    Ok(0)
}

fn run_jobs(raw: &Raw) -> Result<u8> {
    let plan = Plan::new(raw)?;
    let blocked = signal::block(&[Signal::SIGINT, Signal::SIGTERM]);
    let blocked = blocked.io_wrap(ErrorCode::PipeCreate, || "block signals".to_owned())?;
    // Counts are shared on the worker's thread only, so what leaves it are texts.
    let ended = runtime::run(move || {
        let json = plan.json.clone();
        run::run(plan, blocked).map(|outcome| (outcome.table(), outcome.json(), outcome.is_good(), json))
    });
    let (table, json, is_good, place) =
        ended.io_wrap(ErrorCode::StInitialize, || "run the coroutines".to_owned())??;
    match place.as_deref() {
        Some("-") => println!("{json:#}"),
        Some(path) => {
            print!("{table}");
            fs::write(path, format!("{json:#}\n")).io_wrap(ErrorCode::FileWrite, || format!("write {path}"))?;
        }
        None => print!("{table}"),
    }
    Ok(if is_good { 0 } else { BAD })
}

fn be_floor(address: &str, mut given: Given) -> Result<()> {
    let address = address
        .parse()
        .map_err(|_| wrong(format!("{address} is not an address with a port")))?;
    let cadence = match given.remove("each") {
        Some(_) => floor::Cadence::Each,
        None => floor::Cadence::Batches,
    };
    // Its media is described as a publisher's.
    let job = RawJob {
        kind: "publish".to_owned(),
        url: "rtmp://localhost/live/floor".to_owned(),
        given,
    };
    let raw = Raw {
        jobs: vec![job],
        ..Raw::default()
    };
    let plan = Plan::new(&raw)?;
    let Some(Role::Publish { film, .. }) = plan.jobs.first().map(|job| &job.role) else {
        return Ok(());
    };
    floor::serve(address, &reel::Reel::load(film)?, cadence)
}
