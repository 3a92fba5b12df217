//! The way from a path to a typed configuration.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::diagnostic::{Fault, Warning};
use super::env::{Env, GetVar};
use super::host::Host;
use super::place::{Place, Source};
use super::scope::Scope;
use super::section::vhost::DEFAULT_VHOST;
use super::syntax::{self, Directive, ReadFile, Tree, Word};
use super::{Config, check, lint, programs, transform};
use crate::core::limits;
use crate::kernel::error_code::ErrorCode;

/// What a configuration is made of.
#[derive(Clone)]
pub struct LoadOptions<'a> {
    /// The file that the command line names.
    pub path: Option<PathBuf>,
    /// Whether the command line says that there is no file (`-e`).
    pub env_only: bool,
    /// The process's environment.
    pub env: GetVar<'a>,
    /// The machine.
    pub host: Host,
    /// How files are read.
    pub read_file: ReadFile<'a>,
}

impl LoadOptions<'static> {
    /// The options of a real start: the process's environment, this machine, the file system.
    pub fn of_process(path: Option<PathBuf>, env_only: bool) -> Self {
        LoadOptions {
            path,
            env_only,
            env: &|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()),
            host: Host::detect(),
            read_file: &read_file,
        }
    }
}

impl LoadOptions<'_> {
    /// Whether there is no file, by the command line or by the environment.
    pub fn is_env_only(&self) -> bool {
        self.env_only || (self.env)("SRS_ENV_ONLY").is_some()
    }

    /// The file that is read: the environment's before the command line's; `None` without a file.
    pub fn file(&self) -> Option<PathBuf> {
        if self.is_env_only() {
            return None;
        }
        let given = (self.env)("SRS_CONFIG_FILE").filter(|path| !path.is_empty());
        given.map(PathBuf::from).or_else(|| self.path.clone())
    }
}

/// A configuration that may run.
#[derive(Debug)]
pub struct Loaded {
    /// The typed values.
    pub config: Rc<Config>,
    /// What is odd about it, in the order of the file.
    pub warnings: Vec<Warning>,
    /// The tree behind it, with old spellings rewritten; a reload compares it with the next one.
    pub tree: Tree,
    /// The file that was read.
    pub path: Option<PathBuf>,
}

