//! Casters: what turns pushes of other protocols into RTMP streams.

use std::net::SocketAddr;

use crate::app::config::Endpoint;
use crate::app::config::diagnostic::Fault;
use crate::app::config::scope::Scope;
use crate::app::config::syntax::Directive;
use crate::kernel::error::{Error, Result};
use crate::kernel::error_code::ErrorCode;

/// A `stream_caster` block that is enabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caster {
    /// What it takes.
    pub kind: CasterKind,
    /// `output`: the template of the RTMP URL.
    pub output: String,
    /// Where it listens.
    pub listen: Endpoint,
    /// `interface`: where a multicast group is joined; empty is the system's choice.
    pub interface: String,
    /// `rtp_port_min` and `rtp_port_max`: for RTP over UDP; none if the system chooses.
    pub rtp_ports: Option<(u16, u16)>,
}

/// What a caster takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CasterKind {
    /// MPEG-TS over UDP.
    MpegtsOverUdp,
    /// FLV, posted over HTTP.
    Flv,
    /// RTSP ANNOUNCE and RECORD.
    Rtsp,
    /// Cameras of GB/T 28181, which is not built yet.
    Gb28181,
}

impl CasterKind {
    /// The kinds that can run, for hints.
    const KNOWN: &str = "mpegts_over_udp, flv and rtsp";

    fn parse(name: &str) -> Option<Self> {
        match name {
            "mpegts_over_udp" => Some(CasterKind::MpegtsOverUdp),
            "flv" => Some(CasterKind::Flv),
            "rtsp" => Some(CasterKind::Rtsp),
            "gb28181" => Some(CasterKind::Gb28181),
            _ => None,
        }
    }

    /// As the configuration says it.
    pub fn name(self) -> &'static str {
        match self {
            CasterKind::MpegtsOverUdp => "mpegts_over_udp",
            CasterKind::Flv => "flv",
            CasterKind::Rtsp => "rtsp",
            CasterKind::Gb28181 => "gb28181",
        }
    }

    /// Whether it listens at a UDP port.
    pub fn is_udp(self) -> bool {
        self == CasterKind::MpegtsOverUdp
    }
}

impl Caster {
    /// The address to listen at.
    ///
    /// # Errors
    /// [`ErrorCode::CasterPort`] for a port above 65535.
    pub fn address(&self) -> Result<SocketAddr> {
        self.listen
            .socket_addr()
            .map_err(|error| Error::new(ErrorCode::CasterPort, format!("stream_caster: {}", error.message())))
    }
}

/// The blocks that are enabled, in the order of the file.
pub(crate) fn read(root: &Scope<'_>) -> Vec<Caster> {
    let casters = enabled(root).filter_map(|(_, scope)| {
        let ports = [scope.size("rtp_port_min"), scope.size("rtp_port_max")].map(u16::try_from);
        Some(Caster {
            // The check has refused what is not known.
            kind: CasterKind::parse(&scope.text("caster"))?,
            output: scope.text("output"),
            listen: Endpoint::parse(&scope.text("listen")).ok()?,
            interface: scope.text("interface"),
            rtp_ports: match ports {
                [Ok(min), Ok(max)] if min > 0 && max > min => Some((min, max)),
                _ => None,
            },
        })
    });
    casters.collect()
}

/// Refuses a caster that could not run.
///
/// # Errors
/// The first fault.
pub(crate) fn check(root: &Scope<'_>) -> std::result::Result<(), Fault> {
    let mut taken: Vec<(bool, Endpoint)> = Vec::new();
    for (block, scope) in enabled(root) {
        let kind = check_kind(block, &scope)?;
        let endpoint = check_listen(block, &scope)?;
        check_output(block, &scope)?;
        check_ports(block, &scope, kind)?;
        if taken.contains(&(kind.is_udp(), endpoint)) {
            let message = format!("a second stream_caster listens at {endpoint}");
            return Err(fault(block, &scope, "listen", message));
        }
        taken.push((kind.is_udp(), endpoint));
    }
    Ok(())
}

fn enabled<'a>(root: &Scope<'a>) -> impl Iterator<Item = (&'a Directive, Scope<'a>)> {
    let casters: Vec<&Directive> = root.every("stream_caster").collect();
    let scopes = casters
        .into_iter()
        .map(|block| (block, root.inside("stream_caster", block.children())));
    scopes
        .filter(|(_, scope)| scope.flag("enabled"))
        .collect::<Vec<_>>()
        .into_iter()
}

fn check_kind(block: &Directive, scope: &Scope<'_>) -> std::result::Result<CasterKind, Fault> {
    let name = scope.text("caster");
    CasterKind::parse(&name).ok_or_else(|| {
        let message = match name.is_empty() {
            true => "stream_caster without \"caster\"".to_owned(),
            false => format!("unknown caster \"{name}\""),
        };
        fault(block, scope, "caster", message).with_hint(format!("casters are {}", CasterKind::KNOWN))
    })
}

fn check_listen(block: &Directive, scope: &Scope<'_>) -> std::result::Result<Endpoint, Fault> {
    let text = scope.text("listen");
    let refused = |cause: String| {
        let message = format!("illegal stream_caster.listen \"{text}\": {cause}");
        fault(block, scope, "listen", message).with_hint("write PORT, IP:PORT or [IPV6]:PORT")
    };
    let endpoint = Endpoint::parse(&text).map_err(refused)?;
    match endpoint.port {
        ..=65_535 => Ok(endpoint),
        _ => Err(refused("the port is above 65535".to_owned())),
    }
}

fn check_output(block: &Directive, scope: &Scope<'_>) -> std::result::Result<(), Fault> {
    let output = scope.text("output");
    if output.starts_with("rtmp://") || output.starts_with("rtmps://") {
        return Ok(());
    }
    let message = format!("illegal stream_caster.output \"{output}\": no RTMP URL");
    let hint = "write rtmp://127.0.0.1/live/livestream, or with [app] and [stream]";
    Err(fault(block, scope, "output", message).with_hint(hint))
}

fn check_ports(block: &Directive, scope: &Scope<'_>, kind: CasterKind) -> std::result::Result<(), Fault> {
    let (min, max) = (scope.integer("rtp_port_min"), scope.integer("rtp_port_max"));
    if kind != CasterKind::Rtsp || (min, max) == (0, 0) || (min > 0 && min < max && max <= 65_535) {
        return Ok(());
    }
    let message = format!("illegal range of RTP ports, {min} to {max}");
    let culprit = if scope.given("rtp_port_min").is_some() {
        "rtp_port_min"
    } else {
        "rtp_port_max"
    };
    Err(fault(block, scope, culprit, message).with_hint("both are above 0, or neither is given"))
}

/// At the directive, else at the block.
fn fault(block: &Directive, scope: &Scope<'_>, name: &str, message: String) -> Fault {
    let place = scope
        .given(name)
        .map_or_else(|| block.name.place.clone(), |given| given.place);
    Fault::at(&place, message)
}
