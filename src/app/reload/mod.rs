//! A reload: one transaction from the file to what runs. See `docs/reload.md`.
//!
//! The new configuration is read and checked whole. Then all that may fail is done beside what runs: the log is opened,
//! certificates are loaded, addresses are bound. Only when that has succeeded it is in force, and each owner takes what is
//! its own from it: listeners, sources, what goes along with publications, child processes, casters. Clients follow their
//! vhost's settings by [`Followed`]. A fault before that changes nothing.

mod followed;

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;

pub use self::followed::Followed;
use super::caster;
use super::config::difference::Change;
use super::config::directive::Reload;
use super::config::effective::Effective;
use super::config::section::log::{Log, Tank};
use super::config::syntax::Tree;
use super::config::{Config, Loaded};
use super::exporter;
use super::server::Server;
use super::stat::ReloadState;
use crate::core::clock::Moment;
use crate::core::limits::RELOAD_LINES;
use crate::core::offload::{Class, offload};
use crate::core::sync::Condition;
use crate::kernel::error::{Error, IoWrap, Result, Wrap};
use crate::kernel::error_code::ErrorCode;
use crate::kernel::log as tank;

/// The reloads' part of the server.
pub struct Reloading {
    /// What the configuration in force was read from.
    tree: RefCell<Tree>,
    generation: Cell<u64>,
    is_running: Cell<bool>,
    changed: Condition,
}

impl Reloading {
    /// Before the first one.
    pub fn new(tree: Tree) -> Self {
        Reloading {
            tree: RefCell::new(tree),
            generation: Cell::new(0),
            is_running: Cell::new(false),
            changed: Condition::new(),
        }
    }

    /// How many reloads have put a configuration in force.
    pub fn generation(&self) -> u64 {
        self.generation.get()
    }

    /// Waits for the end of a reload, or `deadline`. Yields.
    pub fn wait_until(&self, deadline: Moment) {
        self.changed.wait_until(deadline);
    }
}

impl Server {
    /// What the configuration in force amounts to, with the vhosts of that range in the order of the file.
    pub fn effective(&self, vhosts: Range<usize>) -> Effective {
        self.origin.borrow().effective(&self.reloading.tree.borrow(), vhosts)
    }

    /// Reads the configuration again and makes what runs follow it. One that comes while another runs waits. Yields.
    ///
    /// # Errors
    /// What is wrong with the new configuration, or a file or an address that cannot be had; that the server ends. The old
    /// one stays in force, and nothing has changed.
    pub fn reload(self: &Rc<Self>) -> Result<()> {
        if self.is_quitting() {
            // Its listeners would be open again.
            return Err(Error::new(ErrorCode::StThreadTerminate, "the server ends already"));
        }
        let reloading = &self.reloading;
        while reloading.is_running.get() {
            reloading.changed.wait();
        }
        reloading.is_running.set(true);
        self.stat.reloads.begin();
        let reloaded = self.load_and_apply();
        match &reloaded {
            Ok(changes) => self.stat.reloads.finish(changes),
            Err(error) => self.stat.reloads.fail(error),
        }
        reloading.is_running.set(false);
        reloading.changed.notify_all();
        reloaded.map(drop)
    }

    fn load_and_apply(self: &Rc<Self>) -> Result<Vec<Change>> {
        let origin = self.origin.borrow().clone();
        let loaded = origin.load_again().inspect_err(|error| {
            if error.code() == ErrorCode::ConfigInvalid {
                // It was read, but may not run.
                self.stat.reloads.reach(ReloadState::Transforming);
            }
        });
        let Loaded {
            config, tree, warnings, ..
        } = loaded.wrap("reload")?;
        check(&self.config(), &config).wrap("reload").inspect_err(|_| {
            self.stat.reloads.reach(ReloadState::Transforming);
        })?;
        self.stat.reloads.reach(ReloadState::Applying);
        for warning in &warnings {
            log::warn!("{warning}");
        }
        let changes = origin.difference(&self.reloading.tree.borrow(), &tree);
        let old = self.config();
        self.take_over(&old, &config).wrap("reload")?;
        self.reloading.tree.replace(tree);
        self.reloading.generation.set(self.reloading.generation.get() + 1);
        tell(&changes);
        self.follow(&config);
        log::info!("reload success");
        Ok(changes)
    }

    /// All that may fail; on success the new configuration is in force.
    fn take_over(self: &Rc<Self>, old: &Rc<Config>, new: &Rc<Config>) -> Result<()> {
        let moves_log = old.log != new.log;
        if moves_log {
            open_log(&new.log)?;
        }
        let bound = exporter::prepare(self, new).and_then(|exporter| Ok((exporter, caster::prepare(self, new)?)));
        let listening = bound.and_then(|bound| {
            self.config.replace(new.clone());
            self.open_listeners().map(|()| bound).inspect_err(|_| {
                self.config.replace(old.clone());
                // What was opened for the new one is closed again; the old ones are all open still.
                let _ = self.open_listeners();
            })
        });
        match listening {
            Ok((exporter, casters)) => {
                exporter.take_over(self);
                casters.take_over(self);
                Ok(())
            }
            Err(error) => {
                if moves_log && let Err(error) = open_log(&old.log) {
                    log::error!("{}", error.summary());
                }
                Err(error)
            }
        }
    }

    /// What runs follows the configuration that is in force now.
    fn follow(self: &Rc<Self>, config: &Config) {
        self.sources.for_each(|source| {
            if let Some(vhost) = config.vhost_named(source.vhost()) {
                source.set_play(Rc::new(vhost.play.clone()));
                source.keep_sound(vhost.http_remux.kept_sound());
            }
        });
        self.clients.wake_all();
        self.certificates.refresh();
        self.edges.registry.settings_changed();
        if !self.is_quitting() {
            self.children.apply(config);
            self.retinue.apply(self, config);
        }
        self.stat.host.count_disks(&config.stats.disk);
        self.stat
            .retain_vhosts(|name| config.vhosts().iter().any(|vhost| vhost.name == name));
    }
}

/// What no reload may do.
fn check(old: &Config, new: &Config) -> Result<()> {
    for vhost in old.vhosts() {
        let Some(now) = new.vhost_named(&vhost.name) else {
            continue;
        };
        if vhost.enabled && vhost.cluster.is_remote != now.cluster.is_remote {
            let text = format!("vhost {}: cluster.mode needs a restart to change", vhost.name);
            return Err(Error::new(ErrorCode::EdgeReload, text));
        }
    }
    Ok(())
}

/// Sends the log where the settings say, off the thread.
fn open_log(settings: &Log) -> Result<()> {
    let log = settings.clone();
    let open = move || match &log.tank {
        Tank::Console => tank::open(None, log.level, log.utc),
        Tank::File(path) => tank::open(Some(path), log.level, log.utc),
    };
    let opened =
        offload(Class::Disk, open).unwrap_or_else(|unfinished| Err(std::io::Error::other(unfinished.to_string())));
    opened.io_wrap(ErrorCode::FileOpen, || format!("open log {:?}", settings.tank))
}

/// One line a change, in the log.
fn tell(changes: &[Change]) {
    for change in changes.iter().take(RELOAD_LINES) {
        match change.reload {
            Reload::Now => log::info!("reload: {change}"),
            Reload::Next => log::info!("reload: {change}, for what begins from now on"),
            Reload::Restart => log::warn!("reload: {change} needs a restart"),
        }
    }
    if changes.len() > RELOAD_LINES {
        log::info!("reload: {} more changes", changes.len() - RELOAD_LINES);
    }
}
