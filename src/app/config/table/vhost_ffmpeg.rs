//! Virtual hosts: inputs and transcoders that are run as FFmpeg processes.

rows! {
    "vhost.ingest"                     Block     "-"        none  reload  Live "1+" built
        "Pull input with ffmpeg; argument is id" "repeatable; id unique in vhost";
    "vhost.ingest.enabled"             Flag      "off"      none  reload  Live "1+" built
        "Run this ingest";
    "vhost.ingest.input"               OpenBlock "-"        none  reload  Live "1+" built
        "Input section";
    "vhost.ingest.input.type"          Text      "file"     none  reload  Live "1+" built
        "file or stream" "both get -re; other: error 3035";
    "vhost.ingest.input.url"           Text      "-"        none  reload  Live "1+" built
        "Input path or URL" ["./doc/source.flv"];
    "vhost.ingest.ffmpeg"              Text      "-"        none  reload  Live "1+" built
        "ffmpeg binary" ["./objs/ffmpeg/bin/ffmpeg"];
    "vhost.ingest.engine"              OpenBlock "-"        none  reload  Live "1+" built
        "Same children as vhost.transcode.engine" "names unchecked here";
    "vhost.ingest.engine.enabled"      Flag      "off"      none  reload  Live "1+" built
        "Run this engine" "off: copy both codecs; output still required";
    "vhost.ingest.engine.perfile"      FreeBlock "-"        none  reload  Live "3+" built
        "Options before input" "any names; each becomes -name value";
    "vhost.ingest.engine.perfile.re"   Flag      "-"        none  reload  Live "3+" built
        "Sample entry: -re" "free-form name" [""];
    "vhost.ingest.engine.perfile.rtsp_transport" Text      "-"        none  reload  Live "3+" built
        "Sample entry: -rtsp_transport" "free-form name" ["tcp"];
    "vhost.ingest.engine.iformat"      Text      "flv"      none  reload  Live "1+" built
        "Input format -f" "off: option left out";
    "vhost.ingest.engine.vfilter"      FreeBlock "-"        none  reload  Live "1+" built
        "Filter options" "any names";
    "vhost.ingest.engine.vfilter.i"    Text      "-"        none  reload  Live "1+" built
        "Sample entry: extra input -i" "free-form name" ["./doc/logo.png"];
    "vhost.ingest.engine.vfilter.filter_complex" Text      "-"        none  reload  Live "1+" built
        "Sample entry: -filter_complex" "free-form name" ["overlay=10:10"];
    "vhost.ingest.engine.vfilter.vf"   Text      "-"        none  reload  Live "1+" built
        "Sample entry: -vf" "free-form name" ["scale=640:-2"];
    "vhost.ingest.engine.vcodec"       Text      "-"        none  reload  Live "1+" built
        "Video encoder name, or copy, vn, png" "name itself is not really checked" ["libx264"];
    "vhost.ingest.engine.vbitrate"     Int       "0"        none  reload  Live "1+" built
        "Video kbps" "0: option left out";
    "vhost.ingest.engine.vfps"         Float     "0"        none  reload  Live "1+" built
        "Frame rate" "0: option left out";
    "vhost.ingest.engine.vwidth"       Int       "0"        none  reload  Live "1+" built
        "Width, pixels" "0: option left out; odd value rounded down";
    "vhost.ingest.engine.vheight"      Int       "0"        none  reload  Live "1+" built
        "Height, pixels" "0: option left out; odd value rounded down";
    "vhost.ingest.engine.vthreads"     Int       "1"        none  reload  Live "1+" built
        "Encoder threads";
    "vhost.ingest.engine.vprofile"     Text      "-"        none  reload  Live "1+" built
        "Encoder profile" "required for encoding" ["main"];
    "vhost.ingest.engine.vpreset"      Text      "-"        none  reload  Live "1+" built
        "Encoder preset" "required for encoding" ["medium"];
    "vhost.ingest.engine.vparams"      FreeBlock "-"        none  reload  Live "1+" built
        "Extra video options" "any names";
    "vhost.ingest.engine.vparams.t"    Text      "-"        none  reload  Live "1+" built
        "Sample entry: -t" "free-form name" ["100"];
    "vhost.ingest.engine.vparams.coder" Text      "-"        none  reload  Live "1+" built
        "Sample entry: -coder" "free-form name" ["1"];
    "vhost.ingest.engine.vparams.b_strategy" Text      "-"        none  reload  Live "1+" built
        "Sample entry: -b_strategy" "free-form name" ["2"];
    "vhost.ingest.engine.vparams.bf"   Text      "-"        none  reload  Live "1+" built
        "Sample entry: -bf" "free-form name" ["3"];
    "vhost.ingest.engine.vparams.refs" Text      "-"        none  reload  Live "1+" built
        "Sample entry: -refs" "free-form name" ["10"];
    "vhost.ingest.engine.acodec"       Text      "-"        none  reload  Live "1+" built
        "Audio encoder name, or copy, an" "name itself is not checked" ["libfdk_aac"];
    "vhost.ingest.engine.abitrate"     Int       "0"        none  reload  Live "1+" built
        "Audio kbps" "0: option left out; 16..72 for libaacplus";
    "vhost.ingest.engine.asample_rate" Int       "0"        none  reload  Live "1+" built
        "Audio sample rate, Hz" "0: option left out";
    "vhost.ingest.engine.achannels"    Int       "0"        none  reload  Live "1+" built
        "Audio channels" "0: option left out; 1 or 2";
    "vhost.ingest.engine.aparams"      FreeBlock "-"        none  reload  Live "1+" built
        "Extra audio options" "any names";
    "vhost.ingest.engine.aparams.profile:a" Text      "-"        none  reload  Live "1+" built
        "Sample entry: -profile:a" "free-form name" ["aac_low"];
    "vhost.ingest.engine.aparams.bsf:a" Text      "-"        none  reload  Live "2+" built
        "Sample entry: -bsf:a" "free-form name" ["aac_adtstoasc"];
    "vhost.ingest.engine.oformat"      Text      "flv"      none  reload  Live "1+" built
        "Output format -f" "off: option left out";
    "vhost.ingest.engine.output"       Text      "-"        none  reload  Live "1+" built
        "Output URL template" "vars [vhost] [port] only" ["rtmp://127.0.0.1:[port]/live?vhost=[vhost]/livestream"];
    "vhost.transcode"                  Block     "-"        none  reload  Live "1+" built
        "Transcode section; argument: none, app, app/stream" "the argument is empty, an app, or app/stream; only the first block of a vhost is used";
    "vhost.transcode.enabled"          Flag      "off"      none  reload  Live "1+" built
        "Run transcoder";
    "vhost.transcode.ffmpeg"           Text      "-"        none  reload  Live "1+" built
        "ffmpeg binary" ["./objs/ffmpeg/bin/ffmpeg"];
    "vhost.transcode.engine"           Block     "-"        none  reload  Live "1+" built
        "One output; argument is name" "repeatable";
    "vhost.transcode.engine.enabled"   Flag      "off"      none  reload  Live "1+" built
        "Run this engine";
    "vhost.transcode.engine.perfile"   FreeBlock "-"        none  reload  Live "3+" built
        "Options before input" "any names; each becomes -name value";
    "vhost.transcode.engine.perfile.re" Flag      "-"        none  reload  Live "3+" built
        "Sample entry: -re" "free-form name" [""];
    "vhost.transcode.engine.perfile.rtsp_transport" Text      "-"        none  reload  Live "3+" built
        "Sample entry: -rtsp_transport" "free-form name" ["tcp"];
    "vhost.transcode.engine.iformat"   Text      "flv"      none  reload  Live "1+" built
        "Input format -f" "off: option left out";
    "vhost.transcode.engine.vfilter"   FreeBlock "-"        none  reload  Live "1+" built
        "Filter options" "any names";
    "vhost.transcode.engine.vfilter.i" Text      "-"        none  reload  Live "1+" built
        "Sample entry: extra input -i" "free-form name" ["./doc/logo.png"];
    "vhost.transcode.engine.vfilter.filter_complex" Text      "-"        none  reload  Live "1+" built
        "Sample entry: -filter_complex" "free-form name" ["overlay=10:10"];
    "vhost.transcode.engine.vfilter.vf" Text      "-"        none  reload  Live "1+" built
        "Sample entry: -vf" "free-form name" ["scale=640:-2"];
    "vhost.transcode.engine.vcodec"    Text      "-"        none  reload  Live "1+" built
        "Video encoder name, or copy, vn, png" "name itself is not really checked" ["libx264"];
    "vhost.transcode.engine.vbitrate"  Int       "0"        none  reload  Live "1+" built
        "Video kbps" "0: option left out";
    "vhost.transcode.engine.vfps"      Float     "0"        none  reload  Live "1+" built
        "Frame rate" "0: option left out";
    "vhost.transcode.engine.vwidth"    Int       "0"        none  reload  Live "1+" built
        "Width, pixels" "0: option left out; odd value rounded down";
    "vhost.transcode.engine.vheight"   Int       "0"        none  reload  Live "1+" built
        "Height, pixels" "0: option left out; odd value rounded down";
    "vhost.transcode.engine.vthreads"  Int       "1"        none  reload  Live "1+" built
        "Encoder threads";
    "vhost.transcode.engine.vprofile"  Text      "-"        none  reload  Live "1+" built
        "Encoder profile" "required for encoding" ["main"];
    "vhost.transcode.engine.vpreset"   Text      "-"        none  reload  Live "1+" built
        "Encoder preset" "required for encoding" ["medium"];
    "vhost.transcode.engine.vparams"   FreeBlock "-"        none  reload  Live "1+" built
        "Extra video options" "any names";
    "vhost.transcode.engine.vparams.t" Text      "-"        none  reload  Live "1+" built
        "Sample entry: -t" "free-form name" ["100"];
    "vhost.transcode.engine.vparams.coder" Text      "-"        none  reload  Live "1+" built
        "Sample entry: -coder" "free-form name" ["1"];
    "vhost.transcode.engine.vparams.b_strategy" Text      "-"        none  reload  Live "1+" built
        "Sample entry: -b_strategy" "free-form name" ["2"];
    "vhost.transcode.engine.vparams.bf" Text      "-"        none  reload  Live "1+" built
        "Sample entry: -bf" "free-form name" ["3"];
    "vhost.transcode.engine.vparams.refs" Text      "-"        none  reload  Live "1+" built
        "Sample entry: -refs" "free-form name" ["10"];
    "vhost.transcode.engine.acodec"    Text      "-"        none  reload  Live "1+" built
        "Audio encoder name, or copy, an" "name itself is not checked" ["libfdk_aac"];
    "vhost.transcode.engine.abitrate"  Int       "0"        none  reload  Live "1+" built
        "Audio kbps" "0: option left out; 16..72 for libaacplus";
    "vhost.transcode.engine.asample_rate" Int       "0"        none  reload  Live "1+" built
        "Audio sample rate, Hz" "0: option left out";
    "vhost.transcode.engine.achannels" Int       "0"        none  reload  Live "1+" built
        "Audio channels" "0: option left out; 1 or 2";
    "vhost.transcode.engine.aparams"   FreeBlock "-"        none  reload  Live "1+" built
        "Extra audio options" "any names";
    "vhost.transcode.engine.aparams.profile:a" Text      "-"        none  reload  Live "1+" built
        "Sample entry: -profile:a" "free-form name" ["aac_low"];
    "vhost.transcode.engine.aparams.bsf:a" Text      "-"        none  reload  Live "2+" built
        "Sample entry: -bsf:a" "free-form name" ["aac_adtstoasc"];
    "vhost.transcode.engine.oformat"   Text      "flv"      none  reload  Live "1+" built
        "Output format -f" "off: option left out";
    "vhost.transcode.engine.output"    Text      "-"        none  reload  Live "1+" built
        "Output URL template" "vars [vhost] [port] [app] [stream] [engine] [param]" ["rtmp://127.0.0.1:[port]/[app]/[stream]_[engine]?vhost=[vhost]"];
}
