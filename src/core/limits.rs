//! Every bound on what a peer or a file can make us hold, in one place.

mod memory;

use memory::MEMORY;

/// The largest RTMP message, bytes: the largest that a 24-bit length can tell.
pub const RTMP_MESSAGE_BYTES: usize = 0xff_ffff;
/// The largest command or data message that is decoded as AMF, bytes.
pub const RTMP_COMMAND_BYTES: usize = 1 << 20;
/// The smallest chunk size that a peer may set, bytes.
pub const RTMP_CHUNK_BYTES_MIN: usize = 128;
/// The largest chunk size that we honour, bytes; it never exceeds a message.
pub const RTMP_CHUNK_BYTES_MAX: usize = RTMP_MESSAGE_BYTES;
/// How many chunk streams of one peer are remembered.
pub const RTMP_CHUNK_STREAMS: usize = 64;
/// Bytes of unfinished messages over all chunk streams of one peer; with the feature `small-memory` it bounds one message
/// too.
pub const RTMP_PARTIAL_BYTES: usize = MEMORY.rtmp_partial;
/// How deep aggregate messages may stand inside aggregate messages.
pub const RTMP_AGGREGATE_DEPTH: usize = 1;
/// How deep AMF objects and arrays may nest.
pub const AMF_DEPTH: usize = 64;
/// How many values one AMF message may hold, over all its objects and arrays.
pub const AMF_VALUES: usize = 65_536;
/// How many ModEx prefixes one enhanced audio or video message may have.
pub const FLV_MOD_EX_CHAIN: usize = 8;
/// The longest file header of an FLV that we read over, bytes; version 1 has 9.
pub const FLV_FILE_HEADER_BYTES: u32 = 4096;
/// Bytes of the proxy prefix before the RTMP handshake.
pub const RTMP_PROXY_BYTES: usize = 1024;
/// Bytes that one stream's GOP may hold for new players, with what each message costs; a larger one is not kept.
pub const SOURCE_GOP_BYTES: usize = MEMORY.source_gop;
/// Bytes of one stream that wait for slow players, with what each message costs, whatever its timestamps say.
pub const SOURCE_JOURNAL_BYTES: usize = MEMORY.source_journal;
/// Metadata and sequence headers kept for new players of one stream, over all its tracks.
pub const SOURCE_HEADERS: usize = 32;
/// Coded media that one fragment of MP4 gathers before it is closed, bytes; the message that closes it may be larger.
pub const MP4_FRAGMENT_BYTES: usize = MEMORY.mp4_fragment;
/// Samples of one track that one fragment of MP4 gathers before it is closed.
pub const MP4_FRAGMENT_SAMPLES: usize = 1024;
/// Tables of the samples of one recorded MP4 file, bytes; a longer recording goes on in the next file.
pub const MP4_TABLE_BYTES: usize = MEMORY.mp4_table;
/// One PES packet that a peer sends, bytes; it becomes one RTMP message.
pub const TS_UNIT_BYTES: usize = MEMORY.ts_unit;
/// How many streams of a program are looked at.
pub const TS_STREAMS: usize = 32;
/// Pictures that wait for the sound that belongs before them, messages.
pub const REMUX_VIDEO_FRAMES: usize = 100;
/// Sound that waits for the pictures that belong before it, messages.
pub const REMUX_AUDIO_FRAMES: usize = 300;
/// Payload of either that waits for the other, bytes.
pub const REMUX_BYTES: usize = MEMORY.remux;
/// Parameter sets kept for one stream, over VPS, SPS, PPS and SEI.
pub const PARAMETER_SETS: usize = 64;
/// The largest width or height of a picture that a parameter set may tell, pixels: what MP4 can tell.
pub const PICTURE_SIDE_PIXELS: u32 = 65_535;
/// How deep config files may include each other.
pub const CONFIG_INCLUDE_DEPTH: usize = 32;
/// How deep config blocks may nest.
pub const CONFIG_BLOCK_DEPTH: usize = 32;
/// The largest config file, bytes.
pub const CONFIG_FILE_BYTES: u64 = 16 << 20;
/// All files of one configuration together, bytes; a file that is included twice counts twice.
pub const CONFIG_TOTAL_BYTES: u64 = 64 << 20;
/// How many files one configuration may include, over all levels.
pub const CONFIG_INCLUDES: usize = 4096;
/// How many directives one configuration may hold.
pub const CONFIG_DIRECTIVES: usize = 1 << 20;
/// The longest log line, bytes; longer ones are dropped as SRS does.
pub const LOG_LINE_BYTES: usize = 8192;
/// Log bytes that may wait for a slow disk before lines are dropped (and counted).
pub const LOG_BACKLOG_BYTES: usize = MEMORY.log_backlog;
/// Jobs of one class (disk, names, processes) that may wait for a thread.
pub const OFFLOAD_JOBS: usize = MEMORY.offload_jobs;
/// Stack of a thread for jobs, bytes; only pages that are touched cost memory.
pub const THREAD_STACK_BYTES: usize = MEMORY.thread_stack;
/// How many ended coroutines keep their stacks for reuse.
pub const POOLED_STACKS: usize = MEMORY.pooled_stacks;
/// Names whose addresses are remembered.
pub const DNS_CACHE_NAMES: usize = 256;
/// Names that are being looked up at one time.
pub const DNS_LOOKUPS: usize = 256;
/// The longest host name, bytes (RFC 1035, 2.3.4, as text).
pub const DNS_NAME_BYTES: usize = 255;
/// Datagrams taken or given with one system call.
pub const UDP_BATCH: usize = 64;

