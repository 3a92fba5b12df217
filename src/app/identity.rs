//! Who this server is: the stable id that callbacks and the API tell.

use std::fs;
use std::path::PathBuf;

use super::config::section::process::Process;

/// The id of the configuration, else the one that an earlier run left beside the pid file, else a new one; kept beside
/// the pid file (`.pid` replaced by `.id`) for the next run.
pub fn server_id(process: &Process) -> String {
    let path = id_path(&process.pid);
    let kept = || {
        fs::read_to_string(&path)
            .ok()
            .map(|text| text.trim().to_owned())
            .filter(|text| is_id(text))
    };
    let id = process.server_id.clone().or_else(kept).unwrap_or_else(generate);
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

fn generate() -> String {
    let random: String = std::iter::repeat_with(|| fastrand::char('a'..='z')).take(7).collect();
    format!("vid-{random}")
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
        assert!(is_id(&generate()));
        assert!(!is_id("a b"));
        assert!(!is_id(""));
    }
}
