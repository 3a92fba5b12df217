//! An RTMP player as its coroutine and its source's courier share it.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::Shutdown;
use std::rc::{Rc, Weak};

use super::courier::{Courier, Deliver};
use super::place::MergedWrite;
use super::rtmp_consumer::{Offered, RtmpConsumer};
use super::source::Source;
use super::waiters::Waiter;
use crate::app::stream::Stream;
use crate::core::clock::Moment;
use crate::core::coroutine::{self, Waker};

/// One player. While its coroutine waits in [`Delivery::wait`], the courier sends; at no other time.
pub struct Delivery {
    consumer: RefCell<RtmpConsumer>,
    stream: Rc<Stream>,
    merged: Cell<MergedWrite>,
    by_courier: Cell<bool>,
    waker: Waker,
    /// The coroutine waits, so the courier may send.
    waits: Cell<bool>,
    /// The courier found something that may wait: the coroutine's turn.
    needs_coroutine: Cell<bool>,
    sent: Cell<u64>,
    /// What the socket did not take when the courier sent.
    rest: RefCell<Vec<u8>>,
}

impl Delivery {
    /// Joins the source for the running coroutine: what comes next is the stream's metadata, its sequence headers and
    /// its newest GOP. Without `by_courier` the coroutine is woken for each batch and sends itself.
    pub fn join(
        source: &Rc<Source>,
        chunk_bytes: usize,
        stream: &Rc<Stream>,
        merged: MergedWrite,
        by_courier: bool,
    ) -> Rc<Self> {
        let delivery = Rc::new_cyclic(|this: &Weak<Delivery>| {
            let waiter = Waiter::with_delivery(this.clone());
            Delivery {
                consumer: RefCell::new(RtmpConsumer::join(source, chunk_bytes, waiter)),
                stream: stream.clone(),
                merged: Cell::new(merged),
                by_courier: Cell::new(by_courier),
                waker: Waker::current(),
                waits: Cell::new(false),
                needs_coroutine: Cell::new(true),
                sent: Cell::new(0),
                rest: RefCell::default(),
            }
        });
        Courier::start(source);
        delivery
    }

    /// Sends in other batches from now on; to be called by the coroutine of [`Delivery::join`].
    pub fn send_as(&self, merged: MergedWrite, by_courier: bool) {
        self.merged.set(merged);
        self.by_courier.set(by_courier);
    }

    /// Messages sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// Messages that were passed over because the player was too slow.
    pub fn dropped(&self) -> u64 {
        self.consumer.borrow().place.dropped()
    }

    /// Milliseconds of media sent, on the player's timeline.
    pub fn sent_ms(&self) -> i64 {
        self.consumer.borrow().place.taken_ms()
    }

    /// Sends what there is, at most `limit` messages, waiting for the socket; gives how many. A new player gets the
    /// stream's headers even while there is no message for it. Yields.
    ///
    /// # Errors
    /// The stream's: the peer left, or took nothing for the write timeout.
    pub fn send(&self, limit: u64) -> io::Result<u64> {
        self.needs_coroutine.set(false);
        let rest = self.rest.take();
        self.stream.write_all(&rest)?;
        let Offered { messages, rest } = self.consumer.borrow_mut().offer(&self.stream, limit)?;
        self.sent.set(self.sent.get() + messages);
        self.stream.write_all(&rest)?;
        Ok(messages)
    }

    /// Whether a batch is due that the courier did not send.
    pub fn is_due(&self) -> bool {
        self.needs_coroutine.get() || self.consumer.borrow().place.is_due(self.merged.get())
    }

    /// Waits while the courier sends: until the peer sent something, there is something that only the coroutine can
    /// do, or `deadline`. Yields.
    pub fn wait(&self, deadline: Moment) {
        if self.is_due() || self.stream.is_readable() {
            return;
        }
        self.consumer.borrow().place.enter(self.merged.get());
        self.stream.watch_readable(Waker::current());
        self.waits.set(true);
        coroutine::park(deadline);
        self.waits.set(false);
        self.stream.forget_reader();
    }
}

impl Deliver for Delivery {
    fn deliver(&self) {
        if !self.waits.get() {
            // It looks for itself before it waits again.
            return;
        }
        let offered = match self.by_courier.get() {
            true => self.consumer.borrow_mut().offer_shared(&self.stream),
            false => Ok(None),
        };
        if let Ok(Some(Offered { messages, rest })) = offered {
            self.sent.set(self.sent.get() + messages);
            if rest.is_empty() {
                return self.consumer.borrow().place.enter(self.merged.get());
            }
            self.rest.replace(rest);
        }
        // An error comes again when the coroutine sends.
        self.needs_coroutine.set(true);
        self.waits.set(false);
        self.waker.wake();
    }

    fn abandon(&self) {
        // Its coroutine sees the end of the connection.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