/// An HTTP request line and all header lines together, bytes.
pub const HTTP_HEAD_BYTES: usize = 64 << 10;
/// The target of an HTTP request, bytes.
pub const HTTP_TARGET_BYTES: usize = 16 << 10;
/// How many header lines an HTTP head may have.
pub const HTTP_HEADERS: usize = 128;
/// A size line of a chunked HTTP body with its extensions, bytes.
pub const HTTP_CHUNK_LINE_BYTES: usize = 1024;
/// All trailer lines behind a chunked HTTP body together, bytes.
pub const HTTP_TRAILER_BYTES: usize = 8 << 10;
/// Bytes of a request's body that are read and dropped so that the connection can go on, or its answer arrive.
pub const HTTP_DRAIN_BYTES: usize = 64 << 10;
/// Streams or clients that one answer of the HTTP API lists at most; a client asks for the next ones with `start`.
pub const API_PAGE_ITEMS: usize = 10_000;
/// The same unless more are asked for.
pub const API_PAGE_ITEMS_MIN: usize = 10;
/// What is held of a file that is sent, bytes.
pub const HTTP_PIECE_BYTES: usize = MEMORY.http_piece;
/// The payload of one WebSocket frame of a client, bytes; players have nothing to say.
pub const WEBSOCKET_FRAME_BYTES: usize = 16 << 10;
/// The buffer in which batches for players are put together, bytes, where it is not larger for one large message.
pub const LIVE_SCRATCH_BYTES: usize = MEMORY.live_scratch;
/// How far into a file sequence headers are looked for, bytes.
pub const HTTP_FLV_SCAN_BYTES: u64 = 2 << 20;
/// The body of an answer that we get as an HTTP client, bytes.
pub const HTTP_ANSWER_BYTES: usize = MEMORY.http_answer;
/// Players of HLS that have a session; those above play without one.
pub const HLS_SESSIONS: usize = MEMORY.hls_sessions;
/// A playlist that is read into memory to be given the player's session, bytes; larger ones are sent as they are.
pub const HLS_PLAYLIST_BYTES: u64 = 1 << 20;
/// Servers that one publication is forwarded to.
pub const FORWARD_TARGETS: usize = 256;
/// Changes of one reload that the log and the API tell one by one.
pub const RELOAD_LINES: usize = 100;
/// Forwards of all publications together.
pub const FORWARDS: usize = 8192;
/// Ends of clients that are being told to callback servers at one time; beyond, clients wait for their own.
pub const HOOK_NOTICES: usize = 4096;
/// Descriptors that one message over a Unix socket passes on (what Linux allows).
pub const PASSED_DESCRIPTORS: usize = 253;
/// A line that one worker tells another, bytes: the longest name of a stream, and a mark.
pub const WORKER_LINE_BYTES: usize = RTMP_COMMAND_BYTES + 16;
/// What one worker tells another of itself in one answer, bytes.
pub const WORKER_ANSWER_BYTES: usize = 64 << 20;
/// Processes that share the work of one server.
pub const WORKERS: usize = 256;
/// Child processes at one time: FFmpeg for inputs and outputs, and commands, of which each publisher starts some.
pub const CHILD_PROCESSES: usize = 1024;
/// Addresses whose connections are counted; those above come in uncounted.
pub const COUNTED_ADDRESSES: usize = MEMORY.counted_addresses;
/// A token of a client, bytes.
pub const TOKEN_BYTES: usize = 8 << 10;
/// A line of a Redis server's reply, bytes.
pub const REDIS_LINE_BYTES: usize = 4 << 10;
/// One byte string of it, bytes.
pub const REDIS_BULK_BYTES: usize = 64 << 10;
/// Values of one array of it.
pub const REDIS_ARRAY_ITEMS: usize = 1024;
/// Values of one reply, over all its arrays.
pub const REDIS_REPLY_ITEMS: usize = 4096;
/// How deep its arrays may nest.
pub const REDIS_DEPTH: usize = 4;
/// Streams that have ended and are to be taken out of the registry; those above expire there.
pub const REGISTRY_RELEASES: usize = 65_536;
/// The head of a request to the exporter's port, bytes.
pub const MINI_HTTP_HEAD_BYTES: usize = 8 << 10;
/// How many header lines it may have: what the crate that serves it takes.
pub const MINI_HTTP_HEADERS: usize = 16;

