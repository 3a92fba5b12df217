//! The registry of streams that the origins and edges of a large cluster share.

rows! {
    "registry"                         Block     "-"        none  reload  Live "-" built
        "Registry of streams in a Redis server: which origin has which" "for vhosts with cluster.origin_cluster on, and for edges";
    "registry.enabled"                 Flag      "off"      own   reload  Live "-" built
        "Whether streams are registered and looked up";
    "registry.address"                 Text      "127.0.0.1:6379" own   reload  Live "-" built
        "The Redis server, host[:port]";
    "registry.username"                Text      "-"        own   reload  Live "-" built
        "User at the Redis server, for AUTH" "absent: its default user" ["media"];
    "registry.password"                Text      "-"        own   reload  Live "-" built
        "Password at the Redis server, for AUTH" "absent: none is asked for" ["secret"];
    "registry.database"                Int       "0"        own   reload  Live "-" built
        "Database of the Redis server, for SELECT";
    "registry.prefix"                  Text      "srs:"     own   reload  Live "-" built
        "What the names of all keys begin with" "clusters that differ here do not see each other";
    "registry.lease"                   Seconds   "10"       own   reload  Live "-" built
        "How long a stream stays registered when its origin is gone" "from 1; it is renewed three times in that time";
    "registry.timeout"                 Millis    "500"      own   reload  Live "-" built
        "How long Redis may take for an answer" "above 0; then it counts as away, and publishers and players go on without it";
    "registry.advertise"               Text      "-"        own   reload  Live "-" built
        "Where others get our streams over RTMP, host[:port]" "absent: an address of this machine, and the port of listen" ["10.0.0.7:1935"];
}
