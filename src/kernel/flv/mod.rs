//! FLV tags (Adobe FLV and F4V specification, annex E; Enhanced RTMP v2).
