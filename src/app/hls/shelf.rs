//! What players of low-latency HLS ask for, by vhost and path: it is served from memory, as the disk has it too late.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use bytes::Bytes;

use super::stream::Stream;

/// Something that can be asked for.
#[derive(Clone)]
pub enum Item {
    /// A stream's playlist.
    Playlist(Weak<Stream>),
    /// A part.
    Part(Bytes),
    /// The part that comes next.
    Coming(Weak<Stream>),
}

/// All of it.
#[derive(Clone, Default)]
pub struct Shelf(Rc<RefCell<HashMap<String, Item>>>);

impl Shelf {
    /// What stands at a path of a vhost, both without a slash at the begin.
    pub fn get(&self, vhost: &str, path: &str) -> Option<Item> {
        self.0.borrow().get(&key(vhost, path)).cloned()
    }

    /// How much there is.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Puts something there.
    pub fn put(&self, vhost: &str, path: &str, item: Item) {
        self.0.borrow_mut().insert(key(vhost, path), item);
    }

    /// Takes something away.
    pub fn remove(&self, vhost: &str, path: &str) {
        self.0.borrow_mut().remove(&key(vhost, path));
    }
}

fn key(vhost: &str, path: &str) -> String {
    format!("{vhost}/{path}")
}