/// A session description: how many media it may have.
pub const SDP_MEDIA: usize = 16;
/// How many attributes, over all its media; also how many formats one media may have.
pub const SDP_ATTRIBUTES: usize = 512;
/// RTP packets of one source that wait for one before them.
pub const RTP_REORDER_PACKETS: usize = 64;
/// One access unit in RTP, bytes.
pub const RTP_UNIT_BYTES: usize = TS_UNIT_BYTES;
/// NAL units of one access unit in RTP.
pub const RTP_UNIT_NALS: usize = 1024;
/// AAC frames of one RTP packet.
pub const RTP_AAC_FRAMES: usize = 64;
/// The head of an RTSP message, bytes.
pub const RTSP_HEAD_BYTES: usize = 16 << 10;
/// The body of an RTSP message, bytes.
pub const RTSP_BODY_BYTES: usize = 64 << 10;
/// Packets of a publisher over RTSP that wait to be published.
pub const RTSP_PACKETS: usize = 1024;

/// Encrypted bytes of one connection that wait for its socket.
pub const TLS_PENDING_BYTES: usize = 64 << 10;
/// What is taken of a TLS peer in one go while it gives nothing to read, reads of 4 KiB; then others have their turn.
pub const TLS_EMPTY_READS: usize = 16;
/// A file with a certificate or a key, bytes.
pub const TLS_FILE_BYTES: u64 = 1 << 20;

const _: () = assert!(RTMP_CHUNK_BYTES_MIN <= RTMP_CHUNK_BYTES_MAX);
const _: () = assert!(RTMP_COMMAND_BYTES < RTMP_MESSAGE_BYTES);
const _: () = assert!(CONFIG_FILE_BYTES <= CONFIG_TOTAL_BYTES);
const _: () = assert!(HTTP_TARGET_BYTES < HTTP_HEAD_BYTES);
