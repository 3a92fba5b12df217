//! Virtual hosts: WebRTC and SRT.

rows! {
    "vhost.rtc"                        Block     "-"        none  reload  Live "4+" unbuilt
        "WebRTC section of vhost";
    "vhost.rtc.enabled"                Flag      "off"      own   reload  Live "4+" unbuilt
        "Allow WebRTC on this vhost" "new sessions";
    "vhost.rtc.nack"                   Flag      "on"       own   reload  Live "4+" unbuilt
        "Offer and use NACK" "new sessions";
    "vhost.rtc.nack_no_copy"           Flag      "on"       own   reload  Live "4+" unbuilt
        "Share packets in NACK ring" "new sessions";
    "vhost.rtc.twcc"                   Flag      "on"       own   reload  Live "4+" unbuilt
        "Offer transport-wide congestion feedback" "new sessions";
    "vhost.rtc.stun_timeout"           Seconds   "30"       own   reload  Live "4+" unbuilt
        "Drop session without STUN after" "new sessions";
    "vhost.rtc.stun_strict_check"      Flag      "off"      own   reload  Live "4+" unbuilt
        "Close session on address change" "new sessions";
    "vhost.rtc.dtls_role"              Text      "passive"  own   reload  Live "4+" unbuilt
        "DTLS role" "passive active; new sessions";
    "vhost.rtc.dtls_version"           Text      "auto"     own   reload  Live "4+" unbuilt
        "DTLS version" "auto dtls1.0 dtls1.2; new sessions";
    "vhost.rtc.drop_for_pt"            Int       "0"        own   reload  Live "4+" unbuilt
        "Drop RTP with this payload type" "0: none; test aid";
    "vhost.rtc.rtmp_to_rtc"            Flag      "off"      own   reload  Live "4+" unbuilt
        "Bridge RTMP streams to WebRTC" "new streams";
    "vhost.rtc.keep_bframe"            Flag      "off"      own   reload  Live "4+" unbuilt
        "Keep B frames when bridging" "new streams";
    "vhost.rtc.keep_avc_nalu_sei"      Flag      "on"       own   reload  Live "5+" unbuilt
        "Keep SEI when bridging" "new streams";
    "vhost.rtc.opus_bitrate"           Int       "48000"    own   reload  Live "5+" unbuilt
        "Opus bitrate when bridging, bps" "8000..320000 else default";
    "vhost.rtc.rtc_to_rtmp"            Flag      "off"      own   reload  Live "4+" unbuilt
        "Bridge WebRTC streams to RTMP" "new streams";
    "vhost.rtc.pli_for_rtmp"           FractionalSeconds "6"        own   reload  Live "4+" unbuilt
        "Keyframe request period when bridging" "0.5..30 else default";
    "vhost.rtc.aac_bitrate"            Int       "48000"    own   reload  Live "5+" unbuilt
        "AAC bitrate when bridging, bps" "8000..320000 else default";
    "vhost.rtc.aac"                    Text      "-"        none  restart Deprecated "4" built
        "Old spelling of rtmp_to_rtc" "transcode means on, else off";
    "vhost.rtc.bframe"                 Text      "-"        none  restart Deprecated "4" built
        "Old spelling of keep_bframe" "keep means on, else off";
    "vhost.srt"                        Block     "-"        none  reload  Live "5+" unbuilt
        "SRT section of vhost";
    "vhost.srt.enabled"                Flag      "off"      own   reload  Live "5+" unbuilt
        "Allow SRT on this vhost" "new connections";
    "vhost.srt.srt_to_rtmp"            FlagOnlyOn "on"       ["SRS_VHOST_SRT_SRT_TO_RTMP", "SRS_VHOST_SRT_TO_RTMP"] reload  Live "5+" unbuilt
        "Bridge SRT streams to RTMP" "when written, on with the text on only; new streams";
    "vhost.nack"                       Block     "-"        none  reload  Deprecated "4" built
        "Old NACK section" "transformed";
    "vhost.nack.enabled"               Flag      "on"       none  reload  Deprecated "4" built
        "Old name of rtc.nack" "transformed";
    "vhost.nack.no_copy"               Flag      "on"       none  reload  Deprecated "4" built
        "Old name of rtc.nack_no_copy" "transformed";
    "vhost.twcc"                       Block     "-"        none  reload  Deprecated "4" built
        "Old TWCC section" "transformed";
    "vhost.twcc.enabled"               Flag      "on"       none  reload  Deprecated "4" built
        "Old name of rtc.twcc" "transformed";
}
