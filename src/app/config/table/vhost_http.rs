//! Virtual hosts: what is served and called over HTTP, programs that are run.

rows! {
    "vhost.http_static"                Block     "-"        none  reload  Live "2+" built
        "Static files of this vhost" "new vhosts only";
    "vhost.http_static.enabled"        Flag      "off"      own   reload  Live "2+" built
        "Serve files of this vhost";
    "vhost.http_static.mount"          Text      "[vhost]/" own   reload  Live "2+" built
        "URL prefix, [vhost] replaced" "[vhost] of default vhost: all hosts";
    "vhost.http_static.dir"            Text      "./objs/nginx/html" own   reload  Live "2+" built
        "Folder of this mount";
    "vhost.http_remux"                 Block     "-"        none  reload  Live "2+" built
        "HTTP-FLV/TS/MP3/AAC streaming section" "at most one block per vhost, disabled ones count";
    "vhost.http_remux.enabled"         Flag      "off"      own   reload  Live "2+" built
        "Serve live streams over HTTP";
    "vhost.http_remux.fast_cache"      FractionalSeconds "0"        own   reload  Live "2+" built
        "Audio cache for mp3 and aac" "new streams";
    "vhost.http_remux.drop_if_not_match" Flag      "on"       own   next    Live "5+" built
        "Drop packets outside has_audio/has_video" "new players";
    "vhost.http_remux.has_audio"       Flag      "on"       own   next    Live "5+" built
        "Declare audio in FLV/TS" "new players";
    "vhost.http_remux.has_video"       Flag      "on"       own   next    Live "5+" built
        "Declare video in FLV/TS" "new players";
    "vhost.http_remux.guess_has_av"    Flag      "on"       own   next    Live "5+" built
        "Detect A/V presence from stream" "new players; off: use has_audio/has_video";
    "vhost.http_remux.mount"           Text      "[vhost]/[app]/[stream].flv" own   reload  Live "2+" built
        "URL template; extension picks format" ".flv .ts .mp3 .aac .mp4; other extension: error 4004";
    "vhost.http_remux.hstrs"           Flag      "on"       none  restart Deprecated "2" built
        "HTTP play triggers edge pull" "now dropped, always on";
    "vhost.http_hooks"                 Block     "-"        none  reload  Live "1+" built
        "HTTP callbacks section";
    "vhost.http_hooks.enabled"         Flag      "off"      own   next    Live "1+" built
        "Send callbacks";
    "vhost.http_hooks.on_connect"      List      "-"        own   next    Live "1+" built
        "URLs called at RTMP connect" ["http://127.0.0.1:8085/api/v1/clients"];
    "vhost.http_hooks.on_close"        List      "-"        own   next    Live "1+" built
        "URLs called at connection end" ["http://127.0.0.1:8085/api/v1/clients"];
    "vhost.http_hooks.on_publish"      List      "-"        own   next    Live "1+" built
        "URLs called before publish" ["http://127.0.0.1:8085/api/v1/streams"];
    "vhost.http_hooks.on_unpublish"    List      "-"        own   next    Live "1+" built
        "URLs called after publish ends" ["http://127.0.0.1:8085/api/v1/streams"];
    "vhost.http_hooks.on_play"         List      "-"        own   next    Live "1+" built
        "URLs called before play" ["http://127.0.0.1:8085/api/v1/sessions"];
    "vhost.http_hooks.on_stop"         List      "-"        own   next    Live "1+" built
        "URLs called after play ends" ["http://127.0.0.1:8085/api/v1/sessions"];
    "vhost.http_hooks.on_dvr"          List      "-"        own   next    Live "2+" built
        "URLs called per finished DVR file" ["http://127.0.0.1:8085/api/v1/dvrs"];
    "vhost.http_hooks.on_hls"          List      "-"        own   next    Live "2+" built
        "URLs called per finished HLS segment" ["http://127.0.0.1:8085/api/v1/hls"];
    "vhost.http_hooks.on_hls_notify"   List      "-"        own   next    Live "2+" built
        "URL fetched per finished HLS segment" "variables [server_id] [service_id] [app] [stream] [ts_url] [param]" ["http://127.0.0.1:8085/api/v1/hls/[server_id]/[app]/[stream]/[ts_url][param]"];
    "vhost.exec"                       Block     "-"        none  reload  Live "3+" built
        "Run commands on publish";
    "vhost.exec.enabled"               Flag      "off"      none  reload  Live "3+" built
        "Enable commands";
    "vhost.exec.publish"               List      "-"        none  reload  Live "3+" built
        "Command line run while published" "repeatable; first value is binary; see behaviours" ["./objs/ffmpeg/bin/ffmpeg -f flv -i [url] -c copy -y ./[stream].flv"];
    "vhost.http"                       Block     "-"        none  restart Deprecated "1-2" built
        "Old name of http_static" "transformed";
    "vhost.http.enabled"               Flag      "off"      none  restart Deprecated "1-2" built
        "Old name of http_static.enabled" "transformed";
    "vhost.http.mount"                 Text      "[vhost]/" none  restart Deprecated "1-2" built
        "Old name of http_static.mount" "transformed";
    "vhost.http.dir"                   Text      "./objs/nginx/html" none  restart Deprecated "1-2" built
        "Old name of http_static.dir" "transformed";
}
