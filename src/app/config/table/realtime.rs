//! The WebRTC and SRT servers.

rows! {
    "srt_server"                       Block     "-"        none  restart Live "4+" unbuilt
        "SRT server section";
    "srt_server.enabled"               Flag      "off"      own   restart Live "4+" unbuilt
        "Run the SRT listener";
    "srt_server.listen"                Int       "10080"    own   restart Live "4+" unbuilt
        "SRT UDP port";
    "srt_server.maxbw"                 Int       "-1"       own   restart Live "4+" unbuilt
        "SRTO_MAXBW, bytes per second" "-1 infinite, 0 from input rate";
    "srt_server.mss"                   Int       "1500"     own   restart Live "4+" unbuilt
        "SRTO_MSS, bytes";
    "srt_server.latency"               Millis    "120"      own   restart Live "4+" unbuilt
        "SRTO_LATENCY for both directions";
    "srt_server.recvlatency"           Millis    "120"      own   restart Live "4+" unbuilt
        "SRTO_RCVLATENCY";
    "srt_server.peerlatency"           Millis    "0"        own   restart Live "4+" unbuilt
        "SRTO_PEERLATENCY";
    "srt_server.connect_timeout"       Millis    "3000"     own   restart Live "4+" unbuilt
        "SRTO_CONNTIMEO";
    "srt_server.peer_idle_timeout"     Millis    "10000"    own   restart Live "5+" unbuilt
        "SRTO_PEERIDLETIMEO";
    "srt_server.sendbuf"               Int       "12058624" own   restart Live "4+" unbuilt
        "SRTO_SNDBUF, bytes" "8192 × 1472";
    "srt_server.recvbuf"               Int       "12058624" own   restart Live "4+" unbuilt
        "SRTO_RCVBUF, bytes" "8192 × 1472";
    "srt_server.payloadsize"           Int       "1316"     own   restart Live "4+" unbuilt
        "SRTO_PAYLOADSIZE, bytes";
    "srt_server.default_app"           Text      "live"     own   reload  Live "4+" unbuilt
        "App name for stream ids without app";
    "srt_server.sei_filter"            Flag      "on"       own   restart Ignored "4+" built
        "Meant to drop SEI units" "accepted without effect";
    "srt_server.mix_correct"           Flag      "-"        none  restart Ignored "4+" built
        "Old A/V reorder switch" "accepted without effect";
    "srt_server.tlpktdrop"             Flag      "on"       own   restart Live "5+" unbuilt
        "SRTO_TLPKTDROP";
    "srt_server.tsbpdmode"             Flag      "on"       own   restart Live "5+" unbuilt
        "SRTO_TSBPDMODE";
    "srt_server.passphrase"            Text      "-"        own   restart Live "5+" unbuilt
        "SRT encryption passphrase" "SRT demands 10..79 chars" ["at-least-10-chars"];
    "srt_server.pbkeylen"              Int       "0"        own   restart Live "5+" unbuilt
        "SRT AES key length, bytes" "0 16 24 32";
    "srt_server.tlpkdrop"              Flag      "on"       none  restart Deprecated "4" built
        "Old name of srt_server.tlpktdrop" "transformed";
    "rtc_server"                       Block     "-"        none  restart Live "4+" unbuilt
        "WebRTC server section";
    "rtc_server.enabled"               Flag      "off"      own   restart Live "4+" unbuilt
        "Run WebRTC listeners";
    "rtc_server.listen"                Int       "8000"     own   restart Live "4+" unbuilt
        "WebRTC UDP port";
    "rtc_server.dir"                   Text      "-"        none  restart Ignored "4+" built
        "Old demo page folder" "accepted without effect";
    "rtc_server.tcp"                   OpenBlock "-"        none  restart Live "5+" unbuilt
        "WebRTC over TCP section";
    "rtc_server.tcp.enabled"           Flag      "off"      own   restart Live "5+" unbuilt
        "Run WebRTC TCP listener";
    "rtc_server.tcp.listen"            Int       "8000"     own   restart Live "5+" unbuilt
        "WebRTC TCP port";
    "rtc_server.protocol"              Text      "udp"      own   reload  Live "5+" unbuilt
        "Transport offered in SDP" "udp tcp all; new sessions";
    "rtc_server.candidate"             Text      "*"        own   reload  Live "4+" unbuilt
        "IPs or host names put in SDP" "* means auto; $NAME reads that env var; new sessions";
    "rtc_server.use_auto_detect_network_ip" Flag      "on"       own   reload  Live "4+" unbuilt
        "Fill candidates from network cards" "new sessions";
    "rtc_server.ip_family"             Text      "ipv4"     own   reload  Live "4+" unbuilt
        "Family of detected candidate IPs" "ipv4 ipv6 all";
    "rtc_server.api_as_candidates"     Flag      "on"       own   reload  Live "4+" unbuilt
        "Use host of API request as candidate";
    "rtc_server.resolve_api_domain"    Flag      "on"       own   reload  Live "4+" unbuilt
        "Resolve that host when a name";
    "rtc_server.keep_api_domain"       Flag      "off"      own   reload  Live "4+" unbuilt
        "Keep unresolved name as candidate too";
    "rtc_server.ecdsa"                 Flag      "on"       own   restart Live "4+" unbuilt
        "DTLS certificate ECDSA instead of RSA";
    "rtc_server.encrypt"               Flag      "on"       own   reload  Live "4+" unbuilt
        "Use SRTP on media" "new sessions; URL encrypt overrides";
    "rtc_server.reuseport"             Int       "1"        own   restart Live "4+" unbuilt
        "Number of UDP listeners on port" "forced to 1 without SO_REUSEPORT";
    "rtc_server.merge_nalus"           Flag      "off"      own   reload  Live "4+" unbuilt
        "Join NALUs of a frame in packet" "new streams";
    "rtc_server.black_hole"            OpenBlock "-"        none  restart Live "4+" unbuilt
        "Mirror of plain RTP for debugging";
    "rtc_server.black_hole.enabled"    Flag      "off"      own   restart Live "4+" unbuilt
        "Send decrypted packets to addr";
    "rtc_server.black_hole.addr"       Text      "-"        own   restart Live "4+" unbuilt
        "UDP ip:port of the mirror" ["127.0.0.1:10000"];
    "rtc_server.perf_stat"             Flag      "-"        none  restart Deprecated "4" built
        "Old statistics switch" "dropped with warning by transform";
    "rtc_server.queue_length"          Int       "-"        none  restart Deprecated "4" built
        "Old queue bound" "dropped with warning by transform";
}
