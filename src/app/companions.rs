//! What goes along with a publication: recorders, forwards, child processes; and how a reload changes that while it lasts.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use super::config::Config;
use super::dvr::Enrolled;
use super::ffmpeg::Attended;
use super::forward::{self, Forwarding};
use super::recording::{self, Publisher, Recorders};
use super::server::Server;
use crate::kernel::error::Result;

/// What goes along with all publications of the server.
#[derive(Default)]
pub struct Retinue {
    /// By number, so that a reload meets the oldest publication first.
    live: RefCell<BTreeMap<u64, Rc<Company>>>,
    last: Cell<u64>,
}

/// What goes along with one of them.
struct Company {
    publisher: RefCell<Publisher>,
    /// Taken out while they are changed, and for good at the publication's end.
    parts: RefCell<Option<Parts>>,
    has_ended: Cell<bool>,
}

struct Parts {
    recorders: Recorders,
    forwarding: Forwarding,
    _enrolled: Enrolled,
    _attended: Option<Attended>,
}

/// All of it; it ends when this is dropped.
pub struct Companions {
    server: Weak<Server>,
    number: u64,
}

impl Drop for Companions {
    fn drop(&mut self) {
        let Some(server) = self.server.upgrade() else { return };
        let company = server.retinue.live.borrow_mut().remove(&self.number);
        if let Some(company) = company {
            company.has_ended.set(true);
            let ended = company.parts.take();
            drop(ended);
        }
    }
}

/// Starts what the vhost's settings ask for. To be called for a publication before its first message; the result is to be
/// dropped when it ends. Yields.
///
/// # Errors
/// The publication is to be refused with them: those of [`forward::urls`], [`recording::begin`],
/// [`super::dvr::DvrStreams::enroll`] and [`super::ffmpeg::Children::attend`].
pub fn begin(publisher: &Publisher) -> Result<Option<Companions>> {
    let Some(server) = publisher.server.upgrade() else {
        return Ok(None);
    };
    // This may refuse it, and then there shall be no files.
    let urls = forward::urls(&server, publisher)?;
    let parts = Parts {
        recorders: recording::begin(&server, publisher)?,
        _enrolled: server.dvr.enroll(publisher)?,
        _attended: server.children.attend(publisher)?,
        forwarding: forward::start(&server, publisher, urls),
    };
    let company = Rc::new(Company {
        publisher: RefCell::new(publisher.clone()),
        parts: RefCell::new(Some(parts)),
        has_ended: Cell::new(false),
    });
    // A reload may have come while they began.
    company.apply(&server, &server.config());
    let retinue = &server.retinue;
    let number = retinue.last.get() + 1;
    retinue.last.set(number);
    retinue.live.borrow_mut().insert(number, company);
    Ok(Some(Companions {
        server: publisher.server.clone(),
        number,
    }))
}

impl Retinue {
    /// Starts, changes and ends what goes along with the running publications, as the configuration asks for. Child
    /// processes are [`super::ffmpeg::Children::apply`]'s matter. Yields.
    pub fn apply(&self, server: &Rc<Server>, config: &Config) {
        let live: Vec<_> = self.live.borrow().values().cloned().collect();
        for company in live {
            company.apply(server, config);
        }
    }
}

impl Company {
    fn apply(&self, server: &Rc<Server>, config: &Config) {
        let mut publisher = self.publisher.borrow().clone();
        let Some(vhost) = config.vhost_named(&publisher.vhost.name) else {
            return;
        };
        let old = std::mem::replace(&mut publisher.vhost, vhost);
        if Rc::ptr_eq(&old, &publisher.vhost) || self.has_ended.get() {
            return;
        }
        self.publisher.replace(publisher.clone());
        let Some(mut parts) = self.parts.take() else { return };
        parts.recorders.apply(server, &old, &publisher);
        server.dvr.apply(&old, &publisher);
        parts.forwarding.apply(server, &old, &publisher);
        if !self.has_ended.get() {
            self.parts.replace(Some(parts));
        }
    }
}
