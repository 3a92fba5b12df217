//! Streams with files that outlive a publication: their numbers go on, and the files are deleted in the end.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use crate::core::clock::Moment;
use crate::protocol::rtmp::url::StreamUrl;

/// How long the numbers of a stream go on at least after its publication.
const KEPT: Duration = Duration::from_secs(120);

/// When a stream had media.
#[derive(Debug)]
pub struct Life {
    is_live: Cell<bool>,
    last_data: Cell<Moment>,
}

impl Default for Life {
    fn default() -> Self {
        Life {
            is_live: Cell::new(false),
            last_data: Cell::new(Moment::now()),
        }
    }
}

impl Life {
    /// Whether a publication writes it.
    pub fn is_live(&self) -> bool {
        self.is_live.get()
    }

    /// A publication begins, or ends.
    pub fn set_live(&self, is_live: bool) {
        self.is_live.set(is_live);
        self.touch();
    }

    /// Notes that media came.
    pub fn touch(&self) {
        self.last_data.set(Moment::now());
    }

    fn silence(&self, now: Moment) -> Duration {
        now.since(self.last_data.get())
    }
}

/// A stream of a [`Table`].
pub trait Lasting {
    /// When it had media.
    fn life(&self) -> &Life;

    /// Its files are deleted after silence of this length; zero is never.
    fn dispose_after(&self) -> Duration;
}

/// Streams by their URL.
pub struct Table<S>(RefCell<HashMap<String, Rc<S>>>);

impl<S> Default for Table<S> {
    fn default() -> Self {
        Table(RefCell::default())
    }
}

impl<S: Lasting> Table<S> {
    /// A stream that was written before.
    pub fn get(&self, url: &StreamUrl) -> Option<Rc<S>> {
        self.get_by_key(&url.stream_url())
    }

    /// The same by the stream's key.
    pub fn get_by_key(&self, key: &str) -> Option<Rc<S>> {
        self.0.borrow().get(key).cloned()
    }

    /// The same, or one that is made now.
    pub fn get_or_insert(&self, url: &StreamUrl, make: impl FnOnce() -> Rc<S>) -> Rc<S> {
        self.0.borrow_mut().entry(url.stream_url()).or_insert_with(make).clone()
    }

    /// Those whose files are to be deleted, as they were silent for so long. They leave the table, but for one that is
    /// published without giving media, which keeps its numbers.
    pub fn take_idle(&self, now: Moment) -> Vec<Rc<S>> {
        let idle = self.take_if(|stream| {
            let dispose = stream.dispose_after();
            !dispose.is_zero() && stream.life().silence(now) >= dispose
        });
        // The files of these stay, but their numbers may begin anew.
        self.take_if(|stream| {
            !stream.life().is_live() && stream.life().silence(now) >= KEPT.max(stream.dispose_after())
        });
        idle
    }

    /// Takes a stream out that is not written now; its files stay.
    pub fn take(&self, key: &str) -> Option<Rc<S>> {
        let mut streams = self.0.borrow_mut();
        let is_live = streams.get(key).is_none_or(|stream| stream.life().is_live());
        if is_live { None } else { streams.remove(key) }
    }

    /// Whether a stream is written now.
    pub fn is_live(&self, key: &str) -> bool {
        self.0.borrow().get(key).is_some_and(|stream| stream.life().is_live())
    }

    /// All whose files are deleted some day.
    pub fn take_disposable(&self) -> Vec<Rc<S>> {
        self.take_if(|stream| !stream.dispose_after().is_zero())
    }

    fn take_if(&self, wanted: impl Fn(&S) -> bool) -> Vec<Rc<S>> {
        let mut streams = self.0.borrow_mut();
        let found: Vec<_> = streams.values().filter(|stream| wanted(stream)).cloned().collect();
        streams.retain(|_, stream| stream.life().is_live() || !wanted(stream));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::runtime::run;

    struct Stream(Life, Duration);

    impl Lasting for Stream {
        fn life(&self) -> &Life {
            &self.0
        }

        fn dispose_after(&self) -> Duration {
            self.1
        }
    }

    #[test]
    fn silent_streams_leave_and_live_ones_keep_their_numbers() {
        run(|| {
            let table = Table::default();
            let put = |name: &str, dispose, is_live| {
                let url = StreamUrl::parse("rtmp://h/live", name).unwrap();
                let life = Life::default();
                life.set_live(is_live);
                table.get_or_insert(&url, || Rc::new(Stream(life, Duration::from_secs(dispose))));
                url
            };
            let urls = [
                put("patient", 30, false),
                put("idle", 10, false),
                put("idle and live", 10, true),
                put("kept", 0, false),
            ];
            let there = || urls.each_ref().map(|url| table.get(url).is_some());
            assert_eq!(table.take_idle(Moment::after(Duration::from_secs(20))).len(), 2);
            assert_eq!(there(), [true, false, true, true]);
            assert!(table.take(&urls[2].stream_url()).is_none(), "it is written now");
            assert_eq!(table.take_disposable().len(), 2);
            assert_eq!(there(), [false, false, true, true]);
            assert_eq!(table.take_idle(Moment::after(KEPT)).len(), 1);
            assert_eq!(there(), [false, false, true, false]);
            let url = put("elsewhere", 10, false);
            assert!(table.is_live(&urls[2].stream_url()) && !table.is_live(&url.stream_url()));
            assert!(table.take(&url.stream_url()).is_some() && table.get(&url).is_none());
        })
        .unwrap();
    }
}
