//! A vhost that had clients.

use std::cell::Cell;

use super::traffic::Traffic;

/// A vhost's figures.
pub struct Vhost {
    /// Random, new at each start.
    pub id: String,
    /// The name in the configuration.
    pub name: String,
    /// All its clients, those that left too.
    pub traffic: Traffic,
    pub(super) clients: Cell<usize>,
    pub(super) streams: Cell<usize>,
}

impl Vhost {
    pub(super) fn new(name: &str, id: String) -> Self {
        Vhost {
            id,
            name: name.to_owned(),
            traffic: Traffic::new(),
            clients: Cell::new(0),
            streams: Cell::new(0),
        }
    }

    /// How many clients publish or play.
    pub fn clients(&self) -> usize {
        self.clients.get()
    }

    /// How many streams are published.
    pub fn streams(&self) -> usize {
        self.streams.get()
    }
}
