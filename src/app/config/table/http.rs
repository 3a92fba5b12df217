//! The HTTP servers: API, media, metrics.

rows! {
    "http_api"                         Block     "-"        none  reload  Live "1+" built
        "HTTP API server section";
    "http_api.enabled"                 Flag      "off"      own   reload  Live "1+" built
        "Run the HTTP API";
    "http_api.listen"                  List      "1985"     own   reload  Live "1+" built
        "API listen endpoint" "port, ip:port or [ipv6]:port, several allowed; may equal http_server.listen to share a port";
    "http_api.crossdomain"             Flag      "on"       own   reload  Ignored "2+" built
        "CORS switch for API" "only echoed by raw API; effective switch is http_server.crossdomain";
    "http_api.raw_api"                 Block     "-"        none  reload  Live "3+" built
        "Raw (admin) API section";
    "http_api.raw_api.enabled"         Flag      "off"      own   reload  Live "3+" built
        "Allow rpc calls on /api/v1/raw";
    "http_api.raw_api.allow_reload"    Flag      "off"      own   reload  Live "3+" built
        "Allow rpc=reload";
    "http_api.raw_api.allow_query"     Flag      "off"      none  restart Removed "3" built
        "Allow rpc=query" "name still accepted, always off";
    "http_api.raw_api.allow_update"    Flag      "off"      none  restart Removed "3" built
        "Allow rpc=update" "name still accepted, always off";
    "http_api.auth"                    Block     "-"        none  reload  Live "5+" built
        "Basic auth section for API";
    "http_api.auth.enabled"            Flag      "off"      own   reload  Live "5+" built
        "Demand basic auth on /api/ paths" "read per connection";
    "http_api.auth.username"           Text      "-"        own   reload  Live "5+" built
        "User name for basic auth" "read per connection" ["admin"];
    "http_api.auth.password"           Text      "-"        own   reload  Live "5+" built
        "Password for basic auth" "must not contain a colon" ["change-me"];
    "http_api.https"                   OpenBlock "-"        none  reload  Live "4+" built
        "TLS listener for API";
    "http_api.https.enabled"           Flag      "off"      own   reload  Live "4+" built
        "Run TLS API listener" "needs http_api.enabled";
    "http_api.https.listen"            List      "1990"     own   reload  Live "4+" built
        "TLS API endpoint" "several allowed; when API and HTTP share a port, absent means that of http_server.https and another one is refused";
    "http_api.https.key"               Text      "./conf/server.key" own   reload  Live "4+" built
        "TLS private key file, PEM" "also PKCS#1 and SEC1; read again when it has changed";
    "http_api.https.cert"              Text      "./conf/server.crt" own   reload  Live "4+" built
        "TLS certificate file, PEM" "with those of the authorities between; read again when it has changed";
    "http_server"                      Block     "-"        none  reload  Live "2+" built
        "HTTP media and file server section";
    "http_server.enabled"              Flag      "off"      own   reload  Live "2+" built
        "Run the HTTP media server";
    "http_server.listen"               List      "8080"     own   reload  Live "2+" built
        "HTTP media listen endpoint" "port, ip:port or [ipv6]:port, several allowed";
    "http_server.dir"                  Text      "./objs/nginx/html" own   reload  Live "2+" built
        "Root folder for static files" "console page is dir + /console";
    "http_server.crossdomain"          Flag      "on"       own   reload  Live "3+" built
        "Answer CORS headers and OPTIONS" "read per connection; rules API too";
    "http_server.https"                OpenBlock "-"        none  reload  Live "4+" built
        "TLS listener for HTTP media";
    "http_server.https.enabled"        Flag      "off"      own   reload  Live "4+" built
        "Run TLS media listener" "needs http_server.enabled";
    "http_server.https.listen"         List      "8088"     own   reload  Live "4+" built
        "TLS media endpoint" "several allowed";
    "http_server.https.key"            Text      "./conf/server.key" own   reload  Live "4+" built
        "TLS private key file, PEM" "also PKCS#1 and SEC1; read again when it has changed";
    "http_server.https.cert"           Text      "./conf/server.crt" own   reload  Live "4+" built
        "TLS certificate file, PEM" "with those of the authorities between; read again when it has changed";
    "rtmps"                            Block     "-"        none  reload  Live "-" built
        "RTMP over TLS" "SRS has none";
    "rtmps.enabled"                    Flag      "off"      own   reload  Live "-" built
        "Run the RTMPS listener";
    "rtmps.listen"                     List      "1443"     own   reload  Live "-" built
        "Where RTMPS clients are awaited" "port, ip:port or [ipv6]:port, several allowed";
    "rtmps.key"                        Text      "./conf/server.key" own   reload  Live "-" built
        "TLS private key file, PEM" "also PKCS#1 and SEC1; read again when it has changed";
    "rtmps.cert"                       Text      "./conf/server.crt" own   reload  Live "-" built
        "TLS certificate file, PEM" "with those of the authorities between; read again when it has changed";
    "tls_verify"                       Flag      "off"      own   reload  Live "-" built
        "Refuse servers that we call over https unless the system trusts their certificates" "off, as in SRS: callbacks go to whoever answers";
    "trusted_proxies"                  List      "-"        own   reload  Live "-" built
        "Proxies in front of the HTTP servers, by address or network" "SRS has no such directive; from these, X-Forwarded-For, X-Real-IP or Forwarded tells the address of the client" ["127.0.0.1 ::1 10.0.0.0/8"];
    "exporter"                         Block     "-"        none  reload  Live "5+" built
        "Prometheus exporter section";
    "exporter.enabled"                 Flag      "off"      own   reload  Live "5+" built
        "Serve /metrics and extra listener";
    "exporter.listen"                  Text      "9972"     own   reload  Live "5+" built
        "Exporter listen endpoint";
    "exporter.label"                   Text      "-"        own   reload  Live "5+" built
        "Value of label \"label\" in srs_build_info" "left out when empty" ["cn-beijing"];
    "exporter.tag"                     Text      "-"        own   reload  Live "5+" built
        "Value of label \"tag\" in srs_build_info" "left out when empty" ["cn-edge"];
    "http_stream"                      Block     "-"        none  restart Deprecated "1-2" built
        "Old name of http_server" "transformed";
    "http_stream.enabled"              Flag      "off"      none  restart Deprecated "1-2" built
        "Old name of http_server.enabled" "transformed";
    "http_stream.listen"               Text      "8080"     none  restart Deprecated "1-2" built
        "Old name of http_server.listen" "transformed";
    "http_stream.dir"                  Text      "./objs/nginx/html" none  restart Deprecated "1-2" built
        "Old name of http_server.dir" "transformed";
}
