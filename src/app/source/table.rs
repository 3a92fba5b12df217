//! The source table: streams by their URL key.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use super::source::Source;
use crate::app::config::section::vhost::Vhost;
use crate::core::clock::Moment;

/// How long a stream that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(3);

/// All streams of the server.
#[derive(Debug, Default)]
pub struct SourceTable {
    sources: RefCell<HashMap<String, Rc<Source>>>,
}

impl SourceTable {
    /// The stream of this key, made if there is none. Publisher and players thus always share one object.
    pub fn fetch_or_create(&self, url: &str, vhost: &Vhost) -> Rc<Source> {
        let mut sources = self.sources.borrow_mut();
        if let Some(source) = sources.get(url) {
            return source.clone();
        }
        let source = Source::new(url.to_owned(), vhost.name.clone(), Rc::new(vhost.play.clone()));
        source.keep_sound(vhost.http_remux.kept_sound());
        sources.insert(url.to_owned(), source.clone());
        source
    }

    /// The stream of this key.
    pub fn get(&self, url: &str) -> Option<Rc<Source>> {
        self.sources.borrow().get(url).cloned()
    }

    /// How many streams there are, idle ones included.
    pub fn len(&self) -> usize {
        self.sources.borrow().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets streams that nobody has used for three seconds; gives how many.
    pub fn remove_idle(&self) -> usize {
        let now = Moment::now();
        let mut sources = self.sources.borrow_mut();
        let before = sources.len();
        sources.retain(|_, source| {
            // Somebody may hold a source that is about to be used: a hook is asked first.
            let held = Rc::strong_count(source) > 1;
            held || source.idle_since().is_none_or(|since| now.since(since) < IDLE)
        });
        before - sources.len()
    }

    /// Calls `visit` for each stream.
    pub fn for_each(&self, mut visit: impl FnMut(&Rc<Source>)) {
        // A copy, so that `visit` may use the table.
        let sources: Vec<_> = self.sources.borrow().values().cloned().collect();
        sources.iter().for_each(&mut visit);
    }
}
