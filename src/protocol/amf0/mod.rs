//! AMF0, the value encoding of RTMP commands and metadata (Action Message Format AMF 0 specification).