/// What a text is as a configuration, for tests; it is called `a.conf`.
#[cfg(test)]
pub fn load_text(text: &str, host: Host) -> Result<Loaded, Fault> {
    load(&LoadOptions {
        path: Some("a.conf".into()),
        env_only: false,
        env: &|_| None,
        host,
        read_file: &|path| match path.to_str() {
            Some("a.conf") => Ok(text.as_bytes().to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        },
    })
}

/// Reads a file as a configuration: all of it, but not without bound.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than allowed, so that the parser can tell that it is too much.
    File::open(path)?
        .take(limits::CONFIG_FILE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads, checks and types a configuration; [`Config::load`] with a fault that can show its line.
///
/// # Errors
/// `ConfigInvalid` for what is illegal or absent, `FileOpen` for a file that cannot be read.
pub fn load(options: &LoadOptions<'_>) -> Result<Loaded, Fault> {
    let env = Env::new(options.env, options.is_env_only());
    let path = options.file();
    let (mut tree, mut warnings) = match &path {
        Some(path) => parse_file(path, options.read_file)?,
        None if env.is_only() => (tree_without_file(), Vec::new()),
        None => return Err(Fault::nowhere("no configuration file").with_hint("name one with -c FILE, or use -e")),
    };
    transform::transform(&mut tree, &mut warnings);
    let root = Scope::root(env, &tree.root);
    check::check(&tree, env, &options.host)?;
    lint::lint(&tree, env, &mut warnings);
    programs::lint(&root, &options.host, &mut warnings);
    let config = Rc::new(Config::read(&root, &options.host, options.read_file)?);
    drop(root);
    Ok(Loaded {
        config,
        warnings,
        tree,
        path,
    })
}

fn parse_file(path: &Path, read_file: ReadFile<'_>) -> Result<(Tree, Vec<Warning>), Fault> {
    let name = path.display().to_string();
    let text = read_file(path).map_err(|cause| {
        let fault = Fault::nowhere(format!("cannot read configuration file \"{name}\": {cause}"));
        match cause.kind() {
            io::ErrorKind::NotFound => fault,
            _ => fault.with_code(ErrorCode::FileOpen),
        }
    })?;
    syntax::parse(&name, text, read_file)
}

/// What stands for the file when there is none: the default vhost, everything else as it comes.
fn tree_without_file() -> Tree {
    let word = |text: &str| Word {
        text: text.to_owned(),
        place: Place::environment("SRS_ENV_ONLY"),
    };
    let vhost = Directive {
        name: word("vhost"),
        args: vec![word(DEFAULT_VHOST)],
        block: Some(Vec::new()),
    };
    Tree {
        root: vec![vhost],
        place: Place::File(Source::new("(environment)", Vec::new())),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::super::section::log::Tank;
    use super::super::section::play::{Play, TimeJitter};
    use super::*;

    const HOST: Host = Host::TEST;

    fn load_with(text: &str, vars: &[(&str, &str)], env_only: bool) -> Result<Loaded, Fault> {
        let env = |name: &str| {
            let found = vars.iter().find(|(var, _)| *var == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        load(&LoadOptions {
            path: Some("a.conf".into()),
            env_only,
            env: &env,
            host: HOST,
            read_file: &|path| match path.to_str() {
                Some("a.conf") => Ok(text.as_bytes().to_vec()),
                _ => Err(io::ErrorKind::NotFound.into()),
            },
        })
    }

    fn config(text: &str) -> Rc<Config> {
        load_with(text, &[], false).unwrap().config
    }

    #[test]
    fn a_file_with_listen_alone_has_all_defaults() {
        let config = config("listen 1935;");
        assert_eq!(
            config.listen[0].socket_addr().unwrap(),
            SocketAddr::from(([0, 0, 0, 0], 1935))
        );
        assert_eq!((config.max_connections, config.chunk_size), (1000, 60_000));
        assert_eq!(config.pithy_print, Duration::from_secs(10));
        assert!(config.process.daemon && config.process.empty_ip_ok && !config.process.asprocess);
        assert_eq!(config.process.pid, Path::new("./objs/srs.pid"));
        assert_eq!(config.process.server_id, None);
        assert_eq!(config.process.grace_start_wait, Duration::from_millis(2300));
        assert_eq!(config.process.grace_final_wait, Duration::from_millis(3200));
        assert_eq!(config.log.tank, Tank::File("./objs/srs.log".into()));
        assert_eq!(config.log.level, log::LevelFilter::Info);
        assert!(config.vhost("anything").is_none(), "without a vhost nobody is served");
    }

    #[test]
    fn a_bare_vhost_has_all_defaults() {
        let config = config("listen 1935;\nvhost __defaultVhost__ {\n}\n");
        let vhost = config.vhost("any.example.com").unwrap();
        assert_eq!(vhost.name, "__defaultVhost__");
        assert!(!vhost.min_latency && !vhost.tcp_nodelay);
        assert_eq!(
            (vhost.chunk_size, vhost.in_ack_size, vhost.out_ack_size),
            (60_000, 0, 2_500_000)
        );
        assert_eq!(vhost.play, Play::default());
        let publish = &vhost.publish;
        assert!(!publish.mr && publish.parse_sps);
        assert_eq!(publish.mr_latency, Duration::from_millis(350));
        assert_eq!(publish.firstpkt_timeout, Duration::from_secs(20));
        assert_eq!(publish.normal_timeout, Duration::from_secs(5));
        assert_eq!(publish.kickoff_for_idle, None);
        assert!(!vhost.refer.enabled && !vhost.security.enabled);
    }

    #[test]
    fn values_come_from_the_file() {
        let config = config(
            "listen 1935 [::1]:1936; max_connections 10; chunk_size 4096; pithy_print_ms 500; daemon off;
             srs_log_tank console; srs_log_level warn; srs_log_level_v2 debug;
             vhost a { chunk_size 128; in_ack_size 7; out_ack_size 8; tcp_nodelay on;
                play { gop_cache off; queue_length 10; time_jitter zero; send_min_interval 10.5; mw_msgs 999; }
                publish { mr on; normal_timeout 7000; kickoff_for_idle 1.5; }
                refer { enabled on; all a.com b.com; }
                security { enabled on; allow play 127.0.0.1; deny publish all; allow publish all; } }
             vhost b { enabled off; } vhost a { chunk_size 999; } vhost __defaultVhost__ { min_latency on; }",
        );
        assert_eq!(config.listen.len(), 2);
        assert_eq!(config.log.tank, Tank::Console);
        assert_eq!(config.log.level, log::LevelFilter::Debug);
        let a = config.vhost("a").unwrap();
        assert_eq!(
            (a.chunk_size, a.in_ack_size, a.out_ack_size, a.tcp_nodelay),
            (128, 7, 8, true)
        );
        assert_eq!(a.play.queue_length, Duration::from_secs(10));
        assert_eq!(a.play.send_min_interval, Duration::from_micros(10_500));
        assert_eq!((a.play.time_jitter, a.play.mw_msgs), (TimeJitter::Zero, 128));
        assert_eq!(a.publish.kickoff_for_idle, Some(Duration::from_millis(1500)));
        assert_eq!(a.refer.all, ["a.com", "b.com"]);
        assert_eq!((a.security.allow.len(), a.security.deny.len()), (2, 1));
        assert!(
            config.vhost("b").is_none(),
            "a disabled vhost does not fall back to the default one"
        );
        let rest = config.vhost("c").unwrap();
        assert_eq!((rest.play.mw_latency, rest.play.mw_msgs), (Duration::ZERO, 0));
        assert_eq!((rest.chunk_size, config.vhosts().len()), (4096, 3));
    }

    #[test]
    fn the_environment_is_stronger_than_the_file() {
        let vars = [
            ("SRS_LISTEN", "1936 127.0.0.1:1937"),
            ("SRS_VHOST_PLAY_GOP_CACHE", "off"),
            ("SRS_VHOST_CHUNK_SIZE", "5000"),
            ("SRS_LOG_LEVEL", "error"),
            ("SRS_DAEMON", ""),
        ];
        let text = "listen 1935; daemon off; srs_log_level warn; chunk_size 300; vhost a { play { gop_cache on; } }";
        let loaded = load_with(text, &vars, false).unwrap();
        let config = loaded.config;
        assert_eq!(
            config.listen.iter().map(|endpoint| endpoint.port).collect::<Vec<_>>(),
            [1936, 1937]
        );
        assert_eq!(config.log.level, log::LevelFilter::Error);
        assert_eq!((config.chunk_size, config.vhost("a").unwrap().chunk_size), (5000, 5000));
        assert!(!config.vhost("a").unwrap().play.gop_cache);
        assert!(!config.process.daemon, "an empty variable counts as not set");
    }

    #[test]
    fn without_a_file_the_environment_is_all() {
        let config = load_with("garbage", &[], true).unwrap().config;
        assert!(config.listen.is_empty() && !config.process.daemon);
        assert_eq!(config.log.tank, Tank::Console);
        assert_eq!(config.vhost("x").unwrap().name, DEFAULT_VHOST);
        let vars = [
            ("SRS_ENV_ONLY", ""),
            ("SRS_DAEMON", "on"),
            ("SRS_LOG_TANK", "file"),
            ("SRS_CONFIG_FILE", "b.conf"),
        ];
        let loaded = load_with("garbage", &vars, false).unwrap();
        assert!(loaded.path.is_none() && loaded.config.process.daemon);
        assert_eq!(loaded.config.log.tank, Tank::File("./objs/srs.log".into()));
    }

    #[test]
    fn the_file_can_be_named_by_the_environment() {
        let vars = [("SRS_CONFIG_FILE", "a.conf")];
        let asked = RefCell::new(Vec::new());
        let env = |name: &str| {
            vars.iter()
                .find(|(var, _)| *var == name)
                .map(|(_, value)| (*value).to_owned())
        };
        let options = LoadOptions {
            path: Some("b.conf".into()),
            env_only: false,
            env: &env,
            host: HOST,
            read_file: &|path| {
                asked.borrow_mut().push(path.to_owned());
                Ok(b"listen 1;".to_vec())
            },
        };
        assert_eq!(load(&options).unwrap().path.unwrap(), Path::new("a.conf"));
        assert_eq!(*asked.borrow(), [Path::new("a.conf")]);
    }

    #[test]
    fn a_container_stays_in_the_foreground() {
        let options = |text: &'static str| {
            let read: ReadFile<'static> = Box::leak(Box::new(move |_: &Path| Ok(text.as_bytes().to_vec())));
            LoadOptions {
                path: Some("a.conf".into()),
                env_only: false,
                env: &|_| None,
                host: Host {
                    in_docker: true,
                    ..HOST
                },
                read_file: read,
            }
        };
        let config = load(&options("listen 1; daemon on;")).unwrap().config;
        assert!(!config.process.daemon && config.log.tank == Tank::Console);
        let config = load(&options("listen 1; disable_daemon_for_docker off; srs_log_tank file;"))
            .unwrap()
            .config;
        assert!(config.process.daemon && config.log.tank != Tank::Console);
    }

    #[test]
    fn files_that_cannot_be_read_have_their_own_codes() {
        let failing = |kind: io::ErrorKind| {
            let read = move |_: &Path| Err(io::Error::from(kind));
            let options = LoadOptions {
                path: Some("a.conf".into()),
                env_only: false,
                env: &|_| None,
                host: HOST,
                read_file: &read,
            };
            load(&options).unwrap_err().code()
        };
        assert_eq!(failing(io::ErrorKind::NotFound), ErrorCode::ConfigInvalid);
        assert_eq!(failing(io::ErrorKind::PermissionDenied), ErrorCode::FileOpen);
        let mut options = LoadOptions::of_process(None, false);
        options.env = &|_| None;
        assert_eq!(load(&options).unwrap_err().code(), ErrorCode::ConfigInvalid);
    }
}
