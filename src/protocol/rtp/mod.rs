//! Media in datagrams (RFC 3550): [`packet`] reads RTP, [`rtcp`] the reports beside it, [`reorder`] puts packets in
//! their order, [`payload`] makes access units of them.

pub mod packet;
pub mod payload;
pub mod reorder;
pub mod rtcp;

pub use packet::Packet;
pub use reorder::Reorder;
