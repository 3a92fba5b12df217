//! Virtual hosts: what is written to files.

rows! {
    "vhost.dash"                       Block     "-"        none  reload  Live "3+" built
        "DASH section";
    "vhost.dash.enabled"               Flag      "off"      own   reload  Live "3+" built
        "Make DASH files";
    "vhost.dash.dash_fragment"         FractionalSeconds "10"       own   reload  Live "3+" built
        "Segment length";
    "vhost.dash.dash_update_period"    FractionalSeconds "5"        own   reload  Live "3+" built
        "MPD minimumUpdatePeriod";
    "vhost.dash.dash_timeshift"        Seconds   "300"      own   reload  Ignored "3+" built
        "Meant for MPD time shift depth" "accepted without effect";
    "vhost.dash.dash_path"             Text      "./objs/nginx/html" own   reload  Live "3+" built
        "Output folder";
    "vhost.dash.dash_mpd_file"         Text      "[app]/[stream].mpd" own   reload  Live "3+" built
        "MPD name template";
    "vhost.dash.dash_window_size"      Int       "5"        own   reload  Live "5+" built
        "Segments listed in MPD";
    "vhost.dash.dash_cleanup"          Flag      "on"       own   reload  Live "5+" built
        "Delete segments that left the window";
    "vhost.dash.dash_low_latency"      Flag      "off"      own   reload  Live "-" built
        "Low-latency DASH: players get segments while they are written" "SRS has no such directive; needs http_server of this server";
    "vhost.dash.dash_chunk"            FractionalSeconds "0.2"      own   reload  Live "-" built
        "Chunk length of low-latency DASH" "SRS has no such directive; at least 0.04";
    "vhost.dash.dash_target_latency"   FractionalSeconds "1.5"      own   reload  Live "-" built
        "How far low-latency players are to stay behind the publisher" "SRS has no such directive";
    "vhost.dash.dash_dispose"          Seconds   "120"      own   reload  Live "5+" built
        "Delete all files when idle this long" "0: never";
    "vhost.hls"                        Block     "-"        none  reload  Live "1+" built
        "HLS section";
    "vhost.hls.enabled"                Flag      "off"      own   reload  Live "1+" built
        "Make HLS files" "clash with enabled http_remux mount .ts";
    "vhost.hls.hls_fragment"           FractionalSeconds "10"       own   reload  Live "1+" built
        "Target segment length";
    "vhost.hls.hls_td_ratio"           Float     "1.0"      own   reload  Live "2+" built
        "Cut at keyframe after fragment × ratio";
    "vhost.hls.hls_aof_ratio"          Float     "2.1"      own   reload  Live "2+" built
        "Cut pure audio at fragment × ratio";
    "vhost.hls.hls_window"             FractionalSeconds "60"       own   reload  Live "1+" built
        "Playlist span";
    "vhost.hls.hls_on_error"           Text      "continue" own   reload  Live "1+" built
        "ignore, disconnect or continue on failure" "continue also accepts odd codecs";
    "vhost.hls.hls_path"               Text      "./objs/nginx/html" own   reload  Live "1+" built
        "Output folder";
    "vhost.hls.hls_m3u8_file"          Text      "[app]/[stream].m3u8" own   reload  Live "2+" built
        "Playlist name template" "vars [vhost] [app] [stream]";
    "vhost.hls.hls_ts_file"            Text      "[app]/[stream]-[seq].ts" own   reload  Live "2+" built
        "Segment name template" "time vars, [seq] [timestamp] [duration]";
    "vhost.hls.hls_use_fmp4"           Flag      "off"      own   reload  Live "-" built
        "Segments of fragmented MP4 instead of MPEG-TS" "for HEVC, AV1 and Opus in browsers";
    "vhost.hls.hls_fmp4_file"          Text      "[app]/[stream]-[seq].m4s" own   reload  Live "-" built
        "Segment name template with hls_use_fmp4" "as hls_ts_file";
    "vhost.hls.hls_init_file"          Text      "[app]/[stream]/init.mp4" own   reload  Live "-" built
        "Name template of the initialisation segment" "vars [vhost] [app] [stream]";
    "vhost.hls.hls_low_latency"        Flag      "off"      own   reload  Live "-" built
        "Low-latency HLS" "SRS has no such directive; segments are fragmented MP4; needs http_server of this server";
    "vhost.hls.hls_part"               FractionalSeconds "0.33"     own   reload  Live "-" built
        "Part length of low-latency HLS" "SRS has no such directive";
    "vhost.hls.hls_variants"           List      "-"        own   reload  Live "-" built
        "Name endings of the streams that are one thing in several qualities" "SRS has no such directive; joined in one multivariant playlist" ["_sd _ld"];
    "vhost.hls.hls_variants_file"      Text      "[app]/[stream]_abr.m3u8" own   reload  Live "-" built
        "Name template of the multivariant playlist" "SRS has no such directive; [stream] is the name without ending";
    "vhost.hls.hls_entry_prefix"       Text      "-"        own   reload  Live "2+" built
        "Prefix for segment URLs in playlist" ["http://cdn.example.com"];
    "vhost.hls.hls_acodec"             Text      "aac"      own   reload  Live "2+" built
        "Audio codec declared at start" "aac mp3 an";
    "vhost.hls.hls_vcodec"             Text      "h264"     own   reload  Live "2+" built
        "Video codec declared at start" "h264 h265 vn";
    "vhost.hls.hls_cleanup"            Flag      "on"       own   reload  Live "2+" built
        "Delete segments that left the window";
    "vhost.hls.hls_dispose"            Seconds   "120"      own   reload  Live "2+" built
        "Delete all files when idle this long" "0: never";
    "vhost.hls.hls_wait_keyframe"      Flag      "on"       own   reload  Live "2+" built
        "Cut only at keyframes";
    "vhost.hls.hls_ts_floor"           Flag      "off"      own   reload  Live "2+" built
        "Align segment names to fragment grid" "changes timestamp vars and seq";
    "vhost.hls.hls_nb_notify"          Int       "64"       own   reload  Live "2+" built
        "Max bytes read from on_hls_notify reply";
    "vhost.hls.hls_ctx"                Flag      "on"       own   reload  Live "5+" built
        "Give each HLS player a session" "master playlist with hls_ctx";
    "vhost.hls.hls_ts_ctx"             Flag      "on"       own   reload  Live "5+" built
        "Add session id to segment URLs" "needs hls_ctx";
    "vhost.hls.hls_keys"               FlagUnlessOff "off"      own   reload  Live "3+" built
        "AES-128 encrypt segments" "on with any text but off";
    "vhost.hls.hls_fragments_per_key"  Int       "5"        own   reload  Live "3+" built
        "Segments per key";
    "vhost.hls.hls_key_file"           Text      "[app]/[stream]-[seq].key" own   reload  Live "3+" built
        "Key file name template";
    "vhost.hls.hls_key_file_path"      Text      "(hls_path)" own   reload  Live "3+" built
        "Folder of key files" ["./objs/nginx/html"];
    "vhost.hls.hls_key_url"            Text      "(hls_path)" own   reload  Live "3+" built
        "URL prefix of key in playlist" "end it with a slash" ["https://keys.example.com/"];
    "vhost.hls.hls_dts_directly"       Flag      "on"       own   reload  Live "3+" built
        "Use stream dts in TS unchanged" "new streams";
    "vhost.hls.hls_storage"            Text      "-"        none  restart Removed "2" built
        "Old RAM/disk choice" "accepted with warning, ignored";
    "vhost.hls.hls_mount"              Text      "-"        none  restart Removed "2" built
        "Old RAM HLS mount" "accepted with warning, ignored";
    "vhost.hds"                        OpenBlock "-"        none  reload  Live "2+" built
        "HDS section (build option)";
    "vhost.hds.enabled"                Flag      "off"      own   reload  Live "2+" built
        "Make HDS files";
    "vhost.hds.hds_fragment"           FractionalSeconds "10"       own   reload  Live "2+" built
        "Fragment length";
    "vhost.hds.hds_window"             FractionalSeconds "60"       own   reload  Live "2+" built
        "Span of kept fragments";
    "vhost.hds.hds_path"               Text      "./objs/nginx/html" own   reload  Live "2+" built
        "Output folder";
    "vhost.dvr"                        Block     "-"        none  reload  Live "1+" built
        "Recording section";
    "vhost.dvr.enabled"                Flag      "off"      own   reload  Live "1+" built
        "Record streams";
    "vhost.dvr.dvr_apply"              List      "all"      none  reload  Live "3+" built
        "Streams to record: all, none, app/stream";
    "vhost.dvr.dvr_plan"               Text      "session"  own   reload  Live "1+" built
        "session, segment or append" "append, which SRS removed in 3, goes on with an FLV file";
    "vhost.dvr.dvr_path"               Text      "./objs/nginx/html/[app]/[stream].[timestamp].flv" own   reload  Live "1+" built
        "File name template" ".flv or .mp4, else default name added";
    "vhost.dvr.dvr_duration"           Seconds   "30"       own   reload  Live "1+" built
        "Segment length in segment plan";
    "vhost.dvr.dvr_wait_keyframe"      Flag      "on"       own   reload  Live "1+" built
        "Cut segments at keyframes";
    "vhost.dvr.dvr_mp4_fragmented"     Flag      "off"      own   reload  Live "-" built
        "Keep MP4 files in fragments" "not in SRS: bounded memory for very long files";
    "vhost.dvr.time_jitter"            Text      "full"     own   reload  Live "1+" built
        "Timestamp correction for files" "full zero off";
}
