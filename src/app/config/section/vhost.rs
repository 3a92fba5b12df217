//! A virtual host: the settings of the streams under one name.

use std::rc::Rc;

use super::bandcheck::Bandcheck;
use super::cluster::Cluster;
use super::dash::Dash;
use super::dvr::Dvr;
use super::exec::Exec;
use super::forward::Forward;
use super::hds::Hds;
use super::hls::Hls;
use super::http_hooks::HttpHooks;
use super::http_remux::HttpRemux;
use super::http_static::HttpStatic;
use super::ingest::Ingest;
use super::play::Play;
use super::publish::Publish;
use super::refer::Refer;
use super::security::Security;
use super::token::Token;
use super::transcode::Transcode;
use crate::app::config::diagnostic::Fault;
use crate::app::config::scope::Scope;
use crate::app::config::syntax::ReadFile;
use crate::core::limits;

/// The vhost that serves names which have none of their own.
pub const DEFAULT_VHOST: &str = "__defaultVhost__";

/// One `vhost` block.
#[derive(Clone, Debug, PartialEq)]
pub struct Vhost {
    /// The block's argument.
    pub name: String,
    /// Whether clients are accepted.
    pub enabled: bool,
    /// The size of RTMP chunks that we send, bytes, from 128; the global one unless set here.
    pub chunk_size: u32,
    /// Whether each message is delivered at once instead of in batches. WebRTC sessions do so by default, which is
    /// theirs to see: this is the setting for RTMP and HTTP players.
    pub min_latency: bool,
    /// Whether players' sockets get TCP_NODELAY.
    pub tcp_nodelay: bool,
    /// Received bytes after which we acknowledge them, unless the peer says otherwise; 0 waits for the peer.
    pub in_ack_size: u32,
    /// The window that we tell the peer to acknowledge our bytes by; 0 does not tell.
    pub out_ack_size: u32,
    /// Where streams come from.
    pub cluster: Rc<Cluster>,
    /// What players get.
    pub play: Play,
    /// What publishers must do.
    pub publish: Publish,
    /// Who may, by web page.
    pub refer: Refer,
    /// Who may, by address.
    pub security: Security,
    /// Who may, by token.
    pub token: Token,
    /// Who is called when clients come and go.
    pub http_hooks: HttpHooks,
    /// Bandwidth tests in place of streams.
    pub bandcheck: Bandcheck,
    /// Other servers that get the streams.
    pub forward: Rc<Forward>,
    /// Files that are served over HTTP.
    pub http_static: HttpStatic,
    /// Live streams that are served over HTTP.
    pub http_remux: HttpRemux,
    /// Streams as DASH files.
    pub dash: Rc<Dash>,
    /// Streams as HDS files.
    pub hds: Rc<Hds>,
    /// Streams as HLS files.
    pub hls: Rc<Hls>,
    /// Streams as recorded files.
    pub dvr: Rc<Dvr>,
    /// Streams and files that are pulled in.
    pub ingests: Vec<Ingest>,
    /// Streams that are coded again.
    pub transcode: Option<Transcode>,
    /// Commands that run while a stream is published.
    pub exec: Exec,
}

impl Vhost {
    /// Reads a `vhost` block; `chunk_size` is the global one.
    ///
    /// # Errors
    /// Those of [`Token::read`].
    pub(crate) fn read(name: &str, vhost: &Scope<'_>, chunk_size: u32, read_file: ReadFile<'_>) -> Result<Self, Fault> {
        let min_latency = vhost.flag("min_latency");
        Ok(Vhost {
            name: name.to_owned(),
            enabled: vhost.flag("enabled"),
            chunk_size: match vhost.given("chunk_size") {
                Some(_) => read_chunk_size(vhost),
                None => chunk_size,
            },
            min_latency,
            tcp_nodelay: vhost.flag("tcp_nodelay"),
            in_ack_size: vhost.size("in_ack_size"),
            out_ack_size: vhost.size("out_ack_size"),
            cluster: Rc::new(Cluster::read(&vhost.section("cluster"))),
            play: Play::read(&vhost.section("play"), min_latency),
            publish: Publish::read(&vhost.section("publish")),
            refer: Refer::read(&vhost.section("refer")),
            security: Security::read(&vhost.section("security")),
            token: Token::read(&vhost.section("token"), read_file)?,
            http_hooks: HttpHooks::read(&vhost.section("http_hooks")),
            bandcheck: Bandcheck::read(&vhost.section("bandcheck")),
            forward: Rc::new(Forward::read(&vhost.section("forward"))),
            http_static: HttpStatic::read(name, &vhost.section("http_static")),
            http_remux: HttpRemux::read(&vhost.section("http_remux")),
            dash: Rc::new(Dash::read(&vhost.section("dash"))),
            hds: Rc::new(Hds::read(&vhost.section("hds"))),
            hls: Rc::new(Hls::read(&vhost.section("hls"))),
            dvr: Rc::new(Dvr::read(&vhost.section("dvr"))),
            ingests: vhost
                .every("ingest")
                .map(|block| Ingest::read(block.arg_text(), &vhost.inside("ingest", block.children())))
                .collect(),
            transcode: vhost
                .every("transcode")
                .next()
                .map(|block| Transcode::read(block.arg_text(), &vhost.inside("transcode", block.children()))),
            exec: Exec::read(&vhost.section("exec")),
        })
    }
}

/// The `chunk_size` of a block, held to what RTMP can do.
pub(crate) fn read_chunk_size(scope: &Scope<'_>) -> u32 {
    const LEAST: u32 = limits::RTMP_CHUNK_BYTES_MIN as u32;
    const MOST: u32 = limits::RTMP_CHUNK_BYTES_MAX as u32;
    scope.size("chunk_size").clamp(LEAST, MOST)
}
