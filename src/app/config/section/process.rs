//! What the process is and how it starts and stops.

use std::path::PathBuf;
use std::time::Duration;

use crate::app::config::host::Host;
use crate::app::config::scope::Scope;
use crate::core::limits::WORKERS;
use crate::core::setup::processors;

/// Settings of the process as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// `server_id`: the stable id of this instance; `None` lets the server keep one beside its pid file.
    pub server_id: Option<String>,
    /// `pid`: the file that holds the process id and is locked while the server runs.
    pub pid: PathBuf,
    /// `work_dir`: where the process goes before it opens anything; empty or `./` is where it is.
    pub work_dir: PathBuf,
    /// `user`: the account that the process runs under once it listens, and its group.
    pub user: Option<(String, Option<String>)>,
    /// `chroot`: the folder that becomes the root of the file system then.
    pub chroot: Option<PathBuf>,
    /// `workers`: how many processes share the work, from 1.
    pub workers: usize,
    /// `daemon`: whether it leaves the terminal; never in a container unless told so.
    pub daemon: bool,
    /// `asprocess`: whether it ends when its parent does.
    pub asprocess: bool,
    /// `in_docker`, or what the machine looks like.
    pub in_docker: bool,
    /// `utc_time`: UTC instead of local time in logs and path templates.
    pub utc_time: bool,
    /// `empty_ip_ok`: whether a client is served whose address the system does not tell.
    pub empty_ip_ok: bool,
    /// `grace_start_wait`: from the signal to the closing of the listeners.
    pub grace_start_wait: Duration,
    /// `grace_final_wait`: from the end of the last client to the end of the process.
    pub grace_final_wait: Duration,
    /// `force_grace_quit`: whether SIGTERM waits for clients as SIGQUIT does.
    pub force_grace_quit: bool,
}

impl Process {
    pub(crate) fn read(root: &Scope<'_>, host: &Host) -> Self {
        let in_docker = is_in_docker(root, host);
        Process {
            server_id: root.given("server_id").map(|given| given.text),
            pid: root.text("pid").into(),
            work_dir: root.text("work_dir").into(),
            user: read_user(root),
            chroot: root.given("chroot").map(|given| given.text.into()),
            workers: read_workers(&root.text("workers")).unwrap_or(1),
            daemon: root.flag("daemon") && !(in_docker && root.flag("disable_daemon_for_docker")),
            asprocess: root.flag("asprocess"),
            in_docker,
            utc_time: root.flag("utc_time"),
            empty_ip_ok: root.flag("empty_ip_ok"),
            grace_start_wait: root.duration("grace_start_wait"),
            grace_final_wait: root.duration("grace_final_wait"),
            force_grace_quit: root.flag("force_grace_quit"),
        }
    }
}

/// A number from 1, or `auto`; `None` for what is neither.
pub(crate) fn read_workers(text: &str) -> Option<usize> {
    match text {
        "auto" => Some(processors().min(WORKERS)),
        text => text.parse().ok().filter(|count| (1..=WORKERS).contains(count)),
    }
}

fn read_user(root: &Scope<'_>) -> Option<(String, Option<String>)> {
    let mut words = root.texts("user").into_iter();
    words.next().map(|name| (name, words.next()))
}

/// Whether the server runs in a container, by its own word or by the look of the machine.
pub(crate) fn is_in_docker(root: &Scope<'_>, host: &Host) -> bool {
    host.in_docker || root.flag("in_docker")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::load_text;

    #[test]
    fn workers_are_a_number_or_auto() {
        let workers = |text: &str| {
            let text = format!("listen 1935; {text} vhost __defaultVhost__ {{}}");
            load_text(&text, Host::TEST).map(|loaded| loaded.config.process.workers)
        };
        assert_eq!(workers("").ok(), Some(1));
        assert_eq!(workers("workers 4;").ok(), Some(4));
        assert_eq!(workers("workers auto;").ok(), Some(processors().min(WORKERS)));
        for wrong in ["0", "-1", "257", "many"] {
            let fault = workers(&format!("workers {wrong};")).unwrap_err();
            assert!(fault.to_string().contains("illegal workers"), "{fault}");
        }
    }
}
