//! RTMP connections.

use std::net::SocketAddr;
use std::rc::Rc;
use crate::app::clients::Entry;
use crate::app::server::Server;
use crate::core::tcp::TcpStream;
/// x
pub fn serve(_server: &Rc<Server>, _stream: &Rc<TcpStream>, _peer: SocketAddr, _entry: &Entry) {}
