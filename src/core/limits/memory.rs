//! The bounds that a machine's memory decides: one set for servers, and one for routers with some tens of megabytes, which
//! the feature `small-memory` chooses. No other place asks for that feature.

/// Bytes, unless a name says otherwise; [`super`] tells what each one bounds.
pub(super) struct Memory {
    /// Of one peer.
    pub(super) rtmp_partial: usize,
    /// These two of one stream.
    pub(super) source_gop: usize,
    pub(super) source_journal: usize,
    /// These two of one recording.
    pub(super) mp4_fragment: usize,
    pub(super) mp4_table: usize,
    /// These two of one stream that is received as MPEG-TS.
    pub(super) ts_unit: usize,
    pub(super) remux: usize,
    pub(super) log_backlog: usize,
    /// Jobs of one class.
    pub(super) offload_jobs: usize,
    /// Of one thread.
    pub(super) thread_stack: usize,
    /// Stacks.
    pub(super) pooled_stacks: usize,
    /// These two of one HTTP client.
    pub(super) http_piece: usize,
    pub(super) live_scratch: usize,
    pub(super) http_answer: usize,
    /// Players.
    pub(super) hls_sessions: usize,
    /// Addresses.
    pub(super) counted_addresses: usize,
}

const SERVER: Memory = Memory {
    // A whole message of the greatest length, and what stands beside it.
    rtmp_partial: super::RTMP_MESSAGE_BYTES + (4 << 20),
    source_gop: 48 << 20,
    source_journal: 96 << 20,
    mp4_fragment: 8 << 20,
    mp4_table: 64 << 20,
    ts_unit: 8 << 20,
    remux: 16 << 20,
    log_backlog: 8 << 20,
    offload_jobs: 65_536,
    // The C library's resolver is the greediest guest.
    thread_stack: 512 << 10,
    pooled_stacks: 256,
    http_piece: 64 << 10,
    live_scratch: 1 << 20,
    http_answer: 1 << 20,
    hls_sessions: 65_536,
    counted_addresses: 65_536,
};

const ROUTER: Memory = Memory {
    // A keyframe of 4K is about 1 MB.
    rtmp_partial: 3 << 20,
    // Ten seconds of 3 Mb/s.
    source_gop: 4 << 20,
    source_journal: 8 << 20,
    mp4_fragment: 1 << 20,
    // More than an hour of pictures and sound.
    mp4_table: 4 << 20,
    ts_unit: 2 << 20,
    remux: 2 << 20,
    log_backlog: 128 << 10,
    offload_jobs: 2048,
    // The resolver of musl takes some tens of kilobytes.
    thread_stack: 192 << 10,
    pooled_stacks: 16,
    http_piece: 16 << 10,
    live_scratch: 128 << 10,
    http_answer: 256 << 10,
    hls_sessions: 1024,
    counted_addresses: 1024,
};

pub(super) const MEMORY: Memory = if cfg!(feature = "small-memory") { ROUTER } else { SERVER };

/// What holds between them, whatever the machine.
const fn check(memory: &Memory) {
    assert!(memory.source_journal > memory.source_gop + memory.rtmp_partial);
    // Sizes and offsets of a fragment have 32 bits.
    assert!(memory.mp4_fragment + super::RTMP_MESSAGE_BYTES < 1 << 30);
    // A NAL unit of one byte has three bytes of start code there and four of length here.
    assert!(memory.ts_unit / 4 * 5 + 1024 < super::RTMP_MESSAGE_BYTES);
    assert!(memory.ts_unit / 4 * 5 + 1024 < memory.rtmp_partial);
    assert!(memory.rtmp_partial > super::RTMP_COMMAND_BYTES);
    assert!(memory.log_backlog > super::LOG_LINE_BYTES);
}

const _: () = check(&SERVER);
const _: () = check(&ROUTER);
// A server takes whatever RTMP can tell.
const _: () = assert!(SERVER.rtmp_partial > super::RTMP_MESSAGE_BYTES);

#[cfg(test)]
mod tests {
    use super::*;

    /// What one publisher over RTMP can make us hold, with its recordings as FLV and MP4 and a slow player.
    fn publisher_bytes(memory: &Memory) -> usize {
        memory.rtmp_partial + memory.source_journal + memory.mp4_fragment + memory.mp4_table
    }

    #[test]
    fn one_publisher_fits_a_router_of_64_megabytes() {
        // Half of such a router's memory is the system's.
        let rest = 32 << 20;
        let program = ROUTER.log_backlog + ROUTER.pooled_stacks * (8 << 10) + (8 << 20);
        assert!(publisher_bytes(&ROUTER) + program < rest);
        assert!(publisher_bytes(&SERVER) > rest);
    }

    #[test]
    fn the_feature_chooses() {
        let chosen = if cfg!(feature = "small-memory") {
            8 << 20
        } else {
            96 << 20
        };
        assert_eq!(super::super::SOURCE_JOURNAL_BYTES, chosen);
    }
}
