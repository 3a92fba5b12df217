//! Virtual hosts: the RTMP side, who may play and publish, other servers.

rows! {
    "vhost"                            Block     "-"        none  reload  Live "1+" built
        "A virtual host; its argument is the name" "repeatable; __defaultVhost__ serves all names without a vhost of their own";
    "vhost.enabled"                    Flag      "on"       none  reload  Live "1+" built
        "Whether clients are accepted" "off: they are refused as if there were no such vhost";
    "vhost.min_latency"                Flag      "off"      own   reload  Live "2+" built
        "Deliver each message at once instead of in batches" "default on for WebRTC sessions";
    "vhost.tcp_nodelay"                Flag      "off"      own   reload  Live "2+" built
        "Set TCP_NODELAY on the sockets of players";
    "vhost.chunk_size"                 Int       "60000"    own   next    Live "1+" built
        "Size of outgoing RTMP chunks, bytes" "128..65536, else a warning; absent: the global chunk_size; new connections";
    "vhost.in_ack_size"                Int       "0"        own   next    Live "3+" built
        "Received bytes after which we acknowledge them, unless the peer says otherwise" "0: not before the peer says; new connections";
    "vhost.out_ack_size"               Int       "2500000"  own   next    Live "3+" built
        "Window of acknowledgement that the peer is told, bytes" "0: it is not told; new connections";
    "vhost.cluster"                    Block     "-"        none  reload  Live "3+" built
        "Edge and origin-cluster section";
    "vhost.cluster.mode"               Text      "local"    none  restart Live "3+" built
        "local or remote (edge)" "a reload that changes it is refused with error 2023";
    "vhost.cluster.origin"             List      "-"        none  next    Live "3+" built
        "Origin servers of an edge" "host[:port], default port 1935; round robin" ["127.0.0.1:1935 localhost:1936"];
    "vhost.cluster.token_traverse"     Flag      "off"      none  next    Live "3+" built
        "Ask origin to authorise each client";
    "vhost.cluster.vhost"              Text      "[vhost]"  none  next    Live "3+" built
        "Vhost used towards origin" "[vhost] is replaced";
    "vhost.cluster.debug_srs_upnode"   Flag      "on"       none  next    Live "3+" built
        "Send own identity args to origin";
    "vhost.cluster.origin_cluster"     Flag      "off"      none  next    Live "3+" built
        "Redirect players to peer with stream";
    "vhost.cluster.coworkers"          List      "-"        none  next    Live "3+" built
        "API endpoints of origin peers" "host:port" ["127.0.0.1:9091 127.0.0.1:9092"];
    "vhost.cluster.protocol"           Text      "rtmp"     none  reload  Live "5+" built
        "How an edge plays streams from origins: rtmp, flv (over HTTP) or flvs (over HTTPS)" "new pulls; ports of origins default to 1935, 80 and 443";
    "vhost.cluster.follow_client"      Flag      "off"      none  reload  Live "5+" built
        "Play from origins by the protocol of the client that is the first" "new pulls; in place of protocol";
    "vhost.forward"                    Block     "-"        none  reload  Live "1+" built
        "Copy published streams to other servers" "old spelling: forward a b;";
    "vhost.forward.enabled"            Flag      "off"      none  reload  Live "1+" built
        "Whether streams are forwarded" "not together with publish.kickoff_for_idle";
    "vhost.forward.destination"        List      "-"        none  reload  Live "3+" built
        "Servers that get each stream: host, host:port or a URL" "URLs may hold [vhost] [app] [stream] [param]" ["127.0.0.1:1936 127.0.0.1:1937"];
    "vhost.forward.backend"            Text      "-"        none  reload  Live "5+" built
        "Callback that tells the URLs to forward a stream to" "in place of destination; when it fails the publication is refused" ["http://127.0.0.1:8085/api/v1/forward"];
    "vhost.forward.vhost"              Text      "-"        none  restart Removed "1-2" built
        "Tolerated name in forward block, without effect";
    "vhost.forward.refer"              Text      "-"        none  restart Removed "1-2" built
        "Tolerated name in forward block, without effect";
    "vhost.play"                       Block     "-"        none  reload  Live "3+" built
        "What players get";
    "vhost.play.gop_cache"             Flag      "on"       own   reload  Live "3+" built
        "Keep the newest group of pictures, so that players start at once";
    "vhost.play.gop_cache_max_frames"  Int       "2500"     own   reload  Live "5+" built
        "Frames that the kept group of pictures may have" "0: no limit";
    "vhost.play.queue_length"          Seconds   "30"       own   reload  Live "3+" built
        "Media that may wait for a slow player" "one that falls behind further jumps ahead";
    "vhost.play.time_jitter"           Text      "full"     own   reload  Live "3+" built
        "How timestamps are corrected for players" "full: start near zero, never backwards, no gaps; zero: start at zero; off: untouched, as any other text";
    "vhost.play.atc"                   Flag      "off"      own   reload  Live "3+" built
        "Pass the timestamps of the encoder on untouched";
    "vhost.play.mix_correct"           Flag      "off"      own   reload  Live "3+" built
        "Put audio and video in the order of their timestamps";
    "vhost.play.atc_auto"              Flag      "off"      own   reload  Live "3+" built
        "Let the metadata of a stream turn atc on" "by bravo_atc with the text true";
    "vhost.play.mw_latency"            Millis    "350"      own   reload  Live "3+" built
        "How long messages are gathered into one write" "0 with min_latency and for WebRTC sessions, unless set";
    "vhost.play.mw_msgs"               Int       "8"        own   reload  Live "4+" built
        "How many messages are gathered into one write at least" "0 with min_latency, 1 for WebRTC sessions, unless set; at most 128";
    "vhost.play.send_min_interval"     FractionalMillis "0"        own   reload  Live "3+" built
        "Shortest time between two messages to a player" "0: no limit";
    "vhost.play.reduce_sequence_header" Flag      "off"      own   reload  Live "3+" built
        "Leave out sequence headers that equal the last one";
    "vhost.publish"                    Block     "-"        none  reload  Live "2+" built
        "What publishers must do";
    "vhost.publish.mr"                 Flag      "off"      own   reload  Live "3+" built
        "Gather what publishers send into large reads";
    "vhost.publish.mr_latency"         Millis    "350"      own   reload  Live "3+" built
        "How long data is gathered into one read";
    "vhost.publish.firstpkt_timeout"   Millis    "20000"    own   reload  Live "3+" built
        "How long a publisher may take until its first media message";
    "vhost.publish.normal_timeout"     Millis    "5000"     own   reload  Live "3+" built
        "How long a publisher may be silent after that";
    "vhost.publish.parse_sps"          Flag      "on"       own   next    Live "2+" built
        "Read size and profile from the parameter sets of the video" "from the next sequence header on";
    "vhost.publish.try_annexb_first"   Flag      "on"       own   reload  Ignored "5+" built
        "Look for Annex B start codes before length prefixes" "accepted without effect: both are known by what they hold";
    "vhost.publish.kickoff_for_idle"   FractionalSeconds "0"        own   reload  Live "5+" built
        "Drop a publisher that has no player for this long" "0: never; not together with forward";
    "vhost.refer"                      Block     "-"        none  next    Live "1+" built
        "Who may play or publish, by web page" "old spelling: refer a b;";
    "vhost.refer.enabled"              Flag      "off"      none  next    Live "3+" built
        "Check pageUrl of clients";
    "vhost.refer.http"                 Flag      "off"      none  next    Live "-" built
        "Check the Referer of players over HTTP too" "SRS has no such directive and checks RTMP only";
    "vhost.refer.all"                  List      "-"        none  next    Live "3+" built
        "Host suffixes allowed for everyone" ["example.com example.org"];
    "vhost.refer.publish"              List      "-"        none  next    Live "3+" built
        "Host suffixes allowed to publish" ["studio.example.com"];
    "vhost.refer.play"                 List      "-"        none  next    Live "3+" built
        "Host suffixes allowed to play" ["www.example.com"];
    "vhost.security"                   Block     "-"        none  next    Live "2+" built
        "Who may play or publish, by address";
    "vhost.security.enabled"           Flag      "off"      none  next    Live "2+" built
        "Apply rules";
    "vhost.security.allow"             List      "-"        none  next    Live "2+" built
        "Rule: play or publish, then source" "repeatable; source: all, IP, IPv4 CIDR" ["play all"];
    "vhost.security.deny"              List      "-"        none  next    Live "2+" built
        "Rule: play or publish, then source" "repeatable; checked before allow" ["publish 192.0.2.0/24"];
    "vhost.bandcheck"                  OpenBlock "-"        none  next    Live "1-4" built
        "Bandwidth tests over RTMP in place of streams" "SRS has dropped them after version 4";
    "vhost.bandcheck.enabled"          Flag      "off"      none  next    Live "1-4" built
        "Whether clients of this vhost get a bandwidth test" "they cannot publish or play then";
    "vhost.bandcheck.key"              Text      "-"        none  next    Live "1-4" built
        "Key that a client must bring" "its tcUrl must contain key=KEY, also with an empty KEY" ["35c9b402c12a7246868752e2878f7e0e"];
    "vhost.bandcheck.interval"         FractionalSeconds "30"       none  next    Live "1-4" built
        "Shortest time between two tests of the whole server";
    "vhost.bandcheck.limit_kbps"       Int       "1000"     none  next    Live "1-4" built
        "What a test may take in each direction, kbps";
    "vhost.token"                      Block     "-"        none  next    Live "-" built
        "Who may play or publish, by signed URL or JSON Web Token" "SRS has no such block";
    "vhost.token.enabled"              Flag      "off"      none  next    Live "-" built
        "Refuse clients without a valid token";
    "vhost.token.need"                 List      "play publish" none  next    Live "-" built
        "What a token is needed for" "play, publish or both";
    "vhost.token.key"                  List      "-"        none  next    Live "-" built
        "Shared keys, of which any may have signed" "16 characters at least; of URLs and of HS256 tokens" ["the-key-of-this-year the-key-of-last-year"];
    "vhost.token.key_file"             List      "-"        none  next    Live "-" built
        "Files with shared keys, one a line" "read at each reload" ["./conf/token.key"];
    "vhost.token.public_key_file"      List      "-"        none  next    Live "-" built
        "Public keys of RS256 and ES256 tokens, one PEM file each" "read at each reload" ["./conf/token.pem"];
    "vhost.token.clock_skew"           Seconds   "5"        none  next    Live "-" built
        "What the clock of whoever signs may differ";
    "vhost.token.bind_ip"              Flag      "off"      none  next    Live "-" built
        "Refuse tokens that do not name the address of the client";
    "vhost.refer_play"                 List      "-"        none  next    Deprecated "1-2" built
        "Old name of refer.play" "transformed; turns refer.enabled on";
    "vhost.refer_publish"              List      "-"        none  next    Deprecated "1-2" built
        "Old name of refer.publish" "transformed; turns refer.enabled on";
    "vhost.mr"                         Block     "-"        none  reload  Deprecated "2" built
        "Old merged-read section" "transformed";
    "vhost.mr.enabled"                 Flag      "off"      none  reload  Deprecated "2" built
        "Old name of publish.mr" "transformed";
    "vhost.mr.latency"                 Millis    "350"      none  reload  Deprecated "2" built
        "Old name of publish.mr_latency" "transformed";
    "vhost.publish_1stpkt_timeout"     Millis    "20000"    none  reload  Deprecated "2" built
        "Old name of publish.firstpkt_timeout" "transformed";
    "vhost.publish_normal_timeout"     Millis    "5000"     none  reload  Deprecated "2" built
        "Old name of publish.normal_timeout" "transformed";
    "vhost.time_jitter"                Text      "full"     none  reload  Deprecated "1-2" built
        "Old name of play.time_jitter" "transformed";
    "vhost.mix_correct"                Flag      "off"      none  reload  Deprecated "2" built
        "Old name of play.mix_correct" "transformed";
    "vhost.atc"                        Flag      "off"      none  reload  Deprecated "1-2" built
        "Old name of play.atc" "transformed";
    "vhost.atc_auto"                   Flag      "off"      none  reload  Deprecated "1-2" built
        "Old name of play.atc_auto" "transformed";
    "vhost.mw_latency"                 Millis    "350"      none  reload  Deprecated "2" built
        "Old name of play.mw_latency" "transformed";
    "vhost.gop_cache"                  Flag      "on"       none  reload  Deprecated "1-2" built
        "Old name of play.gop_cache" "transformed";
    "vhost.gop_cache_max_frames"       Int       "2500"     none  reload  Deprecated "5" built
        "Vhost-level form of play.gop_cache_max_frames" "transformed";
    "vhost.queue_length"               Seconds   "30"       none  reload  Deprecated "1-2" built
        "Old name of play.queue_length" "transformed";
    "vhost.send_min_interval"          Millis    "0"        none  reload  Deprecated "2" built
        "Old name of play.send_min_interval" "transformed";
    "vhost.reduce_sequence_header"     Flag      "off"      none  reload  Deprecated "2" built
        "Old name of play.reduce_sequence_header" "transformed";
    "vhost.mode"                       Text      "local"    none  restart Deprecated "1-2" built
        "Old name of cluster.mode" "transformed";
    "vhost.origin"                     List      "-"        none  reload  Deprecated "1-2" built
        "Old name of cluster.origin" "transformed";
    "vhost.token_traverse"             Flag      "off"      none  next    Deprecated "1-2" built
        "Old name of cluster.token_traverse" "transformed";
    "vhost.vhost"                      Text      "[vhost]"  none  reload  Deprecated "2" built
        "Old name of cluster.vhost" "transformed";
    "vhost.debug_srs_upnode"           Flag      "on"       none  reload  Deprecated "1-2" built
        "Old name of cluster.debug_srs_upnode" "transformed";
}
