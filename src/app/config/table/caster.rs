//! Inputs that are turned into RTMP streams.

rows! {
    "stream_caster"                    Block     "-"        none  reload  Live "2+" built
        "Converts other pushes to RTMP" "repeatable";
    "stream_caster.enabled"            Flag      "off"      none  reload  Live "2+" built
        "Run this caster";
    "stream_caster.caster"             Text      "-"        none  reload  Live "2+" built
        "Kind of input" "mpegts_over_udp, flv, rtsp; gb28181 (4+) is not built yet; other: error 4010" ["rtsp"];
    "stream_caster.output"             Text      "-"        none  reload  Live "2+" built
        "RTMP target URL template" "flv, rtsp: [vhost] [app] [stream]; gb28181: [stream]" ["rtmp://127.0.0.1/live/livestream"];
    "stream_caster.listen"             Text      "0"        none  reload  Live "2+" built
        "Listen port of this caster" "must be >0 when enabled; ip:port or [ipv6]:port too, a multicast group for mpegts_over_udp" ["8935"];
    "stream_caster.interface"          Text      "-"        none  reload  Live "-" built
        "Where a multicast group is joined" "the interface's IPv4 address, or its number for IPv6; empty: the system's choice" ["192.0.2.7"];
    "stream_caster.sip"                Block     "-"        none  restart Live "4+" unbuilt
        "SIP section of gb28181 caster";
    "stream_caster.sip.enabled"        Flag      "on"       none  restart Live "4+" unbuilt
        "Run built-in SIP server";
    "stream_caster.sip.listen"         Int       "5060"     none  restart Live "4+" unbuilt
        "SIP TCP port";
    "stream_caster.sip.timeout"        FractionalSeconds "60"       none  restart Live "5+" unbuilt
        "SIP and media link timeout";
    "stream_caster.sip.reinvite"       FractionalSeconds "5"        none  restart Live "5+" unbuilt
        "Wait before a new INVITE";
    "stream_caster.sip.candidate"      Text      "*"        none  restart Live "5+" unbuilt
        "IP put in SDP of INVITE" "* means auto; $NAME reads env var";
    "stream_caster.sip.serial"         Text      "-"        none  restart Deprecated "4" built
        "Old SIP server id" "dropped with warning";
    "stream_caster.sip.realm"          Text      "-"        none  restart Deprecated "4" built
        "Old SIP realm" "dropped with warning";
    "stream_caster.sip.ack_timeout"    Seconds   "-"        none  restart Deprecated "4" built
        "Old SIP answer limit" "dropped with warning";
    "stream_caster.sip.keepalive_timeout" Seconds   "-"        none  restart Deprecated "4" built
        "Old SIP keepalive limit" "dropped with warning";
    "stream_caster.sip.invite_port_fixed" Flag      "-"        none  restart Deprecated "4" built
        "Old fixed media port switch" "dropped with warning";
    "stream_caster.sip.query_catalog_interval" Seconds   "-"        none  restart Deprecated "4" built
        "Old catalog query period" "dropped with warning";
    "stream_caster.sip.auto_play"      Flag      "-"        none  restart Deprecated "4" built
        "Old auto invite switch" "dropped with warning";
    "stream_caster.sip.host"           Text      "-"        none  restart Illegal "4" built
        "Old SIP host" "illegal from 5";
    "stream_caster.rtp_port_min"       Int       "0"        none  reload  Live "2-4" built
        "First RTP UDP port of rtsp caster" "rtsp caster; 0: the system chooses; dropped with a warning for others";
    "stream_caster.rtp_port_max"       Int       "0"        none  reload  Live "2-4" built
        "Last RTP UDP port of rtsp caster" "rtsp caster; 0: the system chooses; dropped with a warning for others";
    "stream_caster.host"               Text      "*"        none  restart Deprecated "4" built
        "Old IP for gb28181 SDP" "transform moves it to sip.candidate";
    "stream_caster.tcp_enable"         Flag      "-"        none  restart Deprecated "4" built
        "Old gb28181 RTP over TCP switch" "dropped with warning";
    "stream_caster.wait_keyframe"      Flag      "-"        none  restart Deprecated "4" built
        "Old gb28181 wait for keyframe" "dropped with warning";
    "stream_caster.rtp_idle_timeout"   Seconds   "-"        none  restart Deprecated "4" built
        "Old gb28181 RTP idle limit" "dropped with warning";
    "stream_caster.audio_enable"       Flag      "-"        none  restart Deprecated "4" built
        "Old gb28181 audio switch" "dropped with warning";
    "stream_caster.auto_create_channel" Flag      "-"        none  restart Deprecated "4" built
        "Old gb28181 channel creation" "dropped with warning";
    "stream_caster.jitterbuffer_enable" Flag      "-"        none  restart Illegal "4" built
        "Old gb28181 jitter buffer switch" "illegal from 5";
}
