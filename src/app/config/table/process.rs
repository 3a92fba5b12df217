//! What the process is and how it runs: files, log, limits, self-watching, reports.

rows! {
    "server_id"                        Text      "-"        own   restart Live "4+" built
        "Stable id of this server" "absent: read from the file beside the pid file that ends in .id, else made up and written there" ["vid-0000001"];
    "pid"                              Text      "./objs/srs.pid" own   restart Live "1+" built
        "File that holds the process id and is locked while the server runs" "the service script reads this line";
    "ff_log_dir"                       Text      "./objs"   own   next    Live "1+" built
        "Folder for logs of child processes" "/dev/null disables; file ffmpeg-*.log; next child start";
    "ff_log_level"                     Text      "info"     own   next    Live "3+" built
        "Log level passed to ffmpeg as -loglevel" "empty: option left out; next child start";
    "srs_log_tank"                     Text      "file"     ["SRS_SRS_LOG_TANK", "SRS_LOG_TANK"] reload  Live "1+" built
        "Where the log goes" "file or console; default console in a container";
    "srs_log_level"                    Text      "trace"    ["SRS_SRS_LOG_LEVEL", "SRS_LOG_LEVEL"] reload  Live "1+" built
        "Least severity that is logged, by the old names" "verbose info trace warn error; another text turns the log off";
    "srs_log_level_v2"                 Text      "-"        ["SRS_SRS_LOG_LEVEL_V2", "SRS_LOG_LEVEL_V2"] reload  Live "5+" built
        "Least severity that is logged, by the new names; stronger than srs_log_level" "trace debug info warn error; another text turns the log off" ["info"];
    "srs_log_file"                     Text      "./objs/srs.log" ["SRS_SRS_LOG_FILE", "SRS_LOG_FILE"] reload  Live "1+" built
        "File that the log is appended to, when srs_log_tank is file";
    "max_connections"                  Int       "1000"     own   next    Live "1+" built
        "How many clients may be connected at a time" "above 0; 128 more than this must stay below the limit of open files";
    "daemon"                           Flag      "on"       own   restart Live "1+" built
        "Run in the background" "off in a container (see disable_daemon_for_docker) and without a file; not together with asprocess";
    "utc_time"                         Flag      "off"      own   reload  Live "2+" built
        "UTC instead of local time in the log and in path templates" "logs use the value of the start; path templates follow a reload";
    "pithy_print_ms"                   Millis    "10000"    own   reload  Live "2+" built
        "Time between the progress lines of each kind of client";
    "work_dir"                         Text      "./"       own   restart Live "2+" built
        "Directory that the server goes to at the start" "before it opens the log, so other paths are relative to it";
    "user"                             List      "-"        none  restart Live "-" built
        "Account that the process runs under once it listens, and its group" "names or numbers; root has to start it; SRS has no such directive" ["media media"];
    "chroot"                           Text      "-"        none  restart Live "-" built
        "Folder that becomes the root of the file system once the server listens" "root has to start it; SRS has no such directive" ["/srv/media"];
    "workers"                          Text      "1"        none  restart Live "-" built
        "How many processes share the work of the server" "a number, or auto: as many as it may use processors; SRS has no such directive" ["auto"];
    "limits"                           Block     "-"        none  next    Live "-" built
        "What one address may ask of the server" "SRS has no such block; IPv6 counts by the first 64 bits";
    "limits.connections_per_ip"        Int       "0"        none  next    Live "-" built
        "How many connections an address may have at a time" "0: no limit";
    "limits.new_connections_per_ip"    Int       "0"        none  next    Live "-" built
        "How many connections an address may make in a second" "0: no limit";
    "limits.exempt"                    List      "-"        none  next    Live "-" built
        "Addresses and networks that are not counted" ["127.0.0.1 10.0.0.0/8"];
    "asprocess"                        Flag      "off"      own   restart Live "2+" built
        "End when the parent process ends" "not together with daemon; started by process 1 is an error";
    "empty_ip_ok"                      Flag      "on"       own   next    Live "3+" built
        "Serve clients whose address the system does not tell";
    "in_docker"                        Flag      "off"      own   restart Live "4+" built
        "Behave as in a container" "off: the server looks at its control group";
    "grace_start_wait"                 Millis    "2300"     own   reload  Live "3+" built
        "Graceful end: wait before the listeners close";
    "grace_final_wait"                 Millis    "3200"     own   reload  Live "3+" built
        "Graceful end: wait after the last client has left";
    "force_grace_quit"                 Flag      "off"      own   reload  Live "3+" built
        "SIGTERM waits for clients as SIGQUIT does";
    "disable_daemon_for_docker"        Flag      "on"       own   restart Live "3+" built
        "In a container, stay in the foreground whatever daemon says";
    "inotify_auto_reload"              Flag      "off"      own   restart Live "3+" built
        "Watch config file and reload on change" "Linux; 3 s settle time";
    "auto_reload_for_docker"           Flag      "on"       own   restart Live "3+" built
        "Enable inotify reload inside docker";
    "tcmalloc_release_rate"            Float     "0.8"      own   restart Ignored "4+" built
        "Rate for tcmalloc to give memory back" "accepted without effect: this server uses another allocator";
    "query_latest_version"             FlagUnlessOff "off"      own   restart Live "2+" unbuilt
        "Ask the makers of SRS for newer releases" "on with any text but off";
    "first_wait_for_qlv"               Seconds   "300"      own   restart Live "4+" unbuilt
        "Delay before first version query" "next every 3600 s";
    "include"                          List      "-"        none  reload  Live "5+" built
        "Put the text of other files here" "allowed in every block; paths are relative to the working directory of the process" ["./conf/part.conf"];
    "is_full"                          Flag      "off"      none  restart Live "4+" built
        "Marks a reference that is not meant to be run; the server refuses it" "checked last, also by -t";
    "listen"                           List      "(required)" own   reload  Live "1+" built
        "Where RTMP clients are awaited" "port, ip:port or [ipv6]:port, several allowed; a reload re-opens all of them" ["1935"];
    "chunk_size"                       Int       "60000"    ["SRS_VHOST_CHUNK_SIZE"] next    Live "1+" built
        "Size of outgoing RTMP chunks, bytes" "128..65536, else a warning; the variable is that of the vhost";
    "heartbeat"                        Block     "-"        none  reload  Live "1+" built
        "Report-home section";
    "heartbeat.enabled"                Flag      "off"      own   reload  Live "1+" built
        "Send heartbeat posts";
    "heartbeat.interval"               Seconds   "10"       own   reload  Live "1+" built
        "Time between posts" "integer parse: 9.3 gives 9; must be >0";
    "heartbeat.url"                    Text      "http://127.0.0.1:8085/api/v1/servers" own   reload  Live "1+" built
        "Receiver of posts" "query part is not sent";
    "heartbeat.device_id"              Text      "-"        own   reload  Live "1+" built
        "device_id field of posts" ["my-server"];
    "heartbeat.summaries"              Flag      "off"      own   reload  Live "1+" built
        "Add summaries object to posts";
    "heartbeat.ports"                  Flag      "off"      own   reload  Live "5+" built
        "Add listen ports to posts";
    "stats"                            Block     "-"        none  restart Live "1+" built
        "Host statistics section";
    "stats.enabled"                    Flag      "on"       none  restart Live "4+" built
        "Sample CPU, memory, network, disk";
    "stats.network"                    Int       "0"        none  reload  Live "1+" built
        "Index of NIC whose IP is reported" ">=0 and below NIC count";
    "stats.disk"                       List      "-"        none  reload  Live "1+" built
        "Disk device names to sample" "all when unset" ["sda sdb"];
    "threads"                          OpenBlock "-"        none  reload  Live "5+" built
        "How the server watches itself";
    "threads.interval"                 Seconds   "5"        own   reload  Live "5+" built
        "Time between the lines that tell how the process does" "0 or less: 5";
    "circuit_breaker"                  OpenBlock "-"        none  reload  Live "4+" built
        "Who is turned away while the server is overloaded" "see docs/operations.md";
    "circuit_breaker.enabled"          Flag      "on"       own   reload  Live "4+" built
        "Watch the load of the server's thread";
    "circuit_breaker.high_threshold"   Int       "90"       own   reload  Live "4+" built
        "Load above which ingesters and transcoders start later, percent of one processor";
    "circuit_breaker.high_pulse"       Int       "2"        own   reload  Live "4+" built
        "How long that lasts after the last second of it, seconds" "at least 1";
    "circuit_breaker.critical_threshold" Int       "95"       own   reload  Live "4+" built
        "Load above which new players are refused, percent of one processor";
    "circuit_breaker.critical_pulse"   Int       "1"        own   reload  Live "4+" built
        "How long that lasts after the last second of it, seconds" "at least 1";
    "circuit_breaker.dying_threshold"  Int       "99"       own   reload  Live "4+" built
        "Load above which all new clients are refused, percent of one processor";
    "circuit_breaker.dying_pulse"      Int       "5"        own   reload  Live "4+" built
        "How many seconds in a row it takes for that" "at least 1";
    "tencentcloud_cls"                 OpenBlock "-"        none  restart Live "5+" unbuilt
        "Tencent cloud log upload section";
    "tencentcloud_cls.enabled"         Flag      "off"      own   restart Live "5+" unbuilt
        "Enable log upload";
    "tencentcloud_cls.label"           Text      "-"        own   restart Live "5+" unbuilt
        "Label attached to entries" ["cn-beijing"];
    "tencentcloud_cls.tag"             Text      "-"        own   restart Live "5+" unbuilt
        "Tag attached to entries" ["cn-edge"];
    "tencentcloud_cls.secret_id"       Text      "-"        own   restart Live "5+" unbuilt
        "Cloud credential id" ["ID"];
    "tencentcloud_cls.secret_key"      Text      "-"        own   restart Live "5+" unbuilt
        "Cloud credential key" ["KEY"];
    "tencentcloud_cls.endpoint"        Text      "-"        own   restart Live "5+" unbuilt
        "Upload host" ["cls.example.com"];
    "tencentcloud_cls.topic_id"        Text      "-"        own   restart Live "5+" unbuilt
        "Log topic id" ["TOPIC"];
    "tencentcloud_cls.debug_logging"   Flag      "off"      own   restart Live "5+" unbuilt
        "Print uploads in own log";
    "tencentcloud_cls.stat_heartbeat"  Flag      "on"       own   restart Live "5+" unbuilt
        "Upload host statistics";
    "tencentcloud_cls.heartbeat_ratio" Int       "1"        own   restart Live "5+" unbuilt
        "Upload host statistics every Nth tick";
    "tencentcloud_cls.stat_streams"    Flag      "on"       own   restart Live "5+" unbuilt
        "Upload stream statistics";
    "tencentcloud_cls.streams_ratio"   Int       "1"        own   restart Live "5+" unbuilt
        "Upload stream statistics every Nth tick";
    "tencentcloud_apm"                 OpenBlock "-"        none  restart Live "5+" unbuilt
        "Tencent cloud tracing section";
    "tencentcloud_apm.enabled"         Flag      "off"      own   restart Live "5+" unbuilt
        "Enable trace upload";
    "tencentcloud_apm.team"            Text      "-"        own   restart Live "5+" unbuilt
        "Tracing team id" ["TEAM"];
    "tencentcloud_apm.token"           Text      "-"        own   restart Live "5+" unbuilt
        "Tracing token" ["TOKEN"];
    "tencentcloud_apm.endpoint"        Text      "-"        own   restart Live "5+" unbuilt
        "Trace upload host:port" ["apm.example.com:4317"];
    "tencentcloud_apm.service_name"    Text      "srs-server" own   restart Live "5+" unbuilt
        "Service name in traces";
    "tencentcloud_apm.debug_logging"   Flag      "off"      own   restart Live "5+" unbuilt
        "Print uploads in own log";
    "pithy_print"                      Block     "-"        none  restart Illegal "1" built
        "Old periodic-log intervals" "gone since SRS 2; use pithy_print_ms";
    "pithy_print.publish"              Millis    "10000"    none  restart Illegal "1" built
        "Old interval for publishers";
    "pithy_print.play"                 Millis    "10000"    none  restart Illegal "1" built
        "Old interval for players";
    "pithy_print.forwarder"            Millis    "10000"    none  restart Illegal "1" built
        "Old interval for forwarders";
    "pithy_print.encoder"              Millis    "10000"    none  restart Illegal "1" built
        "Old interval for transcoders";
    "pithy_print.ingester"             Millis    "10000"    none  restart Illegal "1" built
        "Old interval for ingesters";
    "pithy_print.hls"                  Millis    "10000"    none  restart Illegal "1" built
        "Old interval for HLS";
    "pithy_print.edge"                 Millis    "10000"    none  restart Illegal "1" built
        "Old interval for edge";
}
