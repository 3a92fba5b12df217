//! Who is connected: one entry for each client, for the connection limit, statistics, kick-off and the graceful quit.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, Shutdown};
use std::rc::Rc;

use crate::app::stream::Stream;
use crate::core::clock::Moment;
use crate::core::coroutine::Waker;
use crate::core::id::ContextId;
use crate::core::sync::{Member, WaitGroup};
use crate::kernel::log::trace;

/// One connected client.
pub struct Client {
    /// The context id of its connection.
    pub id: ContextId,
    /// The peer's address, or the one that a proxy in front told.
    pub ip: Cell<IpAddr>,
    /// When it connected.
    pub since: Moment,
    stream: Rc<Stream>,
    waker: RefCell<Option<Waker>>,
}

impl Client {
    /// The running coroutine serves it; to be called once it does.
    pub fn attend(&self) {
        self.waker.replace(Some(Waker::current()));
    }

    /// Has its coroutine look around: the settings have changed.
    pub fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake();
        }
    }

    /// Ends the connection; its coroutine notices at its next read or write.
    pub fn kick(&self) {
        // An error means that it is closed already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// All clients of the server.
#[derive(Default)]
pub struct ClientTable {
    clients: RefCell<HashMap<ContextId, Rc<Client>>>,
    group: WaitGroup,
}

impl ClientTable {
    /// Enters a client until the result is dropped.
    pub fn enter(self: &Rc<Self>, id: ContextId, ip: IpAddr, stream: &Rc<Stream>) -> Entry {
        let client = Rc::new(Client {
            id,
            ip: Cell::new(ip),
            since: Moment::now(),
            stream: stream.clone(),
            waker: RefCell::default(),
        });
        self.clients.borrow_mut().insert(id, client.clone());
        Entry {
            table: self.clone(),
            client,
            _member: self.group.enter(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.clients.borrow().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The client with this id.
    pub fn get(&self, id: ContextId) -> Option<Rc<Client>> {
        self.clients.borrow().get(&id).cloned()
    }

    /// Has the coroutines of all look around; see [`Client::wake`].
    pub fn wake_all(&self) {
        self.clients.borrow().values().for_each(|client| client.wake());
    }

    /// Ends all connections; see [`Client::kick`].
    pub fn kick_all(&self) {
        self.clients.borrow().values().for_each(|client| client.kick());
    }

    /// Waits until the last client has left, or `deadline`; gives whether it has. Yields.
    pub fn wait_empty(&self, deadline: Moment) -> bool {
        self.group.wait_until(deadline)
    }
}

/// A client's entry; dropping it takes the client out.
pub struct Entry {
    table: Rc<ClientTable>,
    /// The client.
    pub client: Rc<Client>,
    _member: Member,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.table.clients.borrow_mut().remove(&self.client.id);
        trace::untrace(self.client.id);
    }
}
