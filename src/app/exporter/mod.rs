//! The exporter: metrics for Prometheus, at the HTTP API and on a port of its own. See `docs/metrics.md`.

mod cluster;
mod metrics;
mod text;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::config::Config;
use super::config::section::exporter::Exporter as Settings;
use super::http::conn;
use super::listener::{Listener, overlaps};
use super::server::{Door, Server};
use crate::core::coroutine;
use crate::core::mini_http::{Answer, MiniHttp};
use crate::kernel::error::{Error, IoWrap, Result};
use crate::kernel::error_code::ErrorCode;

/// The path of the metrics, on each port.
pub const PATH: &str = "/metrics";

/// How often the own port is looked after.
const LOOK: Duration = Duration::from_secs(1);

/// The exporter's part of the server.
pub struct Exporter {
    settings: RefCell<Rc<Settings>>,
    port: RefCell<Option<Port>>,
    /// The number of the last port.
    last: Cell<u64>,
}

struct Port {
    address: SocketAddr,
    number: u64,
    serving: Serving,
}

/// Who answers.
enum Serving {
    Alone(MiniHttp),
    /// A worker asks the others before it answers.
    Together {
        _listener: Listener,
    },
}

impl Exporter {
    /// An exporter that does not listen yet.
    pub fn new(settings: Settings) -> Self {
        Exporter {
            settings: RefCell::new(Rc::new(settings)),
            port: RefCell::default(),
            last: Cell::new(0),
        }
    }

    /// Whether there are metrics.
    pub fn is_enabled(&self) -> bool {
        self.settings.borrow().enabled
    }

    /// Listens no more.
    pub fn close(&self) {
        self.port.take();
    }
}

/// All metrics of the server, as the text that Prometheus reads.
pub fn page(server: &Server) -> Vec<u8> {
    let settings = server.exporter.settings.borrow().clone();
    metrics::write(server, &settings)
}

/// Opens the own port if the exporter is enabled. Nothing else of this server may listen there.
///
/// # Errors
/// [`ErrorCode::SocketBind`].
pub fn open(server: &Rc<Server>) -> Result<()> {
    prepare(server, &server.config()).map(|opening| opening.take_over(server))
}

/// What the exporter becomes by a configuration.
pub struct Opening {
    settings: Rc<Settings>,
    /// A port that is to take the place of the one there is.
    port: Option<(SocketAddr, Serving)>,
}

/// Opens the port that a configuration asks for, if it is another one than there is.
///
/// # Errors
/// [`ErrorCode::SocketBind`].
pub fn prepare(server: &Rc<Server>, config: &Config) -> Result<Opening> {
    let settings = Rc::new(config.exporter.clone());
    if !settings.enabled {
        return Ok(Opening { settings, port: None });
    }
    let address = settings.socket_addr()?;
    // The system would let both listen, and give each some of the clients.
    if let Some(other) = config
        .tcp_addresses()?
        .into_iter()
        .find(|other| overlaps(*other, address))
    {
        let text = format!("exporter.listen {address}: this server listens at {other} already");
        return Err(Error::new(ErrorCode::SocketBind, text));
    }
    let is_open = matches!(&*server.exporter.port.borrow(), Some(port) if port.address == address);
    let port = match is_open {
        true => None,
        false if server.workers.are_several() => {
            let accepting = server.clone();
            let door = Door::plain("exporter", conn::serve_metrics);
            let accept = move |socket, peer| accepting.admit(door, socket, peer);
            let _listener = Listener::open("Exporter", address, accept)?;
            Some((address, Serving::Together { _listener }))
        }
        false => Some((address, Serving::Alone(listen(server, address)?))),
    };
    Ok(Opening { settings, port })
}

impl Opening {
    /// Makes it so.
    pub fn take_over(self, server: &Rc<Server>) {
        let exporter = &server.exporter;
        if !self.settings.enabled {
            exporter.close();
        }
        exporter.settings.replace(self.settings);
        let Some((address, serving)) = self.port else { return };
        let is_alone = matches!(serving, Serving::Alone(_));
        let number = exporter.last.get() + 1;
        exporter.last.set(number);
        exporter.port.replace(Some(Port {
            address,
            number,
            serving,
        }));
        if !is_alone {
            return;
        }
        log::info!("Exporter listen at tcp://{address}");
        let server = server.clone();
        coroutine::spawn("exporter", move || look_after(&server, number));
    }
}

fn listen(server: &Rc<Server>, address: SocketAddr) -> Result<MiniHttp> {
    let answering = Rc::downgrade(server);
    let answer = move |_: &str, target: &str| match answering.upgrade() {
        Some(server) if target.split('?').next() == Some(PATH) => Answer::Text(page(&server)),
        _ => Answer::NotFound,
    };
    MiniHttp::start(address, answer).io_wrap(ErrorCode::SocketBind, || format!("exporter listen at tcp://{address}"))
}

/// Opens the port anew when it has failed; ends when it is closed or another one has its place.
fn look_after(server: &Rc<Server>, number: u64) {
    loop {
        coroutine::sleep(LOOK);
        let (address, is_running) = match &*server.exporter.port.borrow() {
            Some(Port {
                address,
                number: present,
                serving: Serving::Alone(port),
            }) if *present == number => (*address, port.is_running()),
            _ => return,
        };
        if is_running {
            continue;
        }
        log::warn!("exporter failed to accept, it listens at {address} again");
        match listen(server, address) {
            Ok(port) => {
                if let Some(failed) = &mut *server.exporter.port.borrow_mut() {
                    failed.serving = Serving::Alone(port);
                }
            }
            // The failed one is still there, so it is tried again.
            Err(error) => log::warn!("{}", error.summary()),
        }
    }
}
