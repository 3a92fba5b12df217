//! Views: the journal encoded for those who play, each message once, whatever the number of players.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use super::audio_view::AudioView;
use super::encoded::Encoded;
use super::flv_view::FlvView;
use super::journal::{Entry, Journal};
use super::mp4_view::Mp4View;
use super::parcel::{PARCEL_BYTES, Packer, Parcel, Terms};
use super::place::Place;
use super::rtmp_view::RtmpView;
use super::source::State;
use super::ts_view::TsView;

/// The journal in one encoding, from some message on.
pub trait View: Sized {
    /// What tells apart views of this kind; players of one key share one view.
    type Key: Copy + PartialEq;
    /// What is remembered of each message.
    type Mark;

    /// An empty view that begins with message `first`; what came before is in the state.
    fn begin(key: Self::Key, first: u64, state: &State) -> Self;

    /// Its key.
    fn key(&self) -> Self::Key;

    /// The messages as players get them.
    fn encoded(&self) -> &Encoded<Self::Mark>;

    /// The same, to be changed.
    fn encoded_mut(&mut self) -> &mut Encoded<Self::Mark>;

    /// Where a source keeps its views of this kind.
    fn list(views: &Views) -> &ViewList<Self>;
}

/// A view whose batches are put together for one player at a time: all but RTMP.
pub trait Batches: View {
    /// What is kept for each player.
    type Player;

    /// Encodes the journal's next message.
    fn append(&mut self, entry: &Entry);

    /// Encodes what the journal has got since the last call.
    fn extend(&mut self, journal: &Journal) {
        if self.encoded().end() < journal.first() {
            // Nobody followed for so long that messages are gone.
            *self.encoded_mut() = Encoded::new(journal.first());
        }
        for (_, entry) in journal.from(self.encoded().end()) {
            self.append(entry);
        }
    }

    /// The player lost messages: its place jumped to a keyframe.
    fn jump(_player: &mut Self::Player, _place: &Place) {}

    /// The first message from `next` on that the player gets; those before are passed over.
    fn enter(&self, _player: &mut Self::Player, next: u64) -> u64 {
        next
    }

    /// Where a batch ends at the latest, besides its size.
    fn stop(&self, _player: &Self::Player, _from: u64) -> u64 {
        u64::MAX
    }

    /// Appends messages `batch.from..batch.to`, and what must stand before them, to `out`.
    fn write(&self, player: &mut Self::Player, place: &mut Place, batch: &Batch<'_>, out: &mut Vec<u8>);

    /// What a player's bytes depend on where they are the same for all who stand at its message; none while they are its
    /// own.
    fn terms(_player: &Self::Player, _place: &Place) -> Option<Terms> {
        None
    }

    /// Puts messages `parcel.from..parcel.to` into a parcel for players of its terms.
    fn fill(&self, parcel: &mut Parcel) {
        self.encoded().copy(parcel.from, parcel.to, &mut parcel.bytes);
    }

    /// Appends what is held back until more comes, where the stream ends.
    fn finish(&self, _player: &Self::Player, _out: &mut Vec<u8>) {}
}

impl<V: Batches> Packer for RefCell<V> {
    fn pack(&self, state: &State, parcel: &mut Parcel) -> bool {
        let mut view = self.borrow_mut();
        view.extend(&state.journal);
        parcel.to = view.encoded().batch_end(parcel.from, PARCEL_BYTES).min(parcel.limit);
        view.fill(parcel);
        true
    }
}

/// What one player is sent next.
pub struct Batch<'s> {
    /// The source's.
    pub state: &'s State,
    /// The first message.
    pub from: u64,
    /// Behind the last one; may equal `from`.
    pub to: u64,
    /// The source's clock at the player's time 0; none while the player has had no message.
    pub base: Option<i64>,
}

/// The views of one source.
#[derive(Default)]
pub struct Views {
    pub(super) rtmp: ViewList<RtmpView>,
    pub(super) flv: ViewList<FlvView>,
    pub(super) ts: ViewList<TsView>,
    pub(super) audio: ViewList<AudioView>,
    pub(super) mp4: ViewList<Mp4View>,
}

impl Views {
    /// Forgets all before message `keep`.
    pub fn trim(&self, keep: u64) {
        self.rtmp.trim(keep);
        self.flv.trim(keep);
        self.ts.trim(keep);
        self.audio.trim(keep);
        self.mp4.trim(keep);
    }
}

/// Views of one kind; each lives as long as somebody plays it.
pub struct ViewList<V>(RefCell<Vec<Weak<RefCell<V>>>>);

impl<V> Default for ViewList<V> {
    fn default() -> Self {
        ViewList(RefCell::default())
    }
}

impl<V: View> ViewList<V> {
    /// The view of this key that still has message `start`, made if there is none.
    pub fn find_or_begin(&self, key: V::Key, start: u64, state: &State) -> Rc<RefCell<V>> {
        let mut views = self.0.borrow_mut();
        views.retain(|view| view.strong_count() > 0);
        let fits = |view: &V| view.key() == key && view.encoded().first() <= start;
        if let Some(view) = views.iter().filter_map(Weak::upgrade).find(|view| fits(&view.borrow())) {
            return view;
        }
        let view = Rc::new(RefCell::new(V::begin(key, start, state)));
        views.push(Rc::downgrade(&view));
        view
    }

    fn trim(&self, keep: u64) {
        for view in self.0.borrow().iter().filter_map(Weak::upgrade) {
            view.borrow_mut().encoded_mut().trim(keep);
        }
    }
}
