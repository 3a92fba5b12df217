//! Segments that players get while they are written, chunk by chunk.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;

use crate::app::recording::shelf;
use crate::core::clock::Moment;
use crate::core::sync::Condition;

/// Where players find them, by their path below `dash_path`.
pub type Shelf = shelf::Shelf<Rc<Growing>>;

/// A segment that is being written.
#[derive(Default)]
pub struct Growing {
    chunks: RefCell<Vec<Bytes>>,
    end: Cell<Option<End>>,
    grown: Condition,
}

/// How a segment ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It is whole.
    Complete,
    /// It stays a fragment.
    Broken,
}

/// What a reader finds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// The next chunk.
    Chunk(Bytes),
    /// There is none.
    End(End),
}

impl Growing {
    /// The chunk of this index, once it is there, but for `deadline`: the segment counts as broken then. Yields.
    pub fn chunk(&self, index: usize, deadline: Moment) -> Next {
        loop {
            if let Some(chunk) = self.chunks.borrow().get(index) {
                return Next::Chunk(chunk.clone());
            }
            if let Some(end) = self.end.get() {
                return Next::End(end);
            }
            if !self.grown.wait_until(deadline) {
                return Next::End(End::Broken);
            }
        }
    }

    fn push(&self, chunk: Bytes) {
        self.chunks.borrow_mut().push(chunk);
        self.grown.notify_all();
    }

    fn end(&self, end: End) {
        self.end.set(Some(end));
        self.grown.notify_all();
    }
}

/// The writer's side of one; it is broken when this is dropped before it is complete.
pub struct Grower {
    growing: Rc<Growing>,
    shelf: Shelf,
    vhost: String,
    path: String,
}

impl Grower {
    /// A segment that is found at a path of a vhost from now on.
    pub fn new(shelf: &Shelf, vhost: &str, path: String) -> Self {
        let growing = Rc::new(Growing::default());
        shelf.put(vhost, &path, growing.clone());
        Grower {
            growing,
            shelf: shelf.clone(),
            vhost: vhost.to_owned(),
            path,
        }
    }

    /// Adds a chunk.
    pub fn push(&self, chunk: &[u8]) {
        self.growing.push(Bytes::copy_from_slice(chunk));
    }

    /// There are no more chunks, and others find its file from now on.
    pub fn complete(self) {
        self.growing.end(End::Complete);
    }
}

impl Drop for Grower {
    fn drop(&mut self) {
        self.shelf.remove(&self.vhost, &self.path);
        if self.growing.end.get().is_none() {
            self.growing.end(End::Broken);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::coroutine;
    use crate::core::runtime::run;

    #[test]
    fn readers_wait_for_chunks_and_learn_how_it_ends() {
        run(|| {
            let shelf = Shelf::default();
            for ends_well in [true, false] {
                let grower = Grower::new(&shelf, "v", "live/s/video-1.m4s".into());
                let growing = shelf.get("v", "live/s/video-1.m4s").unwrap();
                grower.push(b"one");
                let reader = coroutine::spawn("reader", move || {
                    let deadline = Moment::after(Duration::from_secs(10));
                    (0..3).map(|index| growing.chunk(index, deadline)).collect::<Vec<_>>()
                });
                coroutine::yield_now();
                grower.push(b"two");
                let end = match ends_well {
                    true => {
                        grower.complete();
                        End::Complete
                    }
                    false => {
                        drop(grower);
                        End::Broken
                    }
                };
                let chunk = |text: &'static str| Next::Chunk(Bytes::from(text));
                assert_eq!(reader.join().unwrap(), [chunk("one"), chunk("two"), Next::End(end)]);
                assert_eq!(shelf.count(), 0);
            }
        })
        .unwrap();
    }

    #[test]
    fn a_writer_that_hangs_does_not_hold_readers_for_ever() {
        run(|| {
            let shelf = Shelf::default();
            let _grower = Grower::new(&shelf, "v", "p".into());
            let growing = shelf.get("v", "p").unwrap();
            assert_eq!(growing.chunk(0, Moment::now()), Next::End(End::Broken));
        })
        .unwrap();
    }
}
