//! Who this server is: the ids that callbacks and the API tell.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use super::config::section::process::Process;
use super::workers::seat::Seat;
use crate::core::id::ContextId;

/// The ids of this server.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The same after a restart.
    pub server: String,
    /// New at each start.
    pub service: String,
    /// The working folder, which relative paths begin at.
    pub folder: String,
    /// Which worker of the server this process is, if it is one.
    pub seat: Option<Seat>,
}

impl Identity {
    /// The ids of a server that starts now; reads and writes the file of the stable one.
    pub fn establish(process: &Process) -> Self {
        Self::of_server(server_id(process))
    }

    /// A new start of the server with this id.
    pub fn of_server(server: String) -> Self {
        Self::of_start(server, ContextId::generate().to_string(), None)
    }

    /// A worker, which has the ids of its server.
    pub fn of_worker(seat: Seat) -> Self {
        Self::of_start(seat.server.clone(), seat.service.clone(), Some(seat))
    }

    fn of_start(server: String, service: String, seat: Option<Seat>) -> Self {
        Identity {
            server,
            service,
            seat,
            folder: std::env::current_dir().map_or_else(|_| ".".into(), |folder| folder.display().to_string()),
        }
    }
}

/// The id of the configuration, else the one that an earlier run left beside the pid file, else a new one; kept beside
/// the pid file (`.pid` replaced by `.id`) for the next run.
fn server_id(process: &Process) -> String {
    let path = id_path(&process.pid);
    let kept = || {
        fs::read_to_string(&path)
            .ok()
            .map(|text| text.trim().to_owned())
            .filter(|text| is_id(text))
    };
    let id = process.server_id.clone().or_else(kept).unwrap_or_else(random_id);
    if let Err(error) = fs::write(&path, &id) {
        log::warn!(
            "server id {id} is not kept, {} cannot be written: {error}",
            path.display()
        );
    }
    id
}

fn id_path(pid: &std::path::Path) -> PathBuf {
    let text = pid.to_string_lossy();
    match text.strip_suffix(".pid") {
        Some(stem) => PathBuf::from(format!("{stem}.id")),
        None => PathBuf::from(format!("{text}.id")),
    }
}

fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An id of the same form that is always the same for a seed and a name: workers agree on it without a word.
pub fn id_of(seed: &str, name: &str) -> String {
    const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut hasher = DefaultHasher::new();
    (seed, name).hash(&mut hasher);
    let mut rest = hasher.finish();
    let mut id = "vid-".to_owned();
    for _ in 0..7 {
        id.push(char::from(ALPHABET[(rest % 36) as usize]));
        rest /= 36;
    }
    id
}

/// A new id of the form that servers, vhosts and streams have: `vid-` and seven of `[0-9a-z]`.
pub fn random_id() -> String {
    let id = ContextId::generate();
    format!("vid-{}", &id.as_str()[1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_file_stands_beside_the_pid_file() {
        assert_eq!(id_path("./objs/srs.pid".as_ref()), PathBuf::from("./objs/srs.id"));
        assert_eq!(id_path("srs".as_ref()), PathBuf::from("srs.id"));
    }

    #[test]
    fn made_ids_are_ids() {
        assert!(is_id(&random_id()));
        assert!(is_id(&id_of("a", "b")));
        assert_ne!(id_of("a", "b"), id_of("a", "c"));
        assert_eq!(id_of("a", "b"), id_of("a", "b"));
        assert!(!is_id("a b"));
        assert!(!is_id(""));
    }
}
