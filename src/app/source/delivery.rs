//! An RTMP player as its coroutine holds it: it sends itself, or waits while the courier does.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use super::courier::Courier;
use super::place::MergedWrite;
use super::recipient::Recipient;
use super::rtmp_consumer::{Offered, RtmpConsumer};
use super::source::Source;
use crate::app::stream::Stream;
use crate::core::clock::Moment;
use crate::core::coroutine::{self, Waker};

/// One player. While its coroutine waits in [`Delivery::wait`], the courier sends; at no other time.
pub struct Delivery {
    consumer: RefCell<RtmpConsumer>,
    stream: Rc<Stream>,
    merged: Cell<MergedWrite>,
    by_courier: Cell<bool>,
    recipient: Rc<Recipient>,
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
        let consumer = RtmpConsumer::join(source, chunk_bytes);
        // A batch that is not full goes out when the stream pauses, whoever sends.
        Courier::start(source);
        Rc::new(Delivery {
            consumer: RefCell::new(consumer),
            stream: stream.clone(),
            merged: Cell::new(merged),
            by_courier: Cell::new(by_courier),
            recipient: Rc::new(Recipient::current()),
        })
    }

    /// Sends in other batches from now on; to be called by the coroutine of [`Delivery::join`].
    pub fn send_as(&self, merged: MergedWrite, by_courier: bool) {
        self.merged.set(merged);
        self.by_courier.set(by_courier);
    }

    /// Messages sent so far.
    pub fn sent(&self) -> u64 {
        self.consumer.borrow().place.taken()
    }

    /// How many play the stream.
    pub fn players(&self) -> usize {
        self.consumer.borrow().place.source().consumer_count()
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
        self.stream.write_all(&self.recipient.take_turn())?;
        let Offered { messages, rest } = self.consumer.borrow_mut().offer(&self.stream, limit)?;
        self.stream.write_all(&rest)?;
        Ok(messages)
    }

    /// Whether a batch is due that the courier did not send.
    pub fn is_due(&self) -> bool {
        self.recipient.is_called() || self.consumer.borrow().place.is_due(self.merged.get())
    }

    /// Waits while the courier sends: until the peer sent something, there is something that only the coroutine can
    /// do, or `deadline`. Yields.
    pub fn wait(&self, deadline: Moment) {
        if self.is_due() || self.stream.is_readable() {
            return;
        }
        self.enter();
        self.stream.watch_readable(Waker::current());
        coroutine::park(deadline);
        self.stream.forget_reader();
        self.consumer.borrow().place.unpark();
    }

    fn enter(&self) {
        let consumer = self.consumer.borrow();
        let parked = consumer.parked(&self.stream, self.merged.get(), &self.recipient);
        match parked.filter(|_| self.by_courier.get()) {
            Some(parked) => consumer.place.park(parked),
            None => consumer.place.enter(self.merged.get()),
        }
    }
}
