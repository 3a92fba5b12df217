//! What players may have before the disk has it, by vhost and path: it is served from memory.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// All of it.
pub struct Shelf<T>(Rc<RefCell<HashMap<String, T>>>);

impl<T: Clone> Shelf<T> {
    /// What stands at a path of a vhost, both without a slash at the begin.
    pub fn get(&self, vhost: &str, path: &str) -> Option<T> {
        self.0.borrow().get(&key(vhost, path)).cloned()
    }

    /// How much there is.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.0.borrow().len()
    }

    /// Puts something there.
    pub fn put(&self, vhost: &str, path: &str, item: T) {
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

impl<T> Clone for Shelf<T> {
    fn clone(&self) -> Self {
        Shelf(self.0.clone())
    }
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Shelf(Rc::default())
    }
}
