//! A reload: what a new configuration changes while the server runs.

use std::rc::Rc;

use super::server::Server;
use super::stat::ReloadState;
use crate::kernel::error::{Result, Wrap};
use crate::kernel::error_code::ErrorCode;

impl Server {
    /// Reads the configuration again. A file that is not valid changes nothing. Yields.
    ///
    /// # Errors
    /// What is wrong with the new configuration, or an address that cannot be listened at; the old one stays in force.
    pub fn reload(self: &Rc<Self>) -> Result<()> {
        self.stat.reloads.begin();
        let reloaded = self.load_and_apply();
        match &reloaded {
            Ok(()) => self.stat.reloads.reach(ReloadState::Done),
            Err(error) => self.stat.reloads.fail(error),
        }
        reloaded
    }

    fn load_and_apply(self: &Rc<Self>) -> Result<()> {
        let origin = self.origin.borrow().clone();
        let loaded = origin.load().inspect_err(|error| {
            if error.code() == ErrorCode::ConfigInvalid {
                // It was read, but may not run.
                self.stat.reloads.reach(ReloadState::Transforming);
            }
        });
        let loaded = loaded.wrap("reload")?;
        self.stat.reloads.reach(ReloadState::Applying);
        for warning in &loaded.warnings {
            log::warn!("{warning}");
        }
        let old = self.config.replace(loaded.config);
        if let Err(error) = self.open_listeners() {
            self.config.replace(old);
            // What was opened for the new one is closed again; the old ones are all open still.
            let _ = self.open_listeners();
            return Err(error.wrap("reload"));
        }
        self.certificates.refresh();
        let config = self.config();
        self.sources.for_each(|source| {
            if let Some(vhost) = config.vhost(source.vhost()) {
                source.set_play(Rc::new(vhost.play.clone()));
                source.keep_sound(vhost.http_remux.kept_sound());
            }
        });
        if !self.is_quitting() {
            self.children.apply(&config);
        }
        self.stat.host.count_disks(&config.stats.disk);
        self.stat
            .retain_vhosts(|name| config.vhosts().iter().any(|vhost| vhost.name == name));
        log::info!("reload success");
        Ok(())
    }
}
