//! How a client that stays learns of new settings.

use std::rc::Rc;

use crate::app::config::Config;
use crate::app::config::section::vhost::Vhost;
use crate::app::server::Server;

/// The settings of a client's vhost over reloads.
pub struct Followed {
    server: Rc<Server>,
    vhost: String,
    generation: u64,
}

impl Followed {
    /// From the settings that are in force now.
    pub fn new(server: &Rc<Server>, vhost: &str) -> Self {
        Followed {
            server: server.clone(),
            vhost: vhost.to_owned(),
            generation: server.reloading.generation(),
        }
    }

    /// The settings if there was a reload since the last look. `None` also when the vhost is gone: then the client is
    /// being ended.
    pub fn changed(&mut self) -> Option<(Rc<Config>, Rc<Vhost>)> {
        let generation = self.server.reloading.generation();
        if std::mem::replace(&mut self.generation, generation) == generation {
            return None;
        }
        let config = self.server.config();
        let vhost = config.vhost_named(&self.vhost)?;
        Some((config, vhost))
    }
}
