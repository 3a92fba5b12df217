//! A player that takes transport packets: HTTP-TS.

use std::cell::RefCell;
use std::rc::Rc;

use super::place::Place;
use super::source::Source;
use super::ts_view::TsView;

/// Bytes of one batch at most, unless a single message is larger.
const BATCH_BYTES: usize = 128 << 10;

/// One player of one source.
pub struct TsConsumer {
    /// Where it is.
    pub place: Place,
    view: Rc<RefCell<TsView>>,
    /// It has had tables since its place last jumped.
    has_entered: bool,
}

impl TsConsumer {
    /// Joins the source: what comes next is the program's tables and the newest GOP.
    pub fn join(source: &Rc<Source>) -> Self {
        let place = Place::join(source);
        TsConsumer {
            view: source.ts_view(place.next()),
            place,
            has_entered: false,
        }
    }

    /// Appends the next batch to `out`: packets, from tables on where the player begins. Gives how many messages it
    /// took or passed over.
    pub fn take_batch(&mut self, out: &mut Vec<u8>) -> u64 {
        if self.place.jump_if_lost() {
            self.has_entered = false;
        }
        let source = self.place.source().clone();
        let state = source.state();
        let view = self.view.clone();
        let mut view = view.borrow_mut();
        view.extend(&state.journal);
        let next = self.place.next();
        let (from, skip) = match self.has_entered {
            true => (next, 0),
            false => find_entry(&view, next),
        };
        let to = view.encoded.batch_end(from, BATCH_BYTES);
        if to > next {
            self.place.advance(&state, to);
        }
        if to > from {
            self.has_entered = true;
            let begin = out.len();
            view.encoded.copy(from, to, out);
            out.drain(begin..(begin + skip).min(out.len()));
        }
        to - next
    }
}

/// The first message from `from` on that a player may enter at, and how many of its bytes come before the tables; the
/// view's end where there is none.
fn find_entry(view: &TsView, from: u64) -> (u64, usize) {
    let end = view.encoded.end();
    let mut entries = (from..end).filter_map(|number| Some((number, (*view.encoded.mark(number)?)?)));
    entries.next().unwrap_or((end, 0))
}
