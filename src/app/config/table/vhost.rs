//! Virtual hosts: the RTMP side, who may play and publish, other servers.

rows! {
    "vhost"                            Block     "-"        none  reload  Live "1+" built
        "A virtual host; its argument is the name" "repeatable; __defaultVhost__ catches the rest; add/remove on reload";
    "vhost.enabled"                    Flag      "on"       none  reload  Live "1+" built
        "Accept clients of this vhost" "off equals unknown vhost, also on reload";
    "vhost.min_latency"                Flag      "off"      own   reload  Live "2+" built
        "Deliver each message at once instead of in batches" "default on for WebRTC sessions";
    "vhost.tcp_nodelay"                Flag      "off"      own   reload  Live "2+" built
        "Set TCP_NODELAY on players";
    "vhost.chunk_size"                 Int       "60000"    own   reload  Live "1+" built
        "Outgoing RTMP chunk size, bytes" "unset: global chunk_size; new connections";
    "vhost.in_ack_size"                Int       "0"        own   reload  Live "3+" built
        "Window we ask peer to acknowledge" "0: not sent; new connections";
    "vhost.out_ack_size"               Int       "2500000"  own   reload  Live "3+" built
        "Window ack size sent to peer" "new connections";
    "vhost.cluster"                    Block     "-"        none  reload  Live "3+" unbuilt
        "Edge and origin-cluster section";
    "vhost.cluster.mode"               Text      "local"    none  restart Live "3+" unbuilt
        "local or remote (edge)" "change on reload gives error 2023 and stops the server";
    "vhost.cluster.origin"             List      "-"        none  reload  Live "3+" unbuilt
        "Origin servers of an edge" "host[:port], default port 1935; round robin" ["127.0.0.1:1935 localhost:1936"];
    "vhost.cluster.token_traverse"     Flag      "off"      none  reload  Live "3+" unbuilt
        "Ask origin to authorise each client";
    "vhost.cluster.vhost"              Text      "[vhost]"  none  reload  Live "3+" unbuilt
        "Vhost used towards origin" "[vhost] is replaced";
    "vhost.cluster.debug_srs_upnode"   Flag      "on"       none  reload  Live "3+" unbuilt
        "Send own identity args to origin";
    "vhost.cluster.origin_cluster"     Flag      "off"      none  reload  Live "3+" unbuilt
        "Redirect players to peer with stream";
    "vhost.cluster.coworkers"          List      "-"        none  reload  Live "3+" unbuilt
        "API endpoints of origin peers" "host:port" ["127.0.0.1:9091 127.0.0.1:9092"];
    "vhost.cluster.protocol"           Text      "rtmp"     none  reload  Live "5+" unbuilt
        "Edge pull protocol" "rtmp flv flvs; new pulls";
    "vhost.cluster.follow_client"      Flag      "off"      none  reload  Live "5+" unbuilt
        "Pull flv when a client plays flv" "new pulls";
    "vhost.forward"                    Block     "-"        none  reload  Live "1+" unbuilt
        "Copy published streams to other servers" "old spelling: forward a b;";
    "vhost.forward.enabled"            Flag      "off"      none  reload  Live "1+" unbuilt
        "Enable forwarding";
    "vhost.forward.destination"        List      "-"        none  reload  Live "3+" unbuilt
        "Targets host[:port]" ["127.0.0.1:1936 127.0.0.1:1937"];
    "vhost.forward.backend"            Text      "-"        none  reload  Live "5+" unbuilt
        "Callback that returns target URLs" "when set, destination is unused" ["http://127.0.0.1:8085/api/v1/forward"];
    "vhost.forward.vhost"              Text      "-"        none  restart Removed "1-2" built
        "Tolerated name in forward block, without effect";
    "vhost.forward.refer"              Text      "-"        none  restart Removed "1-2" built
        "Tolerated name in forward block, without effect";
    "vhost.play"                       Block     "-"        none  reload  Live "3+" built
        "Player side section";
    "vhost.play.gop_cache"             Flag      "on"       own   reload  Live "3+" built
        "Keep the newest group of pictures, so that players start at once";
    "vhost.play.gop_cache_max_frames"  Int       "2500"     own   reload  Live "5+" built
        "Frames that the kept group of pictures may have" "0: no limit";
    "vhost.play.queue_length"          Seconds   "30"       own   reload  Live "3+" built
        "Player queue bound" "older data dropped";
    "vhost.play.time_jitter"           Text      "full"     own   reload  Live "3+" built
        "Timestamp correction for players" "full zero off; other text: off";
    "vhost.play.atc"                   Flag      "off"      own   reload  Live "3+" built
        "Pass encoder timestamps untouched";
    "vhost.play.mix_correct"           Flag      "off"      own   reload  Live "3+" built
        "Reorder audio and video by timestamp";
    "vhost.play.atc_auto"              Flag      "off"      own   reload  Live "3+" built
        "Turn atc on by metadata bravo_atc";
    "vhost.play.mw_latency"            Millis    "350"      own   reload  Live "3+" built
        "How long messages are gathered into one write" "0 with min_latency and for WebRTC sessions, unless set";
    "vhost.play.mw_msgs"               Int       "8"        own   reload  Live "4+" built
        "How many messages are gathered into one write at least" "0 with min_latency, 1 for WebRTC sessions, unless set; at most 128";
    "vhost.play.send_min_interval"     FractionalMillis "0"        own   reload  Live "3+" built
        "Minimum gap between sends";
    "vhost.play.reduce_sequence_header" Flag      "off"      own   reload  Live "3+" built
        "Do not repeat equal sequence headers";
    "vhost.publish"                    Block     "-"        none  reload  Live "2+" built
        "Publisher side section";
    "vhost.publish.mr"                 Flag      "off"      own   reload  Live "3+" built
        "Gather what publishers send into large reads";
    "vhost.publish.mr_latency"         Millis    "350"      own   reload  Live "3+" built
        "How long data is gathered into one read";
    "vhost.publish.firstpkt_timeout"   Millis    "20000"    own   reload  Live "3+" built
        "Limit until first media packet";
    "vhost.publish.normal_timeout"     Millis    "5000"     own   reload  Live "3+" built
        "Limit between media packets";
    "vhost.publish.parse_sps"          Flag      "on"       own   reload  Live "2+" built
        "Read size and profile from SPS" "next sequence header";
    "vhost.publish.try_annexb_first"   Flag      "on"       own   reload  Live "5+" built
        "Try Annex B before AVCC" "new streams";
    "vhost.publish.kickoff_for_idle"   FractionalSeconds "0"        own   reload  Live "5+" built
        "Drop publisher without viewers after" "0: never; clash with forward";
    "vhost.refer"                      Block     "-"        none  reload  Live "1+" unbuilt
        "Who may play or publish, by web page" "old spelling: refer a b;";
    "vhost.refer.enabled"              Flag      "off"      none  reload  Live "3+" unbuilt
        "Check pageUrl of clients";
    "vhost.refer.all"                  List      "-"        none  reload  Live "3+" unbuilt
        "Host suffixes allowed for everyone" ["example.com example.org"];
    "vhost.refer.publish"              List      "-"        none  reload  Live "3+" unbuilt
        "Host suffixes allowed to publish" ["studio.example.com"];
    "vhost.refer.play"                 List      "-"        none  reload  Live "3+" unbuilt
        "Host suffixes allowed to play" ["www.example.com"];
    "vhost.security"                   Block     "-"        none  reload  Live "2+" unbuilt
        "Who may play or publish, by address";
    "vhost.security.enabled"           Flag      "off"      none  reload  Live "2+" unbuilt
        "Apply rules";
    "vhost.security.allow"             List      "-"        none  reload  Live "2+" unbuilt
        "Rule: play or publish, then source" "repeatable; source: all, IP, IPv4 CIDR" ["play all"];
    "vhost.security.deny"              List      "-"        none  reload  Live "2+" unbuilt
        "Rule: play or publish, then source" "repeatable; checked before allow" ["publish 192.0.2.0/24"];
    "vhost.bandcheck"                  OpenBlock "-"        none  restart Removed "1-4" built
        "RTMP bandwidth test vhost" "accepted without effect";
    "vhost.bandcheck.enabled"          Flag      "off"      none  restart Removed "1-4" built
        "This vhost serves bandwidth tests";
    "vhost.bandcheck.key"              Text      "-"        none  restart Removed "1-4" built
        "Key a test client must bring" "tcUrl must contain key=KEY, also with empty KEY";
    "vhost.bandcheck.interval"         FractionalSeconds "30"       none  restart Removed "1-4" built
        "Minimum gap between two tests";
    "vhost.bandcheck.limit_kbps"       Int       "1000"     none  restart Removed "1-4" built
        "Rate limit of a test, kbps";
    "vhost.refer_play"                 List      "-"        none  reload  Deprecated "1-2" built
        "Old name of refer.play" "transformed; turns refer.enabled on";
    "vhost.refer_publish"              List      "-"        none  reload  Deprecated "1-2" built
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
    "vhost.token_traverse"             Flag      "off"      none  reload  Deprecated "1-2" built
        "Old name of cluster.token_traverse" "transformed";
    "vhost.vhost"                      Text      "[vhost]"  none  reload  Deprecated "2" built
        "Old name of cluster.vhost" "transformed";
    "vhost.debug_srs_upnode"           Flag      "on"       none  reload  Deprecated "1-2" built
        "Old name of cluster.debug_srs_upnode" "transformed";
}
